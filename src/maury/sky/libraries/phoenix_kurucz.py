"""The default library: PHOENIX below 7200 K, blended into Kurucz by 8200 K, held to the Sun.

Sources, licence and every change made to the models are in `data/README.md`;
`scripts/build_phoenix_kurucz.py` makes the spectra, `scripts/build_solar_correction.py` what
brings them to the observed Sun.
"""

from dataclasses import replace
from importlib.resources import as_file, files

import numpy as np
from safetensors.numpy import load_file

from maury.sky.libraries.grid import GridLibrary

__all__ = ["load_phoenix_kurucz", "read_models"]

NAME = "phoenix-kurucz"
SUN_TEFF = 5772.0  # K, IAU 2015 resolution B3

SOLAR_REACH = 0.2
"""How far from the Sun's temperature its correction holds: standard deviation in ln Teff."""


def load_phoenix_kurucz() -> GridLibrary:
    """Read the library that the package carries, corrected to the observed Sun.

    What the models miss of the observed solar spectrum (up to 0.03 mag from g to Ks, 0.2 in the
    near ultraviolet) is taken to hold for stars of its temperature and to fade away from it.

    Returns
    -------
    2300 to 50000 K, log g 0 to 6 (5 above 8000 K), [M/H] -4 to +1, 913 Angstrom to 32 micron in
    849 steps of 0.003 dex, each flux the mean over its step. [alpha/Fe] is 0 at solar metallicity
    and above, +0.4 at -1 and below, linear between.
    """
    models = read_models()
    with as_file(files("maury.sky.libraries") / "data/solar_correction.csv") as path:
        correction = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1, dtype=np.float32)
    distance = np.log(models.teff_nodes / SUN_TEFF) / SOLAR_REACH
    share = np.exp(-0.5 * distance**2).astype(np.float32)
    share = np.broadcast_to(share[:, None, None, None], (*models.exists.shape, 1))
    # One more component of the basis: interpolation takes it along like the others.
    return replace(
        models,
        coefficients=np.concatenate([models.coefficients, share], axis=-1),
        basis=np.vstack([models.basis, correction]),
    )


def read_models() -> GridLibrary:
    """Read the models as they are, without the correction to the Sun."""
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
