"""From a catalogue's parallaxes to unbiased ones: the zero point goes, row by row.

Rows whose ``gaia_release`` begins with DR2 take the constant of DR2, all others the recipe of DR3
(`maury.instruments.parallax_zero_point`), fed with whatever of magnitude, colour and place the
table holds. A column ``parallax_zero_point`` overrides both where it holds a number: that much is
subtracted and the error is believed as it stands. `Measurements.to_table` writes zeros there,
because its parallaxes are corrected.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maury.instruments.parallax_zero_point import (
    G_RANGE,
    NU_EFF_RANGE,
    ZeroPoint,
    dr2_zero_point,
    dr3_zero_point,
    effective_wavenumber,
    sine_ecliptic_latitude,
)

__all__ = ["without_zero_point"]

SIX_PARAMETERS = 95
"""What ``astrometric_params_solved`` is for a solution with six parameters (31: with five)."""

Array = NDArray[np.float64]


def without_zero_point(
    parallax: Array,
    sigma: Array,
    *,
    dr2: NDArray[np.bool_],
    magnitudes: Mapping[str, Array],
    aids: Mapping[str, Array],
) -> tuple[Array, Array, tuple[str, ...]]:
    """Subtract the zero point, and add its uncertainty to the error in quadrature.

    Parameters
    ----------
    parallax, sigma : array (N,)
        In mas; NaN where absent.
    dr2 : array (N,) of bool
        Rows that are of Gaia DR2.
    magnitudes : mapping of array (N,)
        Those of Gaia's bands that there are, by SVO id, of either release; NaN where absent.
    aids : mapping of array (N,)
        Those of `maury.column_names.PARALLAX_AIDS` that there are; NaN where absent.

    Returns
    -------
    parallax, sigma : array (N,)
    notes : tuple of str
        What the user should hear once.
    """
    zero = _published(len(parallax), dr2, magnitudes, aids)
    given = aids.get("zero_point", np.full(len(parallax), np.nan))
    told = np.isfinite(given)
    corrected = parallax - np.where(told, given, zero.value)
    widened = np.where(told, sigma, np.hypot(sigma, zero.uncertainty))
    strayed = int((zero.clamped & ~told & ~np.isnan(parallax)).sum())
    if not strayed:
        return corrected, widened, ()
    note = (
        f"{strayed} of {len(parallax)} stars lie outside G = {G_RANGE[0]:g} to {G_RANGE[1]:g} or "
        f"the colours (effective wavenumber {NU_EFF_RANGE[0]} to {NU_EFF_RANGE[1]} per micron, "
        "fewer for six-parameter solutions) for which Gaia's parallax zero point is known: the "
        "nearest known one is taken, with a larger error"
    )
    return corrected, widened, (note,)


def _published(
    stars: int,
    dr2: NDArray[np.bool_],
    magnitudes: Mapping[str, Array],
    aids: Mapping[str, Array],
) -> ZeroPoint:
    unknown = np.full(stars, np.nan)

    def band(name: str) -> Array:
        new, old = (magnitudes.get(f"GAIA/{r}.{name}", unknown) for r in ("GAIA3", "GAIA2r"))
        return np.where(np.isnan(new), old, new)

    def aid(name: str) -> Array:
        return aids.get(name, unknown)

    colour = band("Gbp") - band("Grp")
    colour = np.where(np.isnan(colour), aid("bp_rp"), colour)
    six = aid("solution") == SIX_PARAMETERS
    wavenumber = np.where(six, aid("pseudocolour"), aid("nu_eff"))
    wavenumber = np.where(np.isnan(wavenumber), effective_wavenumber(colour), wavenumber)
    sine = np.sin(np.deg2rad(aid("ecl_lat")))
    sine = np.where(np.isnan(sine), sine_ecliptic_latitude(aid("ra"), aid("dec")), sine)
    new = dr3_zero_point(band("G"), wavenumber, sine, six_parameters=six)
    old = dr2_zero_point(stars)
    return ZeroPoint(
        value=np.where(dr2, old.value, new.value),
        uncertainty=np.where(dr2, old.uncertainty, new.uncertainty),
        clamped=new.clamped & ~dr2,
    )
