"""Libraries that are not packaged: what they are, where they are published, how they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from maury.download import RemoteFile
from maury.sky.libraries import bosz, coelho, phoenix, stsci
from maury.sky.libraries.basel import read_basel
from maury.sky.libraries.grid import GridLibrary

__all__ = ["SOURCES", "Source"]

_STSCI = "https://archive.stsci.edu/hlsps/reference-atlases/cdbs/grid"
_MAST_BOSZ = "https://archive.stsci.edu/hlsps/bosz/bosz2024"
_GOETTINGEN = "https://phoenix.astro.physik.uni-goettingen.de/data/HiResFITS"
_COELHO = "http://specmodels.iag.usp.br/fits_search/compress"


class Lister(Protocol):
    """Tells which files a library needs, fetching the publisher's own lists first."""

    def __call__(
        self, home: str, folder: Path, fetch: Callable[[RemoteFile], Path]
    ) -> list[RemoteFile]: ...


@dataclass(frozen=True)
class Source:
    """A library that the user can have.

    Attributes
    ----------
    name
        What `load_library` calls it.
    description
        One line: what it is and what it covers.
    cite
        The paper.
    home
        Address below which its files lie; empty where there is no lasting one.
    size
        Of the download, roughly, for people.
    list_files
        Which files are needed; None where they cannot be downloaded.
    read
        From a folder of them to the library; None where only the build script can.
    """

    name: str
    description: str
    cite: str
    home: str = ""
    size: str = ""
    list_files: Lister | None = None
    read: Callable[[Path], GridLibrary] | None = None


def _list_coelho(home: str, folder: Path, fetch: Callable[[RemoteFile], Path]) -> list[RemoteFile]:
    return [RemoteFile(f"{home}/{coelho.ARCHIVE}", coelho.ARCHIVE)]


def _bosz(resolution: int) -> Source:
    first = resolution == bosz.RESOLUTIONS[0]
    return Source(
        name="bosz" if first else f"bosz-r{resolution}",
        description=f"BOSZ 2024 at R = {resolution}: MARCS and ATLAS9, 2800 to 16000 K",
        cite="Meszaros et al. 2024, A&A 688, A197",
        home=_MAST_BOSZ,
        size=f"about 11,000 files, {'some GB' if first else 'more with resolution'}",
        list_files=partial(bosz.list_bosz, resolution=resolution),
        read=partial(bosz.read_bosz, resolution=resolution),
    )


def _atlas(
    name: str, folder: str, description: str, cite: str, size: str, *, rebinned: bool = False
) -> Source:
    return Source(
        name=name,
        description=description,
        cite=cite,
        home=f"{_STSCI}/{folder}",
        size=size,
        list_files=stsci.list_atlas,
        read=partial(stsci.read_atlas, name=name, rebinned=rebinned),
    )


def _sedfit(grid: str, description: str, cite: str) -> Source:
    return Source(
        name=f"sedfit-{grid}", description=f"{description}, as SEDFit 0.6.1 ships it", cite=cite
    )


_HUSSER = "Husser et al. 2013, A&A 553, A6"
_KURUCZ = "Kurucz 1993, CD-ROM 13"
_ALLARD = "Allard, Homeier & Freytag 2012, RSPTA 370, 2765"
_COELHO_2014 = "Coelho 2014, MNRAS 440, 1027"

_ALL = (
    *(_bosz(resolution) for resolution in bosz.RESOLUTIONS),
    _atlas(
        "ck04",
        "ck04models",
        "Castelli & Kurucz 2004, ATLAS9: 3500 to 50000 K",
        "Castelli & Kurucz 2003, IAU Symp. 210, A20",
        "608 files, 80 MB",
    ),
    _atlas(
        "kurucz93",
        "k93models",
        "Kurucz 1993, ATLAS9: 3500 to 50000 K",
        _KURUCZ,
        "1,159 files, 70 MB",
    ),
    _atlas(
        "btsettl",
        "phoenix",
        "BT-Settl: 2000 to 70000 K",
        _ALLARD,
        "about 1,300 files, 0.5 GB",
        rebinned=True,
    ),
    Source(
        name="phoenix",
        description="PHOENIX-ACES: 2300 to 12000 K",
        cite=_HUSSER,
        home=_GOETTINGEN,
        size="about 9,000 files, 55 GB",
        list_files=phoenix.list_phoenix,
        read=phoenix.read_phoenix,
    ),
    Source(
        name="coelho",
        description="Coelho 2014, ATLAS9 and MARCS: 3000 to 26000 K",
        cite=_COELHO_2014,
        home=_COELHO,
        size="one archive",
        list_files=_list_coelho,
        read=coelho.read_coelho,
    ),
    Source(
        name="basel",
        description="BaSeL 3.1, corrected to observed colours: 2000 to 50000 K",
        cite="Westera et al. 2002, A&A 381, 524",
        read=read_basel,
    ),
    _sedfit("phoenix", "PHOENIX-ACES", _HUSSER),
    _sedfit("kurucz", "Kurucz 1993", _KURUCZ),
    _sedfit("coelho", "Coelho 2014", _COELHO_2014),
    _sedfit("btsettl", "BT-Settl", _ALLARD),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}
