"""How stars of one kind are spread over the Galaxy: the shapes of published density laws.

Robin et al. 2003, A&A 409, 523, table 3, whose laws Galaxia uses too (Sharma et al. 2011, ApJ 730,
3, table 1): Einasto discs with a hole, a thick disc that is parabolic near the plane, a flattened
power-law halo and a boxy bulge. And the exponential discs and the halo of changing flattening with
which brutus describes the Galaxy of Bland-Hawthorn & Gerhard 2016, ARA&A 54, 529.

A shape has no scale: components multiply it by a published local or central density. ``ceiling``
bounds it over ranges of radius and height, which makes exact sampling by rejection possible.
Lengths are in pc, tensors float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from maury.sky.populations.milky_way.geometry import Boxes, Sun

__all__ = [
    "BoxyBulge",
    "EinastoDisc",
    "ExponentialDisc",
    "FlatteningHalo",
    "ParabolicDisc",
    "PowerLawHalo",
    "Shape",
]


class Shape(Protocol):
    """A density law up to a factor."""

    def __call__(self, place: Tensor) -> Tensor:
        """Density (...,) at galactocentric places (..., 3), pc."""
        ...

    def ceiling(self, boxes: Boxes, sun: Sun) -> Tensor:
        """A number (N,) that the density does not exceed anywhere in each box."""
        ...


@dataclass(frozen=True)
class EinastoDisc:
    """A disc of ellipsoids of constant density, less a smaller one: a hole in the middle.

    Robin et al. 2003, table 3, with ``a**2 = R**2 + (z / axis_ratio)**2``: if young,
    ``exp(-(a/outer)**2) - exp(-(a/inner)**2)``, otherwise
    ``exp(-sqrt(1/4 + (a/outer)**2)) - exp(-sqrt(1/4 + (a/inner)**2))``. Warp and flare, which the
    paper keeps outside that table, are left out.

    Parameters
    ----------
    axis_ratio : float
        Height over radius of the ellipsoids.
    outer, inner : float
        Scales of disc and hole, pc.
    young : bool
        The law of the youngest stars (below 0.15 Gyr).
    """

    axis_ratio: float
    outer: float
    inner: float
    young: bool = False

    def __call__(self, place: Tensor) -> Tensor:
        x, y, z = place.unbind(-1)
        return self._profile(x**2 + y**2 + (z / self.axis_ratio) ** 2)

    def ceiling(self, boxes: Boxes, sun: Sun) -> Tensor:
        # The profile rises to one peak and falls beyond: at its highest as near that as may be.
        radius, height = boxes.radii(sun), boxes.heights(sun)
        low = radius[0] ** 2 + (height[0] / self.axis_ratio) ** 2
        high = radius[1] ** 2 + (height[1] / self.axis_ratio) ** 2
        peak = torch.full_like(low, self._peak)
        return self._profile(torch.minimum(torch.maximum(peak, low), high)) * (1 + 1e-9)

    @cached_property
    def _peak(self) -> float:
        """Where the profile is highest, pc2, by bisection of its slope."""
        low, high = 0.0, (10 * self.outer) ** 2
        for _ in range(200):
            middle = (low + high) / 2
            place = torch.tensor(middle, dtype=torch.float64, requires_grad=True)
            (slope,) = torch.autograd.grad(self._profile(place), place)
            low, high = (middle, high) if slope > 0 else (low, middle)
        return (low + high) / 2

    def _profile(self, squared: Tensor) -> Tensor:
        terms = [squared / scale**2 for scale in (self.outer, self.inner)]
        if not self.young:
            terms = [torch.sqrt(0.25 + term) for term in terms]
        return torch.exp(-terms[0]) - torch.exp(-terms[1])


@dataclass(frozen=True)
class ParabolicDisc:
    """An exponential disc whose profile in height is a parabola near the plane.

    Robin et al. 2003, table 3 (the thick disc): radially ``exp(-R / length)``; in height
    ``1 - z**2 / (join * (2 * height + join))`` up to ``join`` and
    ``exp((join - |z|) / height) / (1 + join / (2 * height))`` beyond, smooth at the join. pc.
    """

    length: float
    height: float
    join: float

    def __call__(self, place: Tensor) -> Tensor:
        x, y, z = place.unbind(-1)
        return self._profile(torch.hypot(x, y), z.abs())

    def ceiling(self, boxes: Boxes, sun: Sun) -> Tensor:
        return self._profile(boxes.radii(sun)[0], boxes.heights(sun)[0])

    def _profile(self, radius: Tensor, height: Tensor) -> Tensor:
        near = 1 - height**2 / (self.join * (2 * self.height + self.join))
        far = torch.exp((self.join - height) / self.height) / (1 + self.join / (2 * self.height))
        return torch.exp(-radius / self.length) * torch.where(height <= self.join, near, far)


@dataclass(frozen=True)
class PowerLawHalo:
    """A flattened power law with a core.

    Robin et al. 2003, table 3: ``max(a, core)**-slope`` with ``a**2 = R**2 + (z / flattening)**2``.
    """

    slope: float
    flattening: float
    core: float

    def __call__(self, place: Tensor) -> Tensor:
        x, y, z = place.unbind(-1)
        return self._profile(x**2 + y**2, z)

    def ceiling(self, boxes: Boxes, sun: Sun) -> Tensor:
        return self._profile(boxes.radii(sun)[0] ** 2, boxes.heights(sun)[0])

    def _profile(self, radius_squared: Tensor, height: Tensor) -> Tensor:
        squared = radius_squared + (height / self.flattening) ** 2
        return (squared.clamp(min=self.core**2) / self.core**2) ** (-self.slope / 2)


@dataclass(frozen=True)
class BoxyBulge:
    """A bar of boxy outline: 1 at the centre.

    Robin et al. 2003, section 2.4 and table 3, after Dwek et al. 1995, ApJ 445, 716 (G2):
    ``exp(-r**2 / 2)`` with ``r**4 = ((x/x0)**2 + (y/y0)**2)**2 + (z/z0)**4`` along the bar's axes,
    and times ``exp(-((R - cutoff) / 500 pc)**2 / 2)`` beyond the cutoff. Of the published angles
    only the one in the plane is kept: the tilt out of it (3.5 deg) moves the bar's end by 100 pc.

    Parameters
    ----------
    x0, y0, z0, cutoff : float
        pc.
    angle : float
        From the direction of the Sun to the bar's near end, towards positive l, deg.
    """

    x0: float
    y0: float
    z0: float
    cutoff: float
    angle: float

    def __call__(self, place: Tensor) -> Tensor:
        x, y, z = place.unbind(-1)
        cosine, sine = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        along = (-x * cosine + y * sine) / self.x0
        across = (x * sine + y * cosine) / self.y0
        return self._profile(along**2 + across**2, torch.hypot(x, y), z)

    def ceiling(self, boxes: Boxes, sun: Sun) -> Tensor:
        # As if every direction were that of the bar, where the density falls most slowly.
        radius, height = boxes.radii(sun)[0], boxes.heights(sun)[0]
        return self._profile((radius / max(self.x0, self.y0)) ** 2, radius, height)

    def _profile(self, in_plane: Tensor, radius: Tensor, height: Tensor) -> Tensor:
        squared = torch.hypot(in_plane, (height / self.z0) ** 2)
        beyond = (radius - self.cutoff).clamp(min=0) / 500.0
        return torch.exp(-0.5 * (squared + beyond**2))


@dataclass(frozen=True)
class ExponentialDisc:
    """``exp(-sqrt(R**2 + smoothing**2) / length - |z| / height)``; pc."""

    length: float
    height: float
    smoothing: float

    def __call__(self, place: Tensor) -> Tensor:
        x, y, z = place.unbind(-1)
        return self._profile(torch.hypot(x, y), z.abs())

    def ceiling(self, boxes: Boxes, sun: Sun) -> Tensor:
        return self._profile(boxes.radii(sun)[0], boxes.heights(sun)[0])

    def _profile(self, radius: Tensor, height: Tensor) -> Tensor:
        smoothed = torch.sqrt(radius**2 + self.smoothing**2)
        return torch.exp(-smoothed / self.length - height / self.height)


@dataclass(frozen=True)
class FlatteningHalo:
    """A power law that is flatter in the middle.

    ``(R**2 + (z / q)**2 + smoothing**2)**(-slope / 2)`` with
    ``q = outer_q - (outer_q - inner_q) * exp(1 - sqrt(r**2 + scale**2) / scale)``, the form of Xue
    et al. 2015, ApJ 809, 144; scaled by the smoothing length, pc.
    """

    slope: float
    smoothing: float
    inner_q: float
    outer_q: float
    scale: float

    def __call__(self, place: Tensor) -> Tensor:
        x, y, z = place.unbind(-1)
        squared = x**2 + y**2
        return self._profile(squared, z, self._q(squared + z**2))

    def ceiling(self, boxes: Boxes, sun: Sun) -> Tensor:
        radius, height = boxes.radii(sun), boxes.heights(sun)
        roundest = self._q(radius[1] ** 2 + height[1] ** 2)
        return self._profile(radius[0] ** 2, height[0], roundest)

    def _q(self, squared: Tensor) -> Tensor:
        reach = torch.sqrt(squared + self.scale**2) / self.scale
        return self.outer_q - (self.outer_q - self.inner_q) * torch.exp(1 - reach)

    def _profile(self, radius_squared: Tensor, height: Tensor, q: Tensor) -> Tensor:
        squared = (radius_squared + (height / q) ** 2) / self.smoothing**2 + 1
        return squared ** (-self.slope / 2)
