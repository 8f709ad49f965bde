"""Places in the Galaxy: from the sky to galactocentric coordinates, and boxes of places.

The frame is right-handed: x points from the Sun to the Galactic centre, y along the rotation at the
Sun (l = 90 deg), z to the north Galactic pole, all in pc from the centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.populations.densities import uniform

__all__ = ["Boxes", "Footprint", "Sun", "separation"]


@dataclass(frozen=True)
class Sun:
    """Where the Sun is: galactocentric radius and height above the plane, pc."""

    radius: float
    height: float

    def galactocentric(self, lon: Tensor, lat: Tensor, distance: Tensor) -> Tensor:
        """Place (..., 3), pc, of stars at Galactic l, b (deg) and a distance (pc)."""
        longitude, latitude = torch.deg2rad(lon), torch.deg2rad(lat)
        in_plane = distance * torch.cos(latitude)
        return torch.stack(
            torch.broadcast_tensors(
                in_plane * torch.cos(longitude) - self.radius,
                in_plane * torch.sin(longitude),
                distance * torch.sin(latitude) + self.height,
            ),
            -1,
        )

    def sky(self, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Galactic l in [0, 360), b (deg) and distance (pc) of places (..., 3): the inverse."""
        x, y = place[..., 0] + self.radius, place[..., 1]
        z = place[..., 2] - self.height
        in_plane = torch.hypot(x, y)
        longitude = torch.rad2deg(torch.atan2(y, x)) % 360.0
        return longitude, torch.rad2deg(torch.atan2(z, in_plane)), torch.hypot(in_plane, z)


@dataclass(frozen=True)
class Footprint:
    """A cone on the sky, or all of it.

    Parameters
    ----------
    l, b : float
        Galactic coordinates of the centre, deg.
    radius : float
        Angle from the centre to the edge, deg, at most 180: the whole sky.

    Raises
    ------
    MauryError
        Where the radius or the latitude makes no sense.
    """

    l: float = 0.0  # noqa: E741
    b: float = 0.0
    radius: float = 180.0

    def __post_init__(self) -> None:
        if not 0 < self.radius <= 180:
            raise MauryError(f"a footprint of radius {self.radius} deg: give 0 < radius <= 180")
        if not -90 <= self.b <= 90:
            raise MauryError(f"a footprint at b = {self.b} deg: latitudes are from -90 to 90")

    @property
    def solid_angle(self) -> float:
        """Steradians."""
        return 4 * math.pi * math.sin(math.radians(self.radius) / 2) ** 2

    @property
    def square_degrees(self) -> float:
        """Area on the sky, deg2."""
        return self.solid_angle * math.degrees(1) ** 2

    def contains(self, lon: Tensor, lat: Tensor) -> Tensor:
        """Whether directions (deg) lie inside, bool."""
        return separation(lon, lat, self.l, self.b) <= self.radius

    def bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """A range of l, at most 360 deg wide and not wrapped, and one of b that hold the cone."""
        low, high = self.b - self.radius, self.b + self.radius
        if low <= -90 or high >= 90:  # holds a pole
            around = (self.l - 180.0, self.l + 180.0)
            return around, (max(low, -90.0), min(high, 90.0))
        ratio = math.sin(math.radians(self.radius)) / math.cos(math.radians(self.b))
        half = math.degrees(math.asin(min(ratio, 1.0)))
        return (self.l - half, self.l + half), (low, high)


@dataclass(frozen=True)
class Boxes:
    """Boxes of places between limits of l, b (deg) and distance (pc): tensors (N,), float64.

    What bounds a density over a box is the range of galactocentric radius and of height in it.
    """

    l_low: Tensor
    l_high: Tensor
    b_low: Tensor
    b_high: Tensor
    near: Tensor
    far: Tensor

    def __len__(self) -> int:
        return len(self.near)

    def __getitem__(self, index: Tensor) -> Boxes:
        return Boxes(
            *(
                side[index]
                for side in (self.l_low, self.l_high, self.b_low, self.b_high, self.near, self.far)
            )
        )

    @property
    def volume(self) -> Tensor:
        """pc3."""
        width = torch.deg2rad(self.l_high - self.l_low)
        height = torch.sin(torch.deg2rad(self.b_high)) - torch.sin(torch.deg2rad(self.b_low))
        return width * height * (self.far**3 - self.near**3) / 3

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """One place in each box, uniform in volume: l, b (deg), distance (pc)."""
        u, v, w = uniform(3 * len(self), generator).reshape(3, -1)
        longitude = torch.lerp(self.l_low, self.l_high, u)
        low, high = torch.sin(torch.deg2rad(self.b_low)), torch.sin(torch.deg2rad(self.b_high))
        latitude = torch.rad2deg(torch.asin(torch.lerp(low, high, v).clamp(-1, 1)))
        distance = torch.lerp(self.near**3, self.far**3, w) ** (1 / 3)
        return longitude, latitude, distance

    def radii(self, sun: Sun) -> tuple[Tensor, Tensor]:
        """Least and greatest galactocentric radius in the plane, pc."""
        cosines = torch.cos(torch.deg2rad(torch.stack([self.b_low, self.b_high])))
        widest = torch.where((self.b_low < 0) & (self.b_high > 0), 1.0, cosines.amax(0))
        short, long = self.near * cosines.amin(0), self.far * widest
        toward, away = _cosine_range(self.l_low, self.l_high)

        def squared(in_plane: Tensor, cosine: Tensor) -> Tensor:
            return in_plane**2 + sun.radius**2 - 2 * sun.radius * in_plane * cosine

        closest = torch.minimum(torch.maximum(sun.radius * toward, short), long)
        greatest = torch.maximum(squared(short, away), squared(long, away))
        return squared(closest, toward).clamp(min=0).sqrt(), greatest.clamp(min=0).sqrt()

    def heights(self, sun: Sun) -> tuple[Tensor, Tensor]:
        """Least and greatest distance from the Galactic plane, pc."""
        low, high = torch.sin(torch.deg2rad(self.b_low)), torch.sin(torch.deg2rad(self.b_high))
        corners = torch.stack([d * s for d in (self.near, self.far) for s in (low, high)])
        bottom, top = corners.amin(0) + sun.height, corners.amax(0) + sun.height
        crosses = (bottom < 0) & (top > 0)
        ends = torch.stack([bottom.abs(), top.abs()])
        return torch.where(crosses, 0.0, ends.amin(0)), ends.amax(0)


def separation(lon: Tensor, lat: Tensor, other_lon: float, other_lat: float) -> Tensor:
    """Angle in deg between directions (deg) and one other, exact at small angles (haversine)."""
    half_lat = torch.deg2rad(lat - other_lat) / 2
    half_lon = torch.deg2rad(lon - other_lon) / 2
    scale = torch.cos(torch.deg2rad(lat)) * math.cos(math.radians(other_lat))
    haversine = torch.sin(half_lat) ** 2 + scale * torch.sin(half_lon) ** 2
    return 2 * torch.rad2deg(torch.asin(haversine.clamp(0, 1).sqrt()))


def _cosine_range(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Greatest and least cosine of angles (deg) between low and high, high - low <= 360."""
    ends = torch.cos(torch.deg2rad(torch.stack([low, high])))
    has_zero = torch.floor(high / 360.0) >= torch.ceil(low / 360.0)
    has_half = torch.floor((high - 180.0) / 360.0) >= torch.ceil((low - 180.0) / 360.0)
    return torch.where(has_zero, 1.0, ends.amax(0)), torch.where(has_half, -1.0, ends.amin(0))
