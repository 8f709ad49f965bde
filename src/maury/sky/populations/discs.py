"""Circumstellar discs: their parameters, and the prior over them by a star's mass and age."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.populations.densities import uniform

__all__ = ["DISC", "DiscPrior", "Discs"]

DISC = ("disc_log_mass", "disc_log_inner_radius", "disc_flaring", "disc_cos_inclination")
"""The parameters of a disc, in the order of `Discs.theta`."""

_LN10 = math.log(10.0)


@dataclass(frozen=True, kw_only=True)
class Discs:
    """Discs of N stars; tensors (N,).

    Parameters
    ----------
    log_mass : Tensor
        log10 of the mass of gas and dust, Msun; -inf where there is no disc.
    log_inner_radius : Tensor
        log10 of the inner radius over that at which dust sublimates; 0 or more.
    flaring : Tensor
        Height over radius, at 100 au, of the surface that takes up the star's light; 0 is flat.
    cos_inclination : Tensor
        1 where seen face-on.

    Raises
    ------
    MauryError
        If the tensors do not describe the same number of discs.
    """

    log_mass: Tensor
    log_inner_radius: Tensor
    flaring: Tensor
    cos_inclination: Tensor

    def __post_init__(self) -> None:
        shapes = {tuple(getattr(self, field.name).shape) for field in fields(self)}
        if len(shapes) > 1:
            raise MauryError(f"Discs: columns of different shapes {sorted(shapes)}")

    def __len__(self) -> int:
        return len(self.log_mass)

    def __getitem__(self, index: slice | Tensor) -> Discs:
        """Some of the discs, by a slice, a mask (N,) or indices."""
        return Discs(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @property
    def present(self) -> Tensor:
        """Whether there is a disc, (N,) bool."""
        return torch.isfinite(self.log_mass)

    @property
    def theta(self) -> Tensor:
        """All four columns, (N, 4), in the order of `DISC`."""
        return torch.stack([getattr(self, field.name) for field in fields(self)], -1)

    @classmethod
    def none(cls, count: int, device: torch.device | str = "cpu") -> Discs:
        """Stars without discs."""
        empty = torch.zeros(count, device=device)
        return cls(
            log_mass=torch.full_like(empty, -math.inf),
            log_inner_radius=empty,
            flaring=empty,
            cos_inclination=torch.ones_like(empty),
        )


@dataclass(frozen=True, kw_only=True)
class DiscPrior:
    """Density over discs given a star's initial mass M and age t.

    A star has a disc with probability exp(-t / `lifetime`); its log10 mass is normal about that
    of 0.01 M (1e5 yr / t) with `mass_sigma`. The inner radius lies at the sublimation radius or,
    with an exponential in its logarithm, further out, which leaves about a tenth of discs with
    a hole ten times as wide (transitional discs: Espaillat et al. 2014, PPVI, 497). Flaring is
    uniform from flat to nearly that of gas and dust well mixed (0.6 at 84 au: Chiang & Goldreich
    1997, ApJ 490, 368). The inclination is random, but no disc lies before its star.

    Parameters
    ----------
    lifetime : float
        yr. 6 Myr is a little longer than near-infrared surveys give, 2 to 3 (Mamajek 2009).
    mass_sigma : float
        dex.
    hole_scale : float
        Mean of log10 inner radius over sublimation radius.
    widest_hole : float
        Largest such logarithm.
    flaring : float
        Largest.
    """

    lifetime: float = 6e6
    mass_sigma: float = 0.5
    hole_scale: float = 0.4
    widest_hole: float = 2.5
    flaring: float = 0.5

    def probability(self, log_age: Tensor) -> Tensor:
        """Share of stars with a disc at log10 age in years (any shape)."""
        return torch.exp(-(10.0 ** log_age.double()) / self.lifetime)

    def sample(self, mass: Tensor, log_age: Tensor, generator: torch.Generator) -> Discs:
        """Draw a disc, or none, for each star of initial mass (N,), Msun, and log10 age (N,)."""
        count = len(mass)
        present = uniform(count, generator) < self.probability(log_age)
        scatter = torch.randn(
            count, generator=generator, dtype=torch.float64, device=generator.device
        )
        log_mass = self._mean_log_mass(mass, log_age) + self.mass_sigma * scatter
        kept = math.expm1(-self.widest_hole / self.hole_scale)
        hole = -self.hole_scale * torch.log1p(uniform(count, generator) * kept)
        flaring = self.flaring * uniform(count, generator)
        lowest = _grazing(flaring)
        cosine = lowest + (1.0 - lowest) * uniform(count, generator)
        without = Discs.none(count, generator.device).theta
        drawn = torch.stack([log_mass, hole, flaring, cosine], -1).float()
        columns = torch.where(present[:, None], drawn, without).unbind(-1)
        names = (field.name for field in fields(Discs))
        return Discs(**dict(zip(names, columns, strict=True)))

    def log_prob(self, discs: Discs, mass: Tensor, log_age: Tensor) -> Tensor:
        """Log density (N,) at discs of stars of given mass and age; -inf outside.

        Per dex, dex, unit of flaring and unit of cosine where there is a disc; the probability
        of having none elsewhere.
        """
        log_mass, hole, flaring, cosine = discs.theta.double().unbind(-1)
        share = self.probability(log_age)
        kept = -math.expm1(-self.widest_hole / self.hole_scale)
        z = (log_mass - self._mean_log_mass(mass, log_age)) / self.mass_sigma
        lowest = _grazing(flaring)
        density = (
            torch.log(share)
            - 0.5 * z**2
            - math.log(self.mass_sigma * math.sqrt(2 * math.pi))
            - hole / self.hole_scale
            - math.log(self.hole_scale * kept)
            - math.log(self.flaring)
            - torch.log(1.0 - lowest)
        )
        # Draws are rounded to float32, at the edges too.
        inside = (hole >= 0) & (hole <= self.widest_hole + 1e-6)
        inside &= (flaring >= 0) & (flaring <= self.flaring + 1e-6)
        inside &= (cosine >= lowest - 1e-6) & (cosine <= 1)
        density = density.masked_fill(~inside, -math.inf)
        none = torch.isneginf(log_mass)
        return torch.where(none, torch.log1p(-share), density)

    @staticmethod
    def _mean_log_mass(mass: Tensor, log_age: Tensor) -> Tensor:
        return torch.log10(0.01 * mass.double()) - (log_age.double() - 5.0)


def _grazing(flaring: Tensor) -> Tensor:
    """Cosine of the inclination at which the line of sight to the star touches the surface."""
    return flaring / torch.sqrt(1.0 + flaring**2)
