"""Synthetic magnitudes by exact integration: the reference for everything faster.

Magnitudes are those of a star of one nominal solar radius at 10 pc; another star's follow as
``m = M + 5 log10(d / 10 pc) - 5 log10(R / Rsun)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maury.sky.bands import AB_CONSTANT, Band
from maury.sky.dust import dust_law
from maury.sky.libraries import SpectralLibrary
from maury.sun import SUN_RADIUS_CM

__all__ = ["BandIntegrator", "exact_magnitudes"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PARSEC_CM = 3.0856775814913673e18  # 648000 / pi au (IAU 2015 resolution B2)
_DILUTION = (SUN_RADIUS_CM / (10 * PARSEC_CM)) ** 2
_CHUNK = 512


class BandIntegrator:
    """Turns surface fluxes on a fixed wavelength grid into magnitudes in fixed bands.

    Parameters
    ----------
    bands : sequence of Band
    wave : array_like, shape (W,)
        The library's wavelengths in Angstrom.

    Attributes
    ----------
    used : slice
        The part of ``wave``, W' long, where any band carries weight; all else is left out.
    wave : ndarray, shape (W',)
    weights : ndarray, shape (B, W')
        F_nu averaged over band b is ``weights[b] @ flam[used]``.
    """

    def __init__(self, bands: Sequence[Band], wave: ArrayLike) -> None:
        wave = np.asarray(wave, dtype=float)
        weights = np.stack([np.asarray(band.weights(wave), dtype=float) for band in bands])
        carried = np.flatnonzero(weights.any(axis=0))
        self.used = slice(int(carried[0]), int(carried[-1]) + 1)
        self.wave = wave[self.used]
        self.weights = weights[:, self.used]
        self._zero_points = np.array([band.zero_point for band in bands])

    def magnitudes(self, flam: Array) -> Array:
        """Magnitudes (N, B) of surface fluxes (N, W') at one solar radius and 10 pc."""
        averages = flam @ self.weights.T
        return -2.5 * np.log10(averages * _DILUTION) + AB_CONSTANT - self._zero_points


def exact_magnitudes(
    library: SpectralLibrary,
    bands: Sequence[Band],
    teff: ArrayLike,
    logg: ArrayLike,
    mh: ArrayLike,
    a_v: ArrayLike,
    r_v: ArrayLike,
    *,
    law: str = "G23",
) -> tuple[Array, Mask]:
    """Magnitudes by integrating each reddened spectrum over each band.

    Parameters
    ----------
    library : SpectralLibrary
    bands : sequence of Band
    teff, logg, mh, a_v, r_v : array_like, broadcast to (N,)
        Effective temperature in K, log g in dex(cgs), [Fe/H] in dex, A_V in mag, and R_V.
    law : str
        Name of the extinction law, see `maury.sky.dust`.

    Returns
    -------
    mags : ndarray, shape (N, B)
        At one nominal solar radius and 10 pc, in each band's own system; NaN outside the library.
    inside : ndarray of bool, shape (N,)
        Which stars the library covers.

    Raises
    ------
    MauryError
        Where an R_V, or a wavelength that a band needs, is outside the range of the law.
    """
    columns = np.broadcast_arrays(*map(np.atleast_1d, (teff, logg, mh, a_v, r_v)))
    stars = np.stack([np.asarray(column, dtype=float) for column in columns])
    integrator = BandIntegrator(bands, library.wave)
    curve = dust_law(law)
    mags = np.full((stars.shape[1], len(bands)), np.nan)
    inside = np.zeros(stars.shape[1], dtype=bool)
    for start in range(0, stars.shape[1], _CHUNK):
        rows = slice(start, start + _CHUNK)
        t, g, m, a, r = stars[:, rows]
        flam, covered = library.fluxes(t, g, m)
        dimming = 10 ** (-0.4 * a[:, None] * curve(integrator.wave, r))
        mags[rows] = integrator.magnitudes(flam[:, integrator.used] * dimming)
        mags[rows][~covered] = np.nan
        inside[rows] = covered
    return mags, inside
