"""How stars of one component move, and the ellipsoid of their velocities.

Velocities are galactocentric, km/s, in the frame of places: x towards the centre at the Sun, y
along the rotation there, z north.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maury.sky.populations.milky_way.geometry import Sun

__all__ = ["VelocityEllipsoid"]


@dataclass(frozen=True)
class VelocityEllipsoid:
    """A normal distribution about the rotation, its axes along R, phi and z.

    Robin et al. 2003, table 4. The circular velocity is flat, and falls to zero in proportion to R
    within 1 kpc of the centre so that it has a direction there. The drift is that at the Sun,
    wherever the star is, and never more than the circular velocity leaves for the same reason.

    Parameters
    ----------
    sigma : tuple of 3 float
        Dispersions towards the centre, along the rotation and across the plane at the Sun, km/s.
    drift : float
        How much slower than the circular velocity the component rotates, km/s.
    gradient : float
        d ln(sigma_U**2) / dR, per kpc: the first dispersion grows inwards where it is negative.
    """

    sigma: tuple[float, float, float]
    drift: float
    gradient: float = 0.0

    def mean(self, place: Tensor, circular: float) -> Tensor:
        """Mean velocity (N, 3) at places (N, 3), for a circular velocity in km/s."""
        radius = torch.hypot(place[:, 0], place[:, 1])
        speed = (circular - self.drift) * (radius / 1000.0).clamp(max=1.0)
        zero = torch.zeros_like(speed)
        return _turn(place, zero, speed, zero)

    def draw(self, place: Tensor, sun: Sun, circular: float, generator: torch.Generator) -> Tensor:
        """Draw velocities (N, 3) of stars at places (N, 3)."""
        noise = torch.randn(
            3, len(place), generator=generator, dtype=place.dtype, device=place.device
        )
        radius = torch.hypot(place[:, 0], place[:, 1])
        growth = torch.exp(self.gradient * (radius - sun.radius) / 2000.0)
        inward, along, up = (
            self.sigma[0] * growth * noise[0],
            self.sigma[1] * noise[1],
            self.sigma[2] * noise[2],
        )
        return self.mean(place, circular) + _turn(place, inward, along, up)


def _turn(place: Tensor, inward: Tensor, along: Tensor, up: Tensor) -> Tensor:
    """From axes to the centre, along the rotation and up at each place to the common frame."""
    radius = torch.hypot(place[:, 0], place[:, 1]).clamp(min=1e-6)
    cosine, sine = -place[:, 0] / radius, place[:, 1] / radius  # 1 and 0 at the Sun
    return torch.stack([inward * cosine + along * sine, along * cosine - inward * sine, up], -1)
