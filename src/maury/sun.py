"""The nominal Sun, and what follows from mass, gravity, radius and temperature in its units.

IAU 2015 resolution B3 (Prsa et al. 2016, AJ 152, 41) fixes R = 6.957e8 m, L = 3.828e26 W,
GM = 1.3271244e20 m3 s-2 and Teff = 5772 K; resolution B2 (Mamajek et al. 2015, arXiv:1510.06262)
the absolute bolometric magnitude that belongs to L.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "SUN_LOGG",
    "SUN_LOG_TEFF",
    "SUN_MAGNITUDE",
    "SUN_RADIUS_CM",
    "SUN_TEFF",
    "log_gravity",
    "log_luminosity",
    "log_radius",
    "radius_from_light",
]

SUN_TEFF = 5772.0
"""Nominal effective temperature, K."""

SUN_LOG_TEFF = math.log10(SUN_TEFF)
"""The same as log10 K."""

SUN_LOGG = 4.4380
"""Log10 of GM / R^2 in cm s-2, of the nominal solar mass parameter and radius."""

SUN_RADIUS_CM = 6.957e10
"""Nominal radius, cm."""

SUN_MAGNITUDE = 4.74
"""Absolute bolometric magnitude of the nominal luminosity, mag."""

LN10 = math.log(10.0)


def log_radius(mass: Tensor, logg: Tensor) -> Tensor:
    """Log10 of the radius (solar) from mass (solar) and log g (cgs): g = G M / R^2."""
    return 0.5 * (torch.log10(mass) + SUN_LOGG - logg)


def log_gravity(mass: Tensor, radius: Tensor) -> Tensor:
    """Log g (cgs) from mass and radius (solar): g = G M / R^2."""
    return SUN_LOGG + torch.log10(mass) - 2 * torch.log10(radius)


def log_luminosity(log_radius: Tensor, teff: Tensor) -> Tensor:
    """Log10 L (solar) from log10 of the radius (solar) and Teff (K): L = 4 pi R^2 sigma Teff^4."""
    return 2 * log_radius + 4 * torch.log10(teff / SUN_TEFF)


def radius_from_light(log_lum: Tensor, log_teff: Tensor) -> Tensor:
    """Radius (solar) from log10 L (solar) and log10 Teff (K): L = 4 pi R^2 sigma Teff^4."""
    return torch.exp(LN10 * (0.5 * log_lum - 2.0 * (log_teff - SUN_LOG_TEFF)))
