"""Castelli & Kurucz 2004 ATLAS9 fluxes: an independent second library.

The package does not carry them; `read_ck04` reads a file of arrays `teff`, `logg`, `feh` (N,),
`wave` (W,) in Angstrom and `flam` (N, W) in erg/s/cm2/Angstrom at the stellar surface.
"""

from pathlib import Path

import numpy as np

from maury.errors import MauryError
from maury.sky.libraries.grid import GridLibrary, log_black_body

__all__ = ["read_ck04"]

# Below this many dex under the black body nothing is seen in any band, and logs of 0 are avoided.
_FLOOR = -6.0


def read_ck04(path: str | Path) -> GridLibrary:
    """Read the ATLAS9 grid of Castelli & Kurucz (2004, arXiv:astro-ph/0405087) from an `.npz`.

    Raises
    ------
    MauryError
        If the file is missing, cannot be read without pickle or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            teff, logg, mh, wave, flam = (held[x] for x in ("teff", "logg", "feh", "wave", "flam"))
    except (OSError, KeyError, ValueError) as error:
        raise MauryError(
            f"{path}: not a library of arrays teff, logg, feh, wave and flam ({error})"
        ) from error
    nodes = [np.unique(np.asarray(x, dtype=np.float64)) for x in (teff, logg, mh)]
    place = tuple(np.searchsorted(n, x) for n, x in zip(nodes, (teff, logg, mh), strict=True))
    exists = np.zeros([len(n) for n in nodes], dtype=bool)
    exists[place] = True
    wave = np.asarray(wave, dtype=np.float64)
    with np.errstate(divide="ignore"):
        ratio = np.log10(flam) - log_black_body(wave, np.asarray(teff)[:, None])
    coefficients = np.zeros((*exists.shape, len(wave)), dtype=np.float32)
    coefficients[place] = np.maximum(ratio, _FLOOR)
    return GridLibrary(
        name="ck04",
        wave=wave,
        teff_nodes=nodes[0],
        logg_nodes=nodes[1],
        mh_nodes=nodes[2],
        exists=exists,
        coefficients=coefficients,
        basis=np.eye(len(wave), dtype=np.float32),
        mean=np.zeros(len(wave), dtype=np.float32),
    )
