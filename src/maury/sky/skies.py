"""A sky: stars' parameters and the magnitudes they show before any survey has measured them.

`ColourSky` holds stars of five parameters whose brightness says nothing; `PlacedSky` holds stellar
systems at a distance, with companions and, where young, discs; `MixedSky` shows each star as one of
several skies would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from maury.sky.bands import AB_CONSTANT, band
from maury.sky.magnitude_table import MagnitudeTable
from maury.sky.populations.base import Population
from maury.sky.populations.brightness import apparent_magnitudes
from maury.sky.populations.disc_light import DiscLight
from maury.sky.populations.discs import DiscPrior
from maury.sky.populations.surveyed import SurveyedGalaxy
from maury.sky.populations.surveyed.cells import YOUNG
from maury.sky.populations.systems import Systems

__all__ = [
    "POPULATIONS",
    "ColourSky",
    "MixedSky",
    "PlacedSky",
    "Sky",
    "SkyStars",
    "reference_column",
]

REFERENCE_WAVELENGTH = 6200.0
"""A star's brightness is its magnitude in the band nearest to this wavelength (Angstrom)."""

POPULATIONS = ("field", "young without disc", "young with disc")
"""What a star of a `PlacedSky` may be; `SkyStars.population` counts in this order."""

FAINTEST = 22.0
"""Systems fainter than this in the reference band are met by no survey."""


@dataclass(frozen=True)
class SkyStars:
    """N stars of a sky.

    Parameters
    ----------
    theta : Tensor (N, D)
        Parameters in physical units.
    magnitudes : Tensor (N, B)
        Apparent, in the sky's bands, free of noise.
    population : Tensor (N,) int64
        Index into `POPULATIONS`; 0 in a sky that knows none.
    """

    theta: Tensor
    magnitudes: Tensor
    population: Tensor


class Sky(Protocol):
    """An endless, seeded supply of stars."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of theta's columns."""

    def draw(self, count: int, generator: torch.Generator) -> SkyStars:
        """Draw ``count`` stars."""


class ColourSky:
    """Stars behind dust whose brightness is uniform and independent of everything else.

    Parameters
    ----------
    prior : Population
    table : MagnitudeTable
        Its bands are the sky's.
    brightest, faintest : float
        Magnitudes in the reference band between which stars lie.
    """

    def __init__(
        self, prior: Population, table: MagnitudeTable, *, brightest: float, faintest: float
    ) -> None:
        self.prior, self.table = prior, table
        self.brightest, self.faintest = brightest, faintest
        self._reference = reference_column(table.bands)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of theta's columns."""
        return tuple(self.prior.parameters)

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> SkyStars:
        """Draw ``count`` stars; what the library does not cover is drawn anew."""
        theta = self.prior.sample(count, generator)
        magnitudes, inside = self.table(theta)
        while not inside.all():
            outside = (~inside).nonzero().squeeze(-1)
            theta[outside] = self.prior.sample(len(outside), generator)
            magnitudes[outside], inside[outside] = self.table(theta[outside])
        brightness = torch.rand(count, generator=generator)
        brightness = self.brightest + (self.faintest - self.brightest) * brightness
        magnitudes = magnitudes + (brightness - magnitudes[:, self._reference])[:, None]
        return SkyStars(theta, magnitudes, torch.zeros(count, dtype=torch.int64))


class PlacedSky:
    """Stellar systems at their distances.

    Parameters
    ----------
    population : SurveyedGalaxy
    table : MagnitudeTable
        Its bands are the sky's.
    """

    def __init__(self, population: SurveyedGalaxy, table: MagnitudeTable) -> None:
        self.population, self.table = population, table
        self.discs = DiscPrior()
        self._disc_light = DiscLight([band(name) for name in table.bands])
        self._zero_points = torch.tensor([band(name).zero_point for name in table.bands])
        self._reference = reference_column(table.bands)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of theta's columns."""
        return self.population.parameters

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> SkyStars:
        """Draw ``count`` stars; what the library does not cover, or none could see, drawn anew."""
        parts: list[SkyStars] = []
        missing = count
        while missing > 0 or not parts:
            found = self._candidates(missing + missing // 8 + 16, generator)
            parts.append(_first(found, missing))
            missing -= len(parts[-1].theta)
        return SkyStars(
            *(
                torch.cat([getattr(part, name) for part in parts])
                for name in ("theta", "magnitudes", "population")
            )
        )

    @torch.no_grad()
    def magnitudes(self, theta: Tensor) -> Tensor:
        """Apparent magnitudes (N, B) of systems theta (N, D) without discs; NaN where not known."""
        return apparent_magnitudes(self.table, self.population.systems(theta))

    def _candidates(self, count: int, generator: torch.Generator) -> SkyStars:
        systems = self.population.sample(count, generator)
        theta = self.population.theta(systems, generator)
        magnitudes = apparent_magnitudes(self.table, systems)
        population = (systems.log_age < YOUNG).long()
        population = self._add_discs(systems, magnitudes, population, generator)
        seen = torch.isfinite(magnitudes).all(1) & (magnitudes[:, self._reference] < FAINTEST)
        return SkyStars(theta[seen], magnitudes[seen], population[seen])

    def _add_discs(
        self, systems: Systems, magnitudes: Tensor, population: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Brighten the young by their discs, in place; returns who is what."""
        young = population.nonzero().squeeze(-1)
        stars = systems[young]
        discs = self.discs.sample(stars.mass, stars.log_age, generator)
        ten, dustless = (torch.full_like(stars.distance, value) for value in (10.0, 1.01e-4))
        bare = apparent_magnitudes(self.table, replace(stars, distance=ten, a_v=dustless))
        starlight = 10 ** (-0.4 * (bare + self._zero_points - AB_CONSTANT).double())
        ratio = self._disc_light.flux(stars.teff, stars.radius, discs) / starlight
        # The disc lies behind the same dust as its star, so that ratios survive it.
        magnitudes[young] -= (2.5 * torch.log10(1 + ratio)).float()
        return population.index_put((young,), 1 + discs.present.long())


class MixedSky:
    """Each star by one of several skies, all as likely: no one spectral library is the truth.

    What one of the skies cannot show is drawn anew there, so such stars are rarer in the mixture.

    Parameters
    ----------
    skies : sequence of Sky
        Of the same parameters and bands.
    """

    def __init__(self, skies: Sequence[Sky]) -> None:
        self.skies = tuple(skies)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of theta's columns."""
        return self.skies[0].parameters

    def draw(self, count: int, generator: torch.Generator) -> SkyStars:
        """Draw ``count`` stars."""
        chosen = torch.randint(len(self.skies), (count,), generator=generator)
        order = chosen.argsort(stable=True).argsort()
        counts = chosen.bincount(minlength=len(self.skies)).tolist()
        parts = [sky.draw(n, generator) for sky, n in zip(self.skies, counts, strict=True)]
        return SkyStars(
            *(
                torch.cat([getattr(part, name) for part in parts])[order]
                for name in ("theta", "magnitudes", "population")
            )
        )


def reference_column(bands: Sequence[str]) -> int:
    """The column by whose magnitude a star's brightness goes."""
    offset = [abs(band(name).pivot - REFERENCE_WAVELENGTH) for name in bands]
    return offset.index(min(offset))


def _first(stars: SkyStars, count: int) -> SkyStars:
    return SkyStars(stars.theta[:count], stars.magnitudes[:count], stars.population[:count])
