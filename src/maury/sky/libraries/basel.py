"""BaSeL: Westera et al. 2002, A&A 381, 524 (3.1), and Lejeune et al. 1997, A&AS 125, 229 (2.2).

One text file a metallicity, `wlbc99_m05.cor` in version 3.1, `lcbm05.cor` in 2.2 (".cor" holds
fluxes corrected to observed colours, ".ori" those as computed): 1221 wavelengths in nm (8F10.1),
then for each model a line with its number, Teff, log g, [M/H], microturbulence and mixing length
(2I6, 4F6.2), and 1221 flux moments H_nu (7E11.4) in erg/s/cm2/Hz (ReadMe of VizieR
J/A+AS/125/229). A surface flux is 4 pi H. (The ReadMe's own F_lambda = 0.4 H_nu c / lambda^2, with
lambda in nm, leaves pi out: its Sun, `lcbsun.ori`, then has 0.318 sigma Teff^4.)
"""

import gzip
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maury.errors import MauryError
from maury.sky.libraries.assemble import assemble
from maury.sky.libraries.grid import GridLibrary

__all__ = ["read_basel", "read_basel_file"]

POINTS = 1221
_HEADER = 6
_LIGHT = 2.99792458e17  # nm/s
_NAME = re.compile(r"(?:wlbc99_|lcb)([mp]\d\d)\.cor(?:\.gz)?")
# Fortran leaves the E out where an exponent takes three digits.
_LONG_EXPONENT = re.compile(rb"(\d)([+-]\d{3})")


def read_basel(folder: Path) -> GridLibrary:
    """Read the corrected spectra of all metallicities in a folder.

    Kept are log g in whole and half steps from 0 to 5.5: the few models of giants between them
    have no neighbours to interpolate to.

    Raises
    ------
    MauryError
        If there is no such file, or one is not of the published form.
    """
    paths = sorted(path for path in folder.glob("*.cor*") if _NAME.fullmatch(path.name))
    if not paths:
        raise MauryError(
            f"{folder}: holds no wlbc99_*.cor: BaSeL 3.1 has no lasting address, so ask its "
            "authors or an institute that holds it for these files"
        )
    nodes: list[NDArray[np.float64]] = []
    spectra: list[NDArray[np.float32]] = []
    wave: NDArray[np.float64] | None = None
    for path in paths:
        own, models, fluxes = read_basel_file(path)
        if wave is not None and not np.array_equal(wave, own):
            raise MauryError(f"{path}: its wavelengths differ from the other files'")
        wave = own
        regular = np.isclose(2.0 * models[:, 1] % 1.0, 0.0) & (models[:, 1] >= 0.0)
        nodes += list(models[regular])
        spectra += list(fluxes[regular].astype(np.float32))
    teff, logg, mh = np.array(nodes).reshape(-1, 3).T
    return assemble("basel", wave if wave is not None else [], (teff, logg, mh), spectra)


def read_basel_file(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Read the models of one file.

    Returns
    -------
    wave
        (1221,) wavelengths in Angstrom.
    models
        (N, 3), Teff in K, log g, [M/H].
    flam
        (N, 1221) surface fluxes in erg/s/cm2/Angstrom.

    Raises
    ------
    MauryError
        If the file cannot be read or its length does not fit the form.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = _LONG_EXPONENT.sub(rb"\1E\2", data).decode("ascii")
        values = np.fromstring(text, sep=" ")
    except (OSError, EOFError, ValueError) as error:
        raise MauryError(f"{path}: cannot be read ({error})") from error
    count, rest = divmod(len(values) - POINTS, POINTS + _HEADER)
    if count < 1 or rest:
        raise MauryError(
            f"{path}: {len(values)} numbers, not {POINTS} wavelengths and whole models of "
            f"{_HEADER} + {POINTS}: the file is cut off or of another form"
        )
    nanometres = values[:POINTS]
    blocks = values[POINTS:].reshape(count, POINTS + _HEADER)
    # Per nanometre to per Angstrom: a tenth.
    flam = 0.4 * np.pi * blocks[:, _HEADER:] * _LIGHT / nanometres**2
    return 10.0 * nanometres, blocks[:, 1:4], flam
