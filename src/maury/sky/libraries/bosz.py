"""BOSZ 2024: Meszaros et al. 2024, A&A 688, A197, as the MAST archive publishes it.

Below the grid's address lie `wavelength_grids/bosz2024_wave_r500.txt` (one wavelength a line,
Angstrom, vacuum), `download_scripts/hlsp_bosz_bosz2024_sim_r500_m+0.00_v1_bulkdl.sh` (which names
the address of every spectrum of a metallicity) and the spectra,
`r500/m+0.00/bosz2024_mp_t5000_g+4.5_m+0.00_a+0.00_c+0.00_v2_r500_resam.txt.gz`: two columns, flux
and continuum, both Eddington fluxes H_lambda in erg/s/cm2/Angstrom, so that F = 4 pi H. Names tell
the atmosphere (ap: ATLAS9, plane; mp, ms: MARCS, plane and spherical), Teff, log g, [M/H],
[alpha/M], [C/M], microturbulence in km/s and resolution.
"""

import gzip
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from maury.download import RemoteFile
from maury.errors import MauryError
from maury.sky.libraries.alpha import on_trend
from maury.sky.libraries.assemble import assemble, mixed
from maury.sky.libraries.grid import GridLibrary
from maury.sky.libraries.rebin import bin_centres, rebin

__all__ = ["RESOLUTIONS", "list_bosz", "read_bosz", "read_bosz_spectrum"]

RESOLUTIONS = (500, 1000, 2000, 5000, 10000, 20000, 50000)
METALLICITIES = np.arange(-2.5, 0.751, 0.25)
MICROTURBULENCE = 2
_NAME = re.compile(
    r"bosz2024_(ap|mp|ms)_t(\d+)_g([+-][\d.]+)_m([+-][\d.]+)_a([+-][\d.]+)_c([+-][\d.]+)"
    r"_v(\d)_r(\d+)_resam\.txt\.gz"
)
_ADDRESS = re.compile(r"https?://[^\s\"']+_resam\.txt\.gz")


@dataclass(frozen=True)
class _Spectrum:
    """What a spectrum's name tells, and its path below the grid's address."""

    path: str
    atmosphere: str
    teff: float
    logg: float
    mh: float
    alpha: float


def list_bosz(
    home: str, folder: Path, fetch: Callable[[RemoteFile], Path], *, resolution: int
) -> list[RemoteFile]:
    """The spectra that a library needs: no carbon enhancement, alpha on the trend, 2 km/s.

    Raises
    ------
    MauryError
        If a list cannot be had, or names no spectrum.
    """
    paths = [f"wavelength_grids/bosz2024_wave_r{resolution}.txt"]
    for mh in METALLICITIES:
        name = f"download_scripts/hlsp_bosz_bosz2024_sim_r{resolution}_m{mh:+.2f}_v1_bulkdl.sh"
        script = fetch(RemoteFile(f"{home}/{name}", name)).read_text(errors="replace")
        # Whichever server a script names, the place below the grid's folder is what counts.
        found = [unquote(urlsplit(url).path) for url in _ADDRESS.findall(script)]
        chosen = _choose(path.rpartition("/bosz2024/")[2] for path in found)
        if not chosen:
            raise MauryError(f"{home}/{name}: lists no spectrum of the published form")
        paths += [spectrum.path for spectrum in _needed(chosen)]
    return [RemoteFile(f"{home}/{path}", path) for path in paths]


def read_bosz(folder: Path, *, resolution: int = 500) -> GridLibrary:
    """Read a folder laid out as at MAST, averaged onto wavelengths fit for broad bands.

    Returns
    -------
    2800 to 16000 K; MARCS models where there are any (up to 8000 K), else ATLAS9.
    [alpha/Fe] on the trend of `maury.sky.libraries.alpha`, interpolated.

    Raises
    ------
    MauryError
        If the wavelengths or every spectrum are missing, or a file is damaged.
    """
    wave = _wavelengths(folder / f"wavelength_grids/bosz2024_wave_r{resolution}.txt")
    target = bin_centres(wave[0], wave[-1])[1:-1]
    held = folder / f"r{resolution}"
    spectra = _choose(str(path.relative_to(folder).as_posix()) for path in held.rglob("*.txt.gz"))
    if not spectra:
        raise MauryError(f"{held}: holds no spectrum bosz2024_*_r{resolution}_resam.txt.gz")
    nodes = on_trend([(s.teff, s.logg, s.mh, s.alpha) for s in spectra])
    fluxes = []
    for mixture in nodes.values():
        parts = [rebin(wave, _flux(folder / spectra[i].path, wave), target) for i, _ in mixture]
        fluxes.append(mixed(parts, [share for _, share in mixture]).astype(np.float32))
    teff, logg, mh = np.array(list(nodes)).reshape(-1, 3).T
    name = "bosz" if resolution == RESOLUTIONS[0] else f"bosz-r{resolution}"
    return assemble(name, target, (teff, logg, mh), fluxes)


def read_bosz_spectrum(path: Path, wavelengths: Path) -> tuple[NDArray, NDArray]:
    """Wavelengths (W,) in Angstrom and surface flux (W,), erg/s/cm2/Angstrom, of one spectrum as
    published.

    Raises
    ------
    MauryError
        If a file is missing, damaged or of another length than its wavelengths.
    """
    wave = _wavelengths(wavelengths)
    return wave, _flux(path, wave)


def _choose(paths: Iterable[str]) -> list[_Spectrum]:
    """One spectrum for each model of usual carbon and microturbulence: MARCS before ATLAS9."""
    best: dict[tuple[float, ...], tuple[int, _Spectrum]] = {}
    for path in paths:
        found = _NAME.fullmatch(path.rpartition("/")[2])
        if not found or float(found[6]) != 0.0 or int(found[7]) != MICROTURBULENCE:
            continue
        teff, logg, mh, alpha = (float(found[n]) for n in (2, 3, 4, 5))
        spectrum = _Spectrum(path, found[1], teff, logg, mh, alpha)
        # Giants are better as spheres, dwarfs as planes, where MARCS offers both.
        order = ("ms", "mp", "ap") if logg < 3.25 else ("mp", "ms", "ap")
        rank = order.index(spectrum.atmosphere)
        key = (teff, logg, mh, alpha)
        if key not in best or rank < best[key][0]:
            best[key] = (rank, spectrum)
    return [spectrum for _, spectrum in best.values()]


def _needed(spectra: list[_Spectrum]) -> list[_Spectrum]:
    """Those that a mixture on the alpha trend uses."""
    nodes = on_trend([(s.teff, s.logg, s.mh, s.alpha) for s in spectra])
    return [spectra[i] for mixture in nodes.values() for i, _ in mixture]


def _wavelengths(path: Path) -> NDArray[np.float64]:
    try:
        wave = np.loadtxt(path, dtype=np.float64, ndmin=1)
    except (OSError, ValueError) as error:
        raise MauryError(f"{path}: not a list of wavelengths ({error})") from error
    if len(wave) < 3 or not (np.diff(wave) > 0).all():
        raise MauryError(f"{path}: wavelengths do not increase")
    return wave


def _flux(path: Path, wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Surface flux (W,) from the Eddington fluxes of a file."""
    try:
        with gzip.open(path) as stream:
            values = np.fromstring(stream.read().decode("ascii"), sep=" ")
    except (OSError, EOFError, ValueError) as error:
        raise MauryError(f"{path}: damaged ({error}): remove it and fetch again") from error
    if len(values) != 2 * len(wave):
        raise MauryError(
            f"{path}: {len(values)} numbers where two for each of {len(wave)} wavelengths belong: "
            "remove it and fetch again"
        )
    flux: NDArray[np.float64] = 4.0 * np.pi * values[::2]
    return flux
