"""The zero point of Gaia's parallaxes: what to subtract, and how sure that is.

DR3 (and EDR3, which has the same astrometry): the recipe of Lindegren et al. 2021b (A&A 649, A4;
their Z5 for five-parameter solutions, table 9, and Z6 for six-parameter ones, table 10)

    Z(G, nu, beta) = sum_jk q_jk(G) c_j(nu) b_k(beta),

with q linear in G between the nodes of the tables, c the functions of their eq. A.3 of the
effective wavenumber nu (1/um), or of the pseudo-colour, and b = (1, sin beta, sin^2 beta - 1/3) of
ecliptic latitude. Over the whole sky sin beta is uniform, so that b averages to (1, 0, 0) and its
squares to (1, 1/3, 4/45): what is not known of a star's place is averaged over exactly, and the
scatter that this leaves is added to the uncertainty.

Where a table states no wavenumber it follows from BP - RP by eq. 3 of Lindegren et al. 2021a (A&A
649, A2).

DR2: one constant. Quasars gave -0.029 mas (Lindegren et al. 2018, A&A 616, A2), brighter stars
more: -0.0528 +- 0.0024 (Zinn et al. 2019, ApJ 878, 136; red giants with asteroseismology), -0.054
+- 0.006 (Schoenrich et al. 2019, MNRAS 487, 3568; stars with radial velocities). Between them,
-0.040 +- 0.012 mas covers both ends at one sigma.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "DR2_UNCERTAINTY",
    "DR2_ZERO_POINT",
    "DR3_UNCERTAINTY",
    "G_RANGE",
    "NU_EFF_RANGE",
    "PSEUDOCOLOUR_RANGE",
    "ZeroPoint",
    "dr2_zero_point",
    "dr3_zero_point",
    "effective_wavenumber",
    "sine_ecliptic_latitude",
]

DR2_ZERO_POINT = -0.040
"""mas; sources in the module's text."""

DR2_UNCERTAINTY = 0.012
"""mas."""

DR3_UNCERTAINTY = 0.011
"""mas: 10.3 uas of the zero point vary from place to place on the sky (Maiz Apellaniz et al. 2021,
A&A 649, A13), and the recipe itself is good to 'a few uas' (Lindegren et al. 2021b), here 4."""

BRIGHT_UNCERTAINTY = 0.010
"""mas, added where G < 11: the recipe overcorrects there by up to 15 uas (Zinn 2021, AJ 161, 214;
Riess et al. 2021, ApJ 908, L6)."""

SIX_PARAMETER_UNCERTAINTY = 0.015
"""mas, added for six-parameter solutions, which are "more prone to systematic effects" (Gaia EDR3
documentation, section 7.1.2)."""

OUTSIDE_UNCERTAINTY = 0.020
"""mas, added where G or the colour lie outside the recipe's range and are clamped to it."""

G_RANGE = (6.0, 21.0)
NU_EFF_RANGE = (1.1, 1.9)
"""1/um, for five-parameter solutions."""
PSEUDOCOLOUR_RANGE = (1.24, 1.72)
"""1/um, for six-parameter solutions: beyond it the recipe is constant."""

OBLIQUITY = np.deg2rad(84381.406 / 3600.0)
"""Of the ecliptic at J2000, IAU 2006 (Capitaine et al. 2003, A&A 412, 567)."""

_NODES = np.array([6.0, 10.8, 11.2, 11.8, 12.2, 12.9, 13.1, 15.9, 16.1, 17.5, 19.0, 20.0, 21.0])
"""Magnitudes G of the rows below."""

# Columns: which c_j and b_k a coefficient (uas, with powers of um) multiplies. Tables 9 and 10;
# equal to the coefficients of 21 July 2020 in ESA's gaiadr3-zeropoint 0.1.0.
_TERMS_5 = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (3, 0), (4, 0))
_Q5 = np.array(
    [
        [-26.98, -9.62, 27.40, -25.1, 0.0, -1257.0, 0.0, 0.0],
        [-27.23, -3.07, 23.04, 35.3, 15.7, -1257.0, 0.0, 0.0],
        [-30.33, -9.23, 9.08, -88.4, -11.8, -1257.0, 0.0, 0.0],
        [-33.54, -10.08, 13.28, -126.7, 11.6, -1257.0, 0.0, 0.0],
        [-13.65, -0.07, 9.35, -111.4, 40.6, -1257.0, 0.0, 0.0],
        [-19.53, -1.64, 15.86, -66.8, 20.6, -1257.0, 0.0, 0.0],
        [-37.99, 2.63, 16.14, -5.7, 14.0, -1257.0, 107.9, 104.3],
        [-38.33, 5.61, 15.42, 0.0, 18.7, -1189.0, 243.8, 155.2],
        [-31.05, 2.83, 8.59, 0.0, 15.5, -1404.0, 105.5, 170.7],
        [-29.18, -0.09, 2.41, 0.0, 24.5, -1165.0, 189.7, 325.0],
        [-18.40, 5.98, -6.46, 0.0, 5.5, 0.0, 0.0, 276.6],
        [-12.65, -4.57, -7.46, 0.0, 97.9, 0.0, 0.0, 0.0],
        [-18.22, -15.24, -18.54, 0.0, 128.2, 0.0, 0.0, 0.0],
    ]
)
_TERMS_6 = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0))
_Q6 = np.array(
    [
        [-27.85, -7.78, 27.47, -32.1, 14.4, 9.5, -67.0],
        [-28.91, -3.57, 22.92, 7.7, 12.6, 1.6, -572.0],
        [-26.72, -8.74, 9.36, -30.3, 5.6, 17.2, -1104.0],
        [-29.04, -9.69, 13.63, -49.4, 36.3, 17.7, -1129.0],
        [-12.39, -2.16, 10.23, -92.6, 19.8, 27.6, -365.0],
        [-18.99, -1.93, 15.90, -57.2, -8.0, 19.9, -554.0],
        [-38.29, 2.59, 16.20, -10.5, 1.4, 0.4, -960.0],
        [-36.83, 4.20, 15.76, 22.3, 11.1, 10.0, -1367.0],
        [-28.37, 1.99, 9.28, 50.4, 17.2, 13.7, -1351.0],
        [-24.68, -1.37, 3.52, 86.8, 19.8, 21.3, -1380.0],
        [-15.32, 4.01, -6.03, 29.2, 14.1, 0.4, -563.0],
        [-13.73, -10.92, -8.30, -74.4, 196.4, -42.0, 536.0],
        [-29.53, -20.34, -18.74, -39.5, 326.8, -262.3, 1598.0],
    ]
)

# What stands in for an unknown magnitude or colour, and the range it is uncertain by: most stars
# with a usable parallax have G = 12 to 18 and BP - RP = 0.6 to 1.8.
_USUAL_G = (15.0, 12.0, 18.0)
_USUAL_BP_RP = (1.0, 0.6, 1.8)


@dataclass(frozen=True)
class ZeroPoint:
    """What to subtract from parallaxes, in mas; all arrays (N,).

    Parameters
    ----------
    value, uncertainty : array
    clamped : array of bool
        Whether magnitude or colour lay outside the recipe's range.
    """

    value: NDArray[np.float64]
    uncertainty: NDArray[np.float64]
    clamped: NDArray[np.bool_]


def effective_wavenumber(bp_rp: ArrayLike) -> NDArray[np.float64]:
    """Effective wavenumber, 1/um, of a star of colour BP - RP (Lindegren et al. 2021a, eq. 3)."""
    return 1.76 - (1.61 / np.pi) * np.arctan(0.531 * np.asarray(bp_rp, dtype=np.float64))


def sine_ecliptic_latitude(ra: ArrayLike, dec: ArrayLike) -> NDArray[np.float64]:
    """Sine of the ecliptic latitude of places in degrees, ICRS; NaN where there is no place."""
    alpha, delta = np.deg2rad(ra), np.deg2rad(dec)
    return np.cos(OBLIQUITY) * np.sin(delta) - np.sin(OBLIQUITY) * np.cos(delta) * np.sin(alpha)


def dr2_zero_point(stars: int) -> ZeroPoint:
    """The zero point of DR2, the same for all ``stars``."""
    return ZeroPoint(
        value=np.full(stars, DR2_ZERO_POINT),
        uncertainty=np.full(stars, DR2_UNCERTAINTY),
        clamped=np.zeros(stars, dtype=bool),
    )


def dr3_zero_point(
    g: ArrayLike,
    wavenumber: ArrayLike,
    sine_latitude: ArrayLike,
    *,
    six_parameters: ArrayLike = False,
) -> ZeroPoint:
    """The zero point of DR3 by Lindegren et al. 2021b.

    Parameters
    ----------
    g : array_like (N,)
        Magnitude; NaN where unknown.
    wavenumber : array_like (N,)
        Effective wavenumber of five-parameter solutions, pseudo-colour of six-parameter ones, in
        1/um; NaN where unknown.
    sine_latitude : array_like (N,)
        Sine of the ecliptic latitude; NaN where unknown.
    six_parameters : array_like (N,) of bool
        Whether the solution has six parameters.

    Returns
    -------
    ZeroPoint
        Whatever is unknown is averaged over, and what that costs is in the uncertainty.
    """
    g, nu, sine, six = np.broadcast_arrays(g, wavenumber, sine_latitude, six_parameters)
    low = np.where(six, PSEUDOCOLOUR_RANGE[0], NU_EFF_RANGE[0])
    high = np.where(six, PSEUDOCOLOUR_RANGE[1], NU_EFF_RANGE[1])
    # Comparisons with NaN are false: what is unknown is not clamped.
    clamped = (g < G_RANGE[0]) | (g > G_RANGE[1]) | (nu < low) | (nu > high)
    g, nu = np.clip(g, *G_RANGE), np.clip(nu, low, high)

    usual_nu = effective_wavenumber(_USUAL_BP_RP)
    known_g = np.where(np.isnan(g), _USUAL_G[0], g)
    known_nu = np.where(np.isnan(nu), usual_nu[0], nu)
    place = _latitude_terms(known_g, known_nu, six)
    there = np.stack([np.ones_like(sine), sine, sine**2 - 1 / 3])
    unplaced = np.isnan(sine)
    value = (place * np.where(unplaced, np.array([[1.0], [0.0], [0.0]]), there)).sum(0)

    variance = np.full(value.shape, DR3_UNCERTAINTY**2)
    variance += np.where(known_g < 11.0, BRIGHT_UNCERTAINTY, 0.0) ** 2
    variance += np.where(six, SIX_PARAMETER_UNCERTAINTY, 0.0) ** 2
    variance += np.where(clamped, OUTSIDE_UNCERTAINTY, 0.0) ** 2
    variance += np.where(unplaced, place[1] ** 2 / 3 + place[2] ** 2 * 4 / 45, 0.0)
    if np.isnan(g).any():
        ends = [
            _latitude_terms(np.full_like(known_g, end), known_nu, six)[0] for end in _USUAL_G[1:]
        ]
        variance += np.where(np.isnan(g), (ends[0] - ends[1]) ** 2 / 4, 0.0)
    if np.isnan(nu).any():
        ends = [
            _latitude_terms(known_g, np.full_like(known_nu, end), six)[0] for end in usual_nu[1:]
        ]
        variance += np.where(np.isnan(nu), (ends[0] - ends[1]) ** 2 / 4, 0.0)
    return ZeroPoint(value=value, uncertainty=np.sqrt(variance), clamped=clamped)


def _latitude_terms(
    g: NDArray[np.float64], nu: NDArray[np.float64], six: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Coefficients (3, N), mas, of 1, sin beta and sin^2 beta - 1/3."""
    colours = np.stack(
        [
            np.ones_like(nu),
            np.clip(nu - 1.48, -0.24, 0.24),
            np.clip(1.48 - nu, 0.0, 0.24) ** 3,
            np.minimum(nu - 1.24, 0.0),
            np.maximum(nu - 1.72, 0.0),
        ]
    )
    total = np.zeros((3, *nu.shape))
    for chosen, terms, table in ((~six, _TERMS_5, _Q5), (six, _TERMS_6, _Q6)):
        for (j, k), q in zip(terms, table.T, strict=True):
            total[k] += np.where(chosen, np.interp(g, _NODES, q) * colours[j], 0.0)
    return total / 1000.0
