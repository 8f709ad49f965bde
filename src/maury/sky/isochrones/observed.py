"""From stars as models have them to stars as they are observed.

Two known differences, both published, both independent of the stars that maury is applied to:

*Metals.* Isochrones count the abundance at birth, surveys the one of today's surface relative to
today's Sun. Metals have sunk below the Sun's surface since, so a set's Sun is born richer than the
zero of the surveys' scale. Where a set is anchored to the Sun by diffusion its axis of [M/H] is
moved by that much; giants and young stars, whose metals have not sunk, are then up to as much
(0.05 dex) too rich.

*Red dwarfs.* Below 0.6 solar masses models are 2.2% too hot and 4.6% too small at given luminosity
(Mann et al. 2015, ApJ 804, 64, section 6), over all of the main sequence that they measured. Their
luminosities hold. The same is applied before the main sequence, where models err in the same sense
(Feiden 2016, A&A 593, A99). PARSEC 1.2S was fitted to the masses and radii of red dwarfs by its
authors (Chen et al. 2014, MNRAS 444, 2525) and stays as it is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from maury.sky.isochrones.grid import Isochrones

__all__ = [
    "FITTED_TO_RED_DWARFS",
    "RED_DWARF_MASS",
    "RED_DWARF_WIDTH",
    "SUN_AT_BIRTH",
    "as_observed",
    "share_of_red_dwarf",
]

SUN_AT_BIRTH = {"mist": 0.05, "parsec": 0.07, "bhac15": 0.0}
"""[M/H] with which the Sun was born, by name of the set and on its own scale: Asplund et al. 2009
(ARA&A 47, 481, section 3.12) for MIST; Z = 0.01774 against 0.0152 for PARSEC (Bressan et al. 2012,
MNRAS 427, 127). BHAC15 has no diffusion."""

FITTED_TO_RED_DWARFS = ("parsec",)
"""Sets whose authors have corrected their red dwarfs."""

RED_DWARF_MASS = 0.6
RED_DWARF_WIDTH = 0.05
"""Solar masses: below the first the correction is whole, fading over the second."""

TOO_HOT = math.log10(1 - 0.022)
TOO_SMALL = math.log10(1 + 0.046)


def share_of_red_dwarf(mass: Tensor) -> Tensor:
    """From 1 for red dwarfs to 0 for heavier stars, at masses in solar units; any shape."""
    return torch.sigmoid((RED_DWARF_MASS - mass) / RED_DWARF_WIDTH)


def as_observed(
    isochrones: Isochrones, *, sun_at_birth: float, red_dwarfs: bool = True
) -> Isochrones:
    """The same set with its axis of [M/H] relative to today's Sun and its red dwarfs as observed.

    Parameters
    ----------
    isochrones : Isochrones
    sun_at_birth : float
        [M/H] of the newborn Sun on the set's own scale, as in `SUN_AT_BIRTH`.
    red_dwarfs : bool
        Whether the set's red dwarfs are to be corrected.
    """
    moved = replace(isochrones, mh=isochrones.mh - sun_at_birth)
    if not red_dwarfs:
        return moved
    share = share_of_red_dwarf(isochrones.mass)
    return replace(
        moved,
        log_teff=isochrones.log_teff + TOO_HOT * share,
        logg=isochrones.logg - 2 * TOO_SMALL * share,
        log_lum=isochrones.log_lum + (2 * TOO_SMALL + 4 * TOO_HOT) * share,
    )
