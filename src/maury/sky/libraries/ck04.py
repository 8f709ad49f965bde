"""Castelli & Kurucz 2004 ATLAS9 fluxes: an independent second library.

The package does not carry them. `maury.sky.libraries.stsci` reads the atlas as STScI publishes it;
`read_ck04` here reads a file of arrays `teff`, `logg`, `feh` (N,),
`wave` (W,) in Angstrom and `flam` (N, W) in erg/s/cm2/Angstrom at the stellar surface.
"""

from pathlib import Path

import numpy as np

from maury.errors import MauryError
from maury.sky.libraries.assemble import assemble
from maury.sky.libraries.grid import GridLibrary

__all__ = ["read_ck04"]

NAME = "ck04"


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
    return assemble(NAME, wave, (teff, logg, mh), flam)
