"""The default library: PHOENIX below 7200 K, blended into Kurucz by 8200 K.

Sources, licence and every change made to the models are in `data/README.md`;
`scripts/build_phoenix_kurucz.py` makes the file.
"""

from importlib.resources import as_file, files

import numpy as np
from safetensors.numpy import load_file

from maury.sky.libraries.grid import GridLibrary

__all__ = ["load_phoenix_kurucz"]

NAME = "phoenix-kurucz"


def load_phoenix_kurucz() -> GridLibrary:
    """Read the library that the package carries.

    Returns
    -------
    2300 to 50000 K, log g 0 to 6 (5 above 8000 K), [M/H] -4 to +1, 913 Angstrom to 32 micron in
    849 steps of 0.003 dex, each flux the mean over its step. [alpha/Fe] is 0 at solar metallicity
    and above, +0.4 at -1 and below, linear between.
    """
    with as_file(files("maury.sky.libraries") / "data/phoenix_kurucz.safetensors") as path:
        held = load_file(path)
    exists = held["exists"].astype(bool)
    coefficients = np.zeros((*exists.shape, len(held["scale"])), dtype=np.float32)
    coefficients[exists] = held["coefficients"].astype(np.float32) * held["scale"]
    return GridLibrary(
        name=NAME,
        wave=held["wave"],
        teff_nodes=held["teff"],
        logg_nodes=held["logg"],
        mh_nodes=held["mh"],
        exists=exists,
        coefficients=coefficients,
        basis=held["basis"],
        mean=held["mean"],
    )
