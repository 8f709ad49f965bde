"""From a list of model spectra to a library on a grid."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.sky.libraries.grid import GridLibrary, log_black_body

__all__ = ["assemble", "check_energy", "mixed"]

# Below this many dex under the black body nothing is seen in any band, and logs of 0 are avoided.
_FLOOR = -6.0
_LONGEST = 320000.0  # Angstrom
_WIDE, _FINE = 0.05, 0.01  # dex: gaps that are filled, and steps that they are filled by
_SIGMA = 5.670374419e-5  # Stefan-Boltzmann, erg/s/cm2/K4 (CODATA 2018)
_COVERED = (
    4000.0,
    10000.0,
)  # K: of these nearly all light lies between 1300 Angstrom and 10 micron


def assemble(
    name: str,
    wave: ArrayLike,
    nodes: tuple[ArrayLike, ArrayLike, ArrayLike],
    flam: Sequence[NDArray] | NDArray,
) -> GridLibrary:
    """Put spectra of single models onto the smallest grid that has a node for each.

    Parameters
    ----------
    name
        What `load_library` will call the library.
    wave
        (W,) vacuum wavelengths in Angstrom, increasing.
    nodes
        Teff in K, log g and [M/H] in dex, each (N,).
    flam
        (N, W) surface fluxes in erg/s/cm2/Angstrom. What lies more than 6 dex below the black
        body of the model's temperature, or is not positive, is set there: no band sees it.

    Returns
    -------
    Its wavelengths end at 32 micron, where laws of dust do, and gaps of more than 0.05 dex (ATLAS9
    knows nothing between 10, 20 and 40 micron) are filled along the ratio to the black body.

    Raises
    ------
    MauryError
        If there is no model, two stand at one node, the wavelengths do not increase, or a flux is
        not a number.
    """
    wave = np.asarray(wave, dtype=np.float64)
    points = [np.asarray(x, dtype=np.float64).round(4) for x in nodes]
    if len(points[0]) == 0:
        raise MauryError(f"library {name}: no model was found")
    if not (np.diff(wave) > 0).all():
        raise MauryError(f"library {name}: wavelengths do not increase")
    axes = [np.unique(x) for x in points]
    place = tuple(np.searchsorted(axis, x) for axis, x in zip(axes, points, strict=True))
    exists = np.zeros([len(axis) for axis in axes], dtype=bool)
    finer = _filled(wave)
    coefficients = np.zeros((*exists.shape, len(finer)), dtype=np.float32)
    for row, flux in enumerate(flam):
        node = tuple(int(axis[row]) for axis in place)
        at = "Teff {:g} K, log g {:g}, [M/H] {:g}".format(*(x[row] for x in points))
        if exists[node]:
            raise MauryError(f"library {name}: two models at {at}")
        if not np.isfinite(flux).all():
            raise MauryError(f"library {name}: the model at {at} has fluxes that are no numbers")
        exists[node] = True
        body = log_black_body(wave, points[0][row])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log10(np.asarray(flux, dtype=np.float64)) - body
        ratio = np.where(ratio > _FLOOR, ratio, _FLOOR)
        coefficients[node] = np.interp(np.log(finer), np.log(wave), ratio)
    return GridLibrary(
        name=name,
        wave=finer,
        teff_nodes=axes[0],
        logg_nodes=axes[1],
        mh_nodes=axes[2],
        exists=exists,
        coefficients=coefficients,
        basis=np.eye(len(finer), dtype=np.float32),
        mean=np.zeros(len(finer), dtype=np.float32),
    )


def _filled(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """The wavelengths up to 32 micron, with points put into wide gaps."""
    parts = [wave[wave <= _LONGEST]]
    for low, high in pairwise(wave):
        if np.log10(high / low) > _WIDE and low < _LONGEST:
            end = min(high, _LONGEST)
            parts.append(np.geomspace(low, end, int(np.log10(end / low) / _FINE) + 2))
    return np.unique(np.concatenate(parts))


def mixed(spectra: Sequence[NDArray], shares: Sequence[float]) -> NDArray[np.float64]:
    """Weighted mean of spectra in the logarithm; zero where any of them is."""
    if len(spectra) == 1:
        return np.asarray(spectra[0], dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(np.stack([np.asarray(s, dtype=np.float64) for s in spectra]), 0.0))
    return np.exp(np.einsum("s,sw->w", np.asarray(shares), logs))


def check_energy(library: GridLibrary) -> float:
    """Median of a library's integrated fluxes over sigma T^4, from 4000 to 10000 K.

    Raises
    ------
    MauryError
        If it is not within a third of one: the files' unit is not what their publisher says.
    """
    share = []
    for i, teff in enumerate(library.teff_nodes):
        if _COVERED[0] <= teff <= _COVERED[1]:
            nodes = np.argwhere(library.exists[i])
            for j, k in nodes[:: max(1, len(nodes) // 5)]:
                flux = library.node_flux(i, int(j), int(k))
                share.append(np.trapezoid(flux, library.wave) / (_SIGMA * teff**4))
    median = float(np.median(share)) if share else 1.0
    if not 0.67 < median < 1.5:
        raise MauryError(
            f"library {library.name}: spectra integrate to {median:.3g} sigma T^4 in the median: "
            "these are not surface fluxes in the unit that the publisher states"
        )
    return median
