"""Grids in the form of STScI's reference atlases: Castelli & Kurucz 2004, Kurucz 1993, BT-Settl.

`catalog.fits` of an atlas lists its models: INDEX holds "Teff,[M/H],log g" and FILENAME
"folder/file.fits[column]". Each file has one temperature and metallicity: a binary table of
WAVELENGTH in Angstrom and a column of surface flux, erg/s/cm2/Angstrom (FLAM), for each log g.
Columns of zeros are models that were not computed. (Synphot Data User's Guide, appendix A; the
README of each atlas.)
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from maury.download import RemoteFile
from maury.errors import MauryError
from maury.sky.libraries.assemble import assemble
from maury.sky.libraries.grid import GridLibrary
from maury.sky.libraries.rebin import bin_centres, rebin

__all__ = ["CATALOG", "list_atlas", "read_atlas"]

CATALOG = "catalog.fits"
_ENTRY = re.compile(r"\s*([\w./+-]+\.fits)\[(\w+)\]\s*")
_LIMITS = (900.0, 320000.0)  # Angstrom, from the Lyman limit to 32 micron


@dataclass(frozen=True)
class _Entry:
    """One model as the catalogue lists it."""

    teff: float
    mh: float
    logg: float
    file: str
    column: str


def list_atlas(home: str, folder: Path, fetch: Callable[[RemoteFile], Path]) -> list[RemoteFile]:
    """The files of the atlas at an address, as its catalogue, which is fetched first, names them.

    Raises
    ------
    MauryError
        If the catalogue cannot be had or read.
    """
    fetch(RemoteFile(f"{home}/{CATALOG}", CATALOG))
    names = sorted({entry.file for entry in _catalogue(folder / CATALOG)})
    return [RemoteFile(f"{home}/{name}", name) for name in names]


def read_atlas(folder: Path, *, name: str, rebinned: bool = False) -> GridLibrary:
    """Read an atlas from a folder laid out as at STScI.

    Parameters
    ----------
    folder
        Holds `catalog.fits` and the folders that it names.
    name
        What to call the library.
    rebinned
        Average onto even steps of log wavelength, for atlases finer than broad bands need.

    Raises
    ------
    MauryError
        If a file is missing or not of this form; the message names it.
    """
    entries: dict[str, list[_Entry]] = defaultdict(list)
    for entry in _catalogue(folder / CATALOG):
        entries[entry.file].append(entry)
    nodes: list[tuple[float, float, float]] = []
    spectra: list[NDArray[np.float32]] = []
    target: NDArray[np.float64] | None = None
    for file, models in entries.items():
        wave, fluxes = _table(folder / file)
        if target is None:
            limits = max(wave[0], _LIMITS[0]), min(wave[-1], _LIMITS[1])
            target = bin_centres(*limits)[1:-1] if rebinned else wave
        elif not rebinned and not np.array_equal(wave, target):
            raise MauryError(f"{folder / file}: its wavelengths differ from the other files'")
        for entry in models:
            flux = fluxes.get(entry.column.lower())
            if flux is None or not flux.any():
                continue
            nodes.append((entry.teff, entry.logg, entry.mh))
            spectra.append((rebin(wave, flux, target) if rebinned else flux).astype(np.float32))
    if target is None or not nodes:
        raise MauryError(f"{folder / CATALOG}: lists no model")
    teff, logg, mh = np.array(nodes).T
    return assemble(name, target, (teff, logg, mh), spectra)


def _catalogue(path: Path) -> Iterator[_Entry]:
    try:
        rows = fits.getdata(path, 1)
        listed = list(zip(rows["INDEX"], rows["FILENAME"], strict=True))
    except (OSError, KeyError, IndexError, TypeError) as error:
        raise MauryError(f"{path}: not a catalogue of INDEX and FILENAME ({error})") from error
    for index, filename in listed:
        found = _ENTRY.fullmatch(str(filename))
        try:
            teff, mh, logg = (float(x) for x in str(index).split(","))
        except ValueError:
            found = None
        if found is None:
            raise MauryError(f"{path}: cannot understand the entry {index!r}, {filename!r}")
        yield _Entry(teff, mh, logg, found[1], found[2])


def _table(path: Path) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Wavelengths (W,), increasing, and fluxes (W,) by column name in small letters."""
    try:
        with fits.open(path) as held:
            rows = held[1].data
            columns = {n.lower(): np.asarray(rows[n], dtype=np.float64) for n in rows.names}
            wave, order = np.unique(columns.pop("wavelength"), return_index=True)
    except (OSError, KeyError, IndexError, AttributeError, TypeError, ValueError) as error:
        raise MauryError(
            f"{path}: not a table of WAVELENGTH and fluxes ({error}): remove it and fetch again"
        ) from error
    return wave, {name: flux[order] for name, flux in columns.items()}
