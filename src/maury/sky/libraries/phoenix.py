"""PHOENIX-ACES of Husser et al. 2013, A&A 553, A6, as Goettingen publishes it (HiResFITS).

`WAVE_PHOENIX-ACES-AGSS-COND-2011.fits` holds the wavelengths (Angstrom, vacuum) of all spectra;
`PHOENIX-ACES-AGSS-COND-2011/Z-1.0.Alpha=+0.40/lte05700-4.50-1.0.Alpha=+0.40.PHOENIX-ACES-AGSS-
COND-2011-HiRes.fits` the flux of one, erg/s/cm2/cm at the surface: Teff, log g and [Fe/H] stand in
the name (log g with the opposite sign), and [alpha/Fe] where it is not 0. The folders' web pages
list what there is.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from maury.download import RemoteFile
from maury.errors import MauryError
from maury.sky.libraries.alpha import on_trend, trend_alpha
from maury.sky.libraries.assemble import assemble, mixed
from maury.sky.libraries.grid import GridLibrary
from maury.sky.libraries.rebin import bin_centres, rebin

__all__ = ["list_phoenix", "read_phoenix"]

WAVELENGTHS = "WAVE_PHOENIX-ACES-AGSS-COND-2011.fits"
GRID = "PHOENIX-ACES-AGSS-COND-2011"
METALLICITIES = (-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0)
_ENHANCED_FROM = -3.0  # the poorest [Fe/H] with alpha-enhanced models
_NAME = re.compile(
    r"lte(\d{5})([+-]\d\.\d\d)([+-]\d\.\d)(?:\.Alpha=([+-]\d\.\d\d))?"
    r"\.PHOENIX-ACES-AGSS-COND-2011-HiRes\.fits"
)
_LINK = re.compile(r"""href\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)


@dataclass(frozen=True)
class _Spectrum:
    path: str
    model: tuple[float, float, float, float]


def list_phoenix(home: str, folder: Path, fetch: Callable[[RemoteFile], Path]) -> list[RemoteFile]:
    """The spectra that a library needs, as the folders' pages, which are fetched first, list them.

    Raises
    ------
    MauryError
        If a page cannot be had, or lists no spectrum.
    """
    paths = []
    for mh in METALLICITIES:
        alphas = {0.0, trend_alpha(mh)} if mh >= _ENHANCED_FROM else {0.0}
        for alpha in sorted(alphas):
            place = f"{GRID}/{_folder(mh, alpha)}"
            page = fetch(RemoteFile(f"{home}/{place}/", f"{place}/index.html"))
            links = _LINK.findall(unescape(page.read_text(errors="replace")))
            names = {unquote(link).rpartition("/")[2] for link in links}
            found = [f"{place}/{name}" for name in sorted(names) if _NAME.fullmatch(name)]
            if not found:
                raise MauryError(f"{home}/{place}/: lists no spectrum of the published form")
            paths += found
    spectra = _spectra(paths)
    nodes = on_trend([s.model for s in spectra], nearest=True)
    needed = [spectra[i].path for mixture in nodes.values() for i, _ in mixture]
    return [RemoteFile(f"{home}/{path}", path) for path in (WAVELENGTHS, *needed)]


def read_phoenix(folder: Path) -> GridLibrary:
    """Read a folder laid out as in Goettingen, averaged onto wavelengths fit for broad bands.

    [alpha/Fe] is on the trend of `maury.sky.libraries.alpha` where the grid has it (3500 to 8000 K,
    [Fe/H] -3 to 0), elsewhere solar.

    Raises
    ------
    MauryError
        If wavelengths or every spectrum are missing, or a file is damaged.
    """
    wave = _data(folder / WAVELENGTHS)
    target = bin_centres(max(wave[0], 900.0), wave[-1])[1:-1]
    paths = (str(p.relative_to(folder).as_posix()) for p in (folder / GRID).rglob("lte*.fits"))
    spectra = _spectra(sorted(paths))
    if not spectra:
        raise MauryError(f"{folder / GRID}: holds no spectrum lte*-HiRes.fits")
    nodes = on_trend([s.model for s in spectra], nearest=True)
    fluxes = []
    for mixture in nodes.values():
        parts = []
        for i, _ in mixture:
            flux = _data(folder / spectra[i].path)
            if flux.shape != wave.shape:
                raise MauryError(
                    f"{folder / spectra[i].path}: {flux.size} fluxes for {wave.size} wavelengths: "
                    "remove it and fetch again"
                )
            parts.append(rebin(wave, flux * 1e-8, target))  # per cm to per Angstrom
        fluxes.append(mixed(parts, [share for _, share in mixture]).astype(np.float32))
    teff, logg, mh = np.array(list(nodes)).T
    return assemble("phoenix", target, (teff, logg, mh), fluxes)


def _folder(mh: float, alpha: float) -> str:
    """Name of the folder of one composition; solar metallicity is written -0.0."""
    metals = f"Z{mh:+.1f}" if mh != 0 else "Z-0.0"
    return f"{metals}.Alpha={alpha:+.2f}" if alpha else metals


def _spectra(paths: Iterable[str]) -> list[_Spectrum]:
    spectra = []
    for path in paths:
        found = _NAME.fullmatch(path.rpartition("/")[2])
        if found:
            teff, logg, mh = float(found[1]), -float(found[2]) + 0.0, float(found[3]) + 0.0
            spectra.append(_Spectrum(path, (teff, logg, mh, float(found[4] or 0.0))))
    return spectra


def _data(path: Path) -> NDArray[np.float64]:
    """The array of a file's first unit."""
    try:
        data = fits.getdata(path, 0)
        return np.asarray(data, dtype=np.float64)
    except (OSError, IndexError, TypeError, ValueError) as error:
        raise MauryError(f"{path}: cannot be read ({error}): remove it and fetch again") from error
