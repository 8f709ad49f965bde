"""Radius and luminosity of a star whose temperature, gravity and mass are known: exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from maury.sun import log_luminosity, log_radius

__all__ = ["COMPLETED", "complete", "completed"]

COMPLETED = ("radius", "log_lum")
"""Parameters that follow from the others."""


def completed(parameters: tuple[str, ...]) -> tuple[str, ...]:
    """Names of parameters and, where there is a mass among them, of those that follow."""
    return (*parameters, *COMPLETED) if "mass" in parameters else parameters


def complete(values: Tensor, parameters: tuple[str, ...]) -> tuple[Tensor, tuple[str, ...]]:
    """Add `COMPLETED` to parameters (..., D), where there is a mass to complete them from.

    g = G M / R^2, with the initial mass for the present one: a giant's log g and radius are off
    by its mass loss, 0.02 dex on the red clump. L = 4 pi R^2 sigma Teff^4, in solar units.
    """
    if "mass" not in parameters:
        return values, parameters
    teff, logg, mass = (values[..., parameters.index(n)] for n in ("teff", "logg", "mass"))
    size = log_radius(mass, logg)
    added = torch.stack([10**size, log_luminosity(size, teff)], dim=-1)
    return torch.cat([values, added], dim=-1), completed(parameters)
