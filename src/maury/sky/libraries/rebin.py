"""Coarser wavelengths for spectra that resolve more than broad bands need."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["PHOTOMETRIC_STEP", "bin_centres", "rebin"]

Floats = NDArray[np.float64]

PHOTOMETRIC_STEP = 0.002
"""Step in log10 of the wavelength that libraries are rebinned to, a resolving power of 217."""


def bin_centres(first: float, last: float, step: float = PHOTOMETRIC_STEP) -> Floats:
    """Wavelengths in even logarithmic steps from the first to the last, or just short of it."""
    count = int(np.floor(np.log10(last / first) / step + 1e-9)) + 1
    return np.asarray(first * 10.0 ** (step * np.arange(count)), dtype=np.float64)


def rebin(wave: Floats, flux: Floats, target: Floats) -> Floats:
    """Average spectra, linear between their points, over the bins about given wavelengths.

    Parameters
    ----------
    wave
        (W,) wavelengths, increasing.
    flux
        (..., W) fluxes per unit wavelength.
    target
        (V,) centres of the bins, in the unit of `wave`; edges are geometric means of neighbours.

    Returns
    -------
    (..., V); NaN where less than half of a bin is covered.
    """
    middle = np.sqrt(target[1:] * target[:-1])
    edge = np.concatenate([[target[0] ** 2 / middle[0]], middle, [target[-1] ** 2 / middle[-1]]])
    steps = 0.5 * (flux[..., 1:] + flux[..., :-1]) * np.diff(wave)
    total = np.concatenate([np.zeros((*flux.shape[:-1], 1)), np.cumsum(steps, axis=-1)], axis=-1)
    clipped = np.clip(edge, wave[0], wave[-1])
    cell = np.clip(np.searchsorted(wave, clipped, side="right") - 1, 0, len(wave) - 2)
    along = clipped - wave[cell]
    slope = (flux[..., cell + 1] - flux[..., cell]) / (wave[cell + 1] - wave[cell])
    reached = total[..., cell] + (flux[..., cell] + 0.5 * slope * along) * along
    width = np.diff(clipped)
    covered = width > 0.5 * np.diff(edge)
    return np.where(covered, np.diff(reached, axis=-1) / np.where(covered, width, 1.0), np.nan)
