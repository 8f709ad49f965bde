"""The stars of a component: born by the mass function, shining by the isochrones.

Densities are published as mass in shining stars; what is drawn are systems as they were born. A
component that formed stars steadily between two ages has, per system born, a mean mass in systems
whose primary still shines, companions included; the published density over that is the density of
systems ever born there, of which those whose primary has died are left out.

Bright stars are rare in mass but not in phase, so stars are proposed evenly along the isochrone's
nodes of EEP and weighed by the mass function: ``dN = xi(m) (dm / dEEP) dEEP``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from maury.sky.isochrones import Isochrones, overall_metallicity
from maury.sky.isochrones.grid import IsochroneStars
from maury.sky.populations.binaries import companions
from maury.sky.populations.densities import TruncatedNormals, uniform
from maury.sky.populations.imf import BrokenPowerLaw, InitialMassFunction
from maury.sky.populations.milky_way.components import Component
from maury.sun import radius_from_light

__all__ = ["Stars", "StellarContent"]

_LN10 = math.log(10.0)
_METALLICITY = TruncatedNormals([1.0], [0.0], [1.0])
_MASSES, _AGES, _COMPANIONS = 1000, 12, 200_000
_MASS_RANGE = (0.08, 100.0)


@dataclass(frozen=True)
class Stars:
    """N systems without a place: tensors (N,).

    ``width`` is that of the interval of phase in mass, Msun, which times the mass function is the
    share of stars that it stands for; where the primary does not shine it is 0, the rest NaN.
    """

    mass: Tensor
    log_age: Tensor
    mh: Tensor
    teff: Tensor
    logg: Tensor
    log_lum: Tensor
    radius: Tensor
    q: Tensor
    companion_teff: Tensor
    companion_logg: Tensor
    companion_radius: Tensor
    width: Tensor

    def __getitem__(self, index: Tensor) -> Stars:
        return Stars(**{name: value[index] for name, value in vars(self).items()})


class StellarContent:
    """Stars of given ages and metallicities.

    Parameters
    ----------
    isochrones : Isochrones
    imf : InitialMassFunction, optional
        Of the primaries of all components, in place of their own.
    binaries : bool
        Whether there are companions.
    """

    def __init__(
        self,
        isochrones: Isochrones,
        imf: InitialMassFunction | None = None,
        *,
        binaries: bool = True,
    ) -> None:
        self.isochrones = isochrones
        self.binaries = binaries
        self._imf = imf

    def imf(self, part: Component) -> InitialMassFunction:
        """The mass function of a component's primaries."""
        return self._imf or BrokenPowerLaw(part.slopes, part.breaks, *_MASS_RANGE)

    def weight(self, part: Component, stars: Stars) -> Tensor:
        """Share of a component's stars (N,) that each of these stands for, 0 for dead ones."""
        mass = torch.where(stars.width > 0, stars.mass, 1.0)
        return torch.exp(self.imf(part).log_prob(mass)) * stars.width

    @property
    def phases(self) -> int:
        """Number of intervals between nodes of EEP."""
        return len(self.isochrones.eep) - 1

    @cached_property
    def mh_range(self) -> tuple[float, float]:
        """[Fe/H] that the isochrones have; metallicities are truncated there."""
        low, high = self.isochrones.mh[[0, -1]].tolist()
        iron = torch.linspace(low - 0.5, high, 10_001, dtype=torch.float64)
        overall = overall_metallicity(iron)
        known = iron[(overall >= low) & (overall <= high)]
        return float(known[0]), float(known[-1])

    def draw_mh(self, part: Component, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Draw [Fe/H] (N,) around means (N,) with the component's dispersion."""
        low, high = ((edge - mean) / part.mh_sigma for edge in self.mh_range)
        return mean + part.mh_sigma * _METALLICITY.sample(low, high, len(mean), generator)

    def log_prob_mh(self, part: Component, mh: Tensor, mean: Tensor) -> Tensor:
        """Log density per dex (N,) of [Fe/H] around a mean."""
        low, high = ((edge - mean) / part.mh_sigma for edge in self.mh_range)
        standard = _METALLICITY.log_prob((mh - mean) / part.mh_sigma, low, high)
        return standard - math.log(part.mh_sigma)

    def draw_log_age(self, part: Component, count: int, generator: torch.Generator) -> Tensor:
        """Draw log10 of ages in years (n,): a steady rate of formation."""
        young, old = part.ages
        return torch.log10(1e9 * torch.lerp(_like(young), _like(old), uniform(count, generator)))

    def log_prob_log_age(self, part: Component, log_age: Tensor) -> Tensor:
        """Log density per dex (N,) of log10 age."""
        age, (young, old) = 10.0 ** (log_age.double() - 9), part.ages
        inside = (age >= young * (1 - 1e-6)) & (age <= old * (1 + 1e-6))
        density = torch.log(_LN10 * age / (old - young))
        return density.masked_fill(~inside, -math.inf)

    def draw(
        self, log_age: Tensor, mh: Tensor, interval: Tensor, generator: torch.Generator
    ) -> Stars:
        """Draw one system of each age, [Fe/H] and interval of EEP (N,), evenly along the latter."""
        stars = self.between(log_age, mh, interval, uniform(len(mh), generator))
        return self._pair(stars, generator) if self.binaries else stars

    def between(self, log_age: Tensor, mh: Tensor, interval: Tensor, step: Tensor) -> Stars:
        """Single stars part of the way (N,), from 0 to 1, between two nodes of EEP.

        There the isochrones are linear in log mass, log Teff, log g and log L, so a star is a mean
        of the two nodes and its mass function needs no derivative.
        """
        overall = overall_metallicity(mh)
        nodes = self.isochrones.eep.to(mh)
        high = _logarithms(self.isochrones.at(overall, log_age, nodes[interval + 1]))
        low = _logarithms(self.isochrones.at(overall, log_age, nodes[interval]))
        # The lightest model lies between two nodes, of which the lower one is no star.
        edge = torch.nonzero(torch.isnan(low[0]) & torch.isfinite(high[0])).squeeze(1)
        part = step[edge]
        eep = torch.lerp(nodes[interval[edge]], nodes[interval[edge] + 1], part)
        inner = _logarithms(self.isochrones.at(overall[edge], log_age[edge], eep))
        low[:, edge] = (inner - part * high[:, edge]) / (1 - part)
        width = high[0] - low[0]
        log_mass, log_teff, logg, log_lum = torch.lerp(low, high, step)
        mass = torch.exp(log_mass)
        return Stars(
            mass=mass,
            log_age=log_age,
            mh=mh,
            teff=10.0**log_teff,
            logg=logg,
            log_lum=log_lum,
            radius=radius_from_light(log_lum, log_teff),
            q=torch.zeros_like(mass),
            companion_teff=torch.full_like(mass, math.nan),
            companion_logg=torch.full_like(mass, math.nan),
            companion_radius=torch.full_like(mass, math.nan),
            width=torch.where(torch.isfinite(width), mass * width, 0.0),
        )

    def _pair(self, stars: Stars, generator: torch.Generator) -> Stars:
        """Give companions to systems that shine."""
        alive = torch.nonzero(stars.width > 0).squeeze(1)
        q = torch.zeros_like(stars.mass)
        q[alive] = companions(stars.mass[alive], generator).to(q)
        return self.light_of_companions(replace(stars, q=q))

    def light_of_companions(self, stars: Stars) -> Stars:
        """Find the companions that `q` says, on the primary's own isochrone."""
        paired = torch.nonzero(stars.q > 0).squeeze(1)
        second = self.isochrones.evolve(
            (stars.q * stars.mass)[paired],
            stars.log_age[paired],
            overall_metallicity(stars.mh[paired]),
        )
        columns = {}
        for name in ("teff", "logg", "radius"):
            value = torch.full_like(stars.mass, math.nan)
            value[paired] = getattr(second, name).to(value)
            columns[f"companion_{name}"] = value
        return replace(stars, **columns)

    def born_per_published(self, part: Component) -> float:
        """Systems ever born for each unit (Msun or star) of a component's published density.

        Companions are counted where their primary shines, as systems are drawn no further: the
        flat mass function of thick disc and halo, which is known below the turn-off alone, would
        otherwise give 40% of their mass to companions of stars long dead.
        """
        generator = torch.Generator().manual_seed(0)
        mass = self.imf(part).sample(_COMPANIONS, generator)
        q = companions(mass, generator).double() if self.binaries else torch.zeros_like(mass)
        # Where a primary shines, so does its companion, which is lighter.
        each = mass * (1 + q) if part.counted == "mass" else 1 + (q > 0).double()
        return 1.0 / float((self._shining(part)(mass) * each).mean())

    def _shining(self, part: Component) -> Callable[[Tensor], Tensor]:
        """Share of the stars of a mass, born with the component, that still shine: a function."""
        low, high = math.log(self.imf(part).lower), math.log(self.imf(part).upper)
        grid = torch.linspace(low, high, _MASSES, dtype=torch.float64)
        young, old = part.ages
        middle = (torch.arange(_AGES, dtype=torch.float64) + 0.5) / _AGES
        log_age = torch.log10(1e9 * (young + (old - young) * middle))
        mh = torch.full((_AGES * _MASSES,), float(overall_metallicity(part.mh)))
        stars: IsochroneStars = self.isochrones.evolve(
            torch.exp(grid).repeat(_AGES), log_age.repeat_interleave(_MASSES), mh
        )
        # Lighter stars than one that shines do too, whether or not the isochrones have them.
        known = stars.inside.reshape(_AGES, _MASSES).double()
        share = known.flip(-1).cummax(-1).values.flip(-1).mean(0)

        def shining(mass: Tensor) -> Tensor:
            place = (torch.log(mass) - low) / (high - low) * (_MASSES - 1)
            below = place.long().clamp(0, _MASSES - 2)
            between = (place - below).clamp(0, 1)
            return torch.lerp(share[below], share[below + 1], between)

        return shining


def _logarithms(stars: IsochroneStars) -> Tensor:
    """What isochrones are linear in: ln mass, log10 Teff, log g, log10 L (4, N)."""
    return torch.stack([torch.log(stars.mass), torch.log10(stars.teff), stars.logg, stars.log_lum])


def _like(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
