"""The published tables: what the Galaxy is made of.

`ROBIN_2003` is the model of Robin et al. 2003, A&A 409, 523 (with its erratum, A&A 416, 157):
local densities and axis ratios from table 2, density laws from table 3, ages, metallicities, their
gradients and the mass functions from table 1 (that of the bulge, published above 0.7 Msun, is
continued below), velocities from table 4; Galaxia (Sharma et al. 2011, ApJ 730, 3, tables 1 and 2)
carries the same laws. Stars of one burst (thick disc, halo, bulge) are given ages
within the last Gyr before the published one, because a density in age needs a width.

`BLAND_HAWTHORN_2016` has three components only, exponential discs and a halo, with the lengths and
shares that brutus 1.2 takes after Bland-Hawthorn & Gerhard 2016, ARA&A 54, 529: thin disc 2.6 and
0.3 kpc, thick disc 2.0 and 0.9 kpc and 4% at the Sun, halo 0.5%. Its ages and velocities are those
of Robin et al. 2003 for the same component, and its scale is their local density of the thin disc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from maury.sky.populations.milky_way.densities import (
    BoxyBulge,
    EinastoDisc,
    ExponentialDisc,
    FlatteningHalo,
    ParabolicDisc,
    PowerLawHalo,
    Shape,
)
from maury.sky.populations.milky_way.geometry import Boxes, Sun
from maury.sky.populations.milky_way.kinematics import VelocityEllipsoid

__all__ = ["BLAND_HAWTHORN_2016", "ROBIN_2003", "Component", "Galaxy"]


@dataclass(frozen=True, kw_only=True)
class Component:
    """Stars of one kind: where they are, how old, how metal-rich, and how they move.

    Parameters
    ----------
    name : str
    shape : Shape
        Density law, up to a factor.
    density : float
        Published density, per pc3.
    counted : {"mass", "stars"}
        Whether `density` is Msun in stars that still shine or a number of those.
    at : {"sun", "centre"}
        Where it is that dense.
    ages : tuple of 2 float
        Gyr; stars form at a steady rate in between.
    mh, mh_sigma : float
        Mean [Fe/H] at the Sun and its dispersion, dex.
    mh_gradient : float
        Of the mean with galactocentric radius, dex/kpc.
    velocity : VelocityEllipsoid
    slopes, breaks : tuple of float
        Of the initial mass function of primaries, ``dN/dm ~ m**-slope``, and the masses (Msun)
        where the slope changes. By default those of Kroupa 2001, MNRAS 322, 231.
    """

    name: str
    shape: Shape
    density: float
    counted: Literal["mass", "stars"] = "mass"
    at: Literal["sun", "centre"] = "sun"
    ages: tuple[float, float]
    mh: float
    mh_sigma: float
    mh_gradient: float = 0.0
    velocity: VelocityEllipsoid
    slopes: tuple[float, ...] = (1.3, 2.3)
    breaks: tuple[float, ...] = (0.5,)

    def __call__(self, place: Tensor, sun: Sun) -> Tensor:
        """Density (...,) at galactocentric places (..., 3), pc, in the published unit per pc3."""
        return self.density * self.shape(place) / self._unit(sun)

    def ceiling(self, boxes: Boxes, sun: Sun) -> Tensor:
        """What the density (N,) does not exceed in each box."""
        return self.density * self.shape.ceiling(boxes, sun) / self._unit(sun)

    def mean_mh(self, place: Tensor, sun: Sun) -> Tensor:
        """Mean [Fe/H] (...,) at places (..., 3); the gradient ends at twice the Sun's radius."""
        radius = torch.hypot(place[..., 0], place[..., 1]).clamp(max=2 * sun.radius)
        return self.mh + self.mh_gradient * (radius - sun.radius) / 1000.0

    def _unit(self, sun: Sun) -> float:
        where = [-sun.radius, 0.0, sun.height] if self.at == "sun" else [0.0, 0.0, 0.0]
        return float(self.shape(torch.tensor(where, dtype=torch.float64)))


@dataclass(frozen=True, kw_only=True)
class Galaxy:
    """Components, the Sun's place among them, and the circular velocity there (km/s)."""

    name: str
    components: tuple[Component, ...]
    sun: Sun
    circular_velocity: float

    def density(self, place: Tensor) -> Tensor:
        """Densities (..., C) of the components at places (..., 3), each in its published unit."""
        return torch.stack([component(place, self.sun) for component in self.components], -1)

    def component(self, name: str) -> Component:
        """The component of this name (KeyError where there is none)."""
        return {component.name: component for component in self.components}[name]


# Per age: ages (Gyr), local density (Msun / pc3), axis ratio, [Fe/H] and its dispersion,
# dispersions of velocity and drift (km/s).
_THIN = (
    ((0.0, 0.15), 3.999e-3, 0.0140, 0.01, 0.12, (16.7, 10.8, 6.0), 3.5),
    ((0.15, 1.0), 7.902e-3, 0.0268, 0.03, 0.12, (19.8, 12.8, 8.0), 3.1),
    ((1.0, 2.0), 6.224e-3, 0.0375, 0.03, 0.10, (27.2, 17.6, 10.0), 5.8),
    ((2.0, 3.0), 4.020e-3, 0.0551, 0.01, 0.11, (30.2, 19.5, 13.2), 7.3),
    ((3.0, 5.0), 5.814e-3, 0.0696, -0.07, 0.18, (36.7, 23.7, 15.8), 10.8),
    ((5.0, 7.0), 4.928e-3, 0.0785, -0.14, 0.17, (43.1, 27.8, 17.4), 14.8),
    ((7.0, 10.0), 6.590e-3, 0.0791, -0.37, 0.20, (43.1, 27.8, 17.5), 14.8),
)

_THICK_VELOCITY = VelocityEllipsoid((67.0, 51.0, 42.0), 53.0)
_HALO_VELOCITY = VelocityEllipsoid((131.0, 106.0, 85.0), 226.0)


def _thin_disc() -> tuple[Component, ...]:
    return tuple(
        Component(
            name=f"thin disc {ages[0]:g}-{ages[1]:g} Gyr",
            shape=EinastoDisc(ratio, *((5000.0, 3000.0) if young else (2530.0, 1320.0)), young),
            density=density,
            ages=ages,
            mh=mh,
            mh_sigma=sigma,
            mh_gradient=-0.07,
            velocity=VelocityEllipsoid(velocity, drift, -0.2),
            slopes=(1.6, 3.0),
            breaks=(1.0,),
        )
        for ages, density, ratio, mh, sigma, velocity, drift in _THIN
        for young in (ages[1] <= 0.15,)
    )


ROBIN_2003 = Galaxy(
    name="Robin et al. 2003",
    components=(
        *_thin_disc(),
        Component(
            name="thick disc",
            shape=ParabolicDisc(length=2500.0, height=800.0, join=400.0),
            density=1.34e-3,
            ages=(10.0, 11.0),
            mh=-0.78,
            mh_sigma=0.30,
            velocity=_THICK_VELOCITY,
            slopes=(0.5,),
            breaks=(),
        ),
        Component(
            name="halo",
            shape=PowerLawHalo(slope=2.44, flattening=0.76, core=500.0),
            density=9.32e-6,
            ages=(13.0, 14.0),
            mh=-1.78,
            mh_sigma=0.50,
            velocity=_HALO_VELOCITY,
            slopes=(0.5,),
            breaks=(),
        ),
        Component(
            name="bulge",
            shape=BoxyBulge(x0=1590.0, y0=424.0, z0=424.0, cutoff=2540.0, angle=11.1),
            density=13.70,
            counted="stars",
            at="centre",
            ages=(9.0, 10.0),
            mh=0.0,
            mh_sigma=0.40,
            velocity=VelocityEllipsoid((113.0, 115.0, 100.0), 79.0),
            slopes=(2.35,),
            breaks=(),
        ),
    ),
    sun=Sun(radius=8500.0, height=15.0),
    circular_velocity=226.0,
)
"""Robin et al. 2003. The halo does not rotate: its drift is the circular velocity."""

_LOCAL = sum(row[1] for row in _THIN)

BLAND_HAWTHORN_2016 = Galaxy(
    name="Bland-Hawthorn & Gerhard 2016",
    components=(
        Component(
            name="thin disc",
            shape=ExponentialDisc(length=2600.0, height=300.0, smoothing=2000.0),
            density=_LOCAL,
            ages=(0.0, 10.0),
            mh=-0.2,
            mh_sigma=0.3,
            velocity=VelocityEllipsoid((36.7, 23.7, 15.8), 10.8),
        ),
        Component(
            name="thick disc",
            shape=ExponentialDisc(length=2000.0, height=900.0, smoothing=2000.0),
            density=0.04 * _LOCAL,
            ages=(10.0, 11.0),
            mh=-0.7,
            mh_sigma=0.4,
            velocity=_THICK_VELOCITY,
        ),
        Component(
            name="halo",
            shape=FlatteningHalo(
                slope=4.2, smoothing=2000.0, inner_q=0.2, outer_q=0.8, scale=6000.0
            ),
            density=0.005 * _LOCAL,
            ages=(13.0, 14.0),
            mh=-1.6,
            mh_sigma=0.5,
            velocity=_HALO_VELOCITY,
        ),
    ),
    sun=Sun(radius=8200.0, height=25.0),
    circular_velocity=226.0,
)
"""The discs and halo of Bland-Hawthorn & Gerhard 2016, as brutus 1.2 takes them."""
