"""Places and velocities in a Plummer sphere, the simplest star cluster in equilibrium.

Plummer 1911, MNRAS 71, 460; drawn as by Aarseth, Henon & Wielen 1974, A&A 37, 183, but for the
velocity: its distribution function goes as the binding energy to the power 7/2, so that v / v_esc
is as the first three components of a random direction in twelve dimensions. All stars are alike in
it, whatever their mass: no mass segregation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maury.sky.populations.densities import uniform

__all__ = ["GRAVITY", "plummer", "scale_radius"]

GRAVITY = 4.30091727e-3
"""Gravitational constant in pc (km/s)^2 / Msun (IAU nominal GM_Sun and parsec)."""

_EDGE = 10.0  # in scale radii; 1.5% of the mass of the whole model lie beyond


def scale_radius(half_mass_radius: float) -> float:
    """Plummer's scale radius from the radius of the sphere that holds half of the mass."""
    return half_mass_radius * math.sqrt(2.0 ** (2.0 / 3.0) - 1.0)


def plummer(
    count: int, *, mass: float, half_mass_radius: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw stars of a cluster in virial equilibrium, cut at ten scale radii.

    Parameters
    ----------
    count : int
    mass : float
        Of the whole cluster, Msun.
    half_mass_radius : float
        pc.
    generator : torch.Generator

    Returns
    -------
    position, velocity : Tensor
        (n, 3) each, float64: pc and km/s about the centre.
    """
    scale = scale_radius(half_mass_radius)
    inside = (1.0 + _EDGE**-2) ** -1.5
    share = uniform(count, generator) * inside
    radius = scale / torch.sqrt(share ** (-2.0 / 3.0) - 1.0)
    position = radius[:, None] * _direction(count, 3, generator)
    escape = torch.sqrt(2.0 * GRAVITY * mass / torch.sqrt(radius**2 + scale**2))
    velocity = escape[:, None] * _direction(count, 12, generator)[:, :3]
    return position, velocity


def _direction(count: int, dimensions: int, generator: torch.Generator) -> Tensor:
    """Unit vectors (n, d), even over all directions."""
    vector = torch.randn(
        count, dimensions, generator=generator, dtype=torch.float64, device=generator.device
    )
    return vector / torch.linalg.vector_norm(vector, dim=1, keepdim=True)
