"""The default library: PHOENIX below 7200 K, blended into Kurucz by 8200 K, held to the Sun.

Sources, licence and every change made to the models are in `data/README.md`;
`scripts/build_phoenix_kurucz.py` makes the spectra, `scripts/build_solar_correction.py` what
brings them to the observed Sun.
"""

from dataclasses import replace
from importlib.resources import as_file, files

import numpy as np
from safetensors.numpy import load_file

from maury.sky.libraries.grid import GridLibrary, log_black_body
from maury.sun import SUN_TEFF

__all__ = ["load_phoenix_kurucz", "read_models"]

NAME = "phoenix-kurucz"

SOLAR_REACH = 0.2
"""How far from the Sun's temperature its correction holds: standard deviation in ln Teff."""

TAIL = (9.9e4, 30e4)
"""Where the continuum of hot stars is taken up, and up to where it is held level, Angstrom."""


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
    """Read the models as they are, without the correction to the Sun, but with a mended tail."""
    with as_file(files("maury.sky.libraries") / "data/phoenix_kurucz.safetensors") as path:
        held = load_file(path)
    exists = held["exists"].astype(bool)
    coefficients = np.zeros((*exists.shape, len(held["scale"])), dtype=np.float32)
    coefficients[exists] = held["coefficients"].astype(np.float32) * held["scale"]
    models = GridLibrary(
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
    return _mend_tail(models)


def _mend_tail(models: GridLibrary) -> GridLibrary:
    """Let no continuum beyond 10 micron fall faster than Rayleigh and Jeans have it.

    Where the source continues Kurucz's models by black bodies it is short of a factor of the
    wavelength, 0.9 mag in W4. Real stars keep lambda^4 F_lambda within 0.03 dex from 10 to 30
    micron above 5000 K (Castelli & Kurucz 2004).
    """
    ends = np.searchsorted(models.wave, TAIL)
    ratios = models.coefficients @ models.basis[:, ends] + models.mean[ends]
    black_body = log_black_body(models.wave[ends], models.teff_nodes[:, None])
    level = ratios + black_body[:, None, None] + 4 * np.log10(models.wave[ends])
    reach = np.log10(models.wave[ends[1]] / models.wave[ends[0]])
    missing = np.clip((level[..., 0] - level[..., 1]) / reach, 0.0, None)
    missing[~models.exists] = 0.0
    rise = np.clip(np.log10(models.wave / models.wave[ends[0]]), 0.0, None)
    return replace(
        models,
        coefficients=np.concatenate(
            [models.coefficients, missing[..., None].astype(np.float32)], axis=-1
        ),
        basis=np.vstack([models.basis, rise.astype(np.float32)]),
    )
