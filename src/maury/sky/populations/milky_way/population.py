"""The Milky Way as a population: systems in any part of the sky, down to any magnitude.

Sampling is by rejection, and exact. A view cuts its part of the sky into boxes of direction and
distance; in each, a component has no more systems than its greatest density there times the box's
volume, times the share of them that could be seen from the box's near side through the least dust.
A system is proposed in a box by these numbers, its place even in the box, its phase from those
that are seen at such distances; then it is kept by its true density, weight and brightness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.isochrones import Isochrones, load_isochrones
from maury.sky.photometry import MagnitudeTable, cached_table
from maury.sky.populations.binaries import log_prob as log_prob_of_companions
from maury.sky.populations.densities import TruncatedNormals, float32_bounds, uniform
from maury.sky.populations.dust import FIELD_DUST
from maury.sky.populations.imf import InitialMassFunction
from maury.sky.populations.milky_way.components import ROBIN_2003, Component, Galaxy
from maury.sky.populations.milky_way.dust_map import DustDisc, DustMap
from maury.sky.populations.milky_way.geometry import Boxes, Footprint
from maury.sky.populations.milky_way.limit import Limit, Proposal
from maury.sky.populations.milky_way.stars import Stars, StellarContent
from maury.sky.populations.milky_way.tiles import least_extinction, tile
from maury.sky.populations.systems import Systems

__all__ = ["MilkyWay", "View"]

_PILOT = 30_000
"""Stars of each component from which a view learns which are seen."""

_REDDENED = 200
"""Shining stars among them that tell how little dust dims a band."""

_SMALLEST, _BATCH = 1 << 12, 1 << 17
"""Systems proposed at a time."""

_SPARE = 1.1
"""How many more are proposed than should suffice."""

_TRIAL = 1 << 18
_REPEATED = 0.01
"""Share of the weight that may come out as a star drawn more than once."""


class MilkyWay:
    """Stars of the Galaxy, with the dust before them.

    Parameters
    ----------
    galaxy : Galaxy
        Its components: `ROBIN_2003` or `BLAND_HAWTHORN_2016`.
    dust : DustMap, optional
        By default a `DustDisc` around the galaxy's Sun.
    isochrones : Isochrones, optional
        The packaged ones by default.
    imf : InitialMassFunction, optional
        Of the primaries of all components, in place of the published ones.
    binaries : bool
        Whether there are companions.
    r_v_mean, r_v_sigma : float
        R_V of each star, normal between 2.3 and 5.6; all the same where the sigma is 0.
    """

    def __init__(
        self,
        galaxy: Galaxy = ROBIN_2003,
        *,
        dust: DustMap | None = None,
        isochrones: Isochrones | None = None,
        imf: InitialMassFunction | None = None,
        binaries: bool = True,
        r_v_mean: float = FIELD_DUST.r_v_mean,
        r_v_sigma: float = FIELD_DUST.r_v_sigma,
    ) -> None:
        self.galaxy = galaxy
        self.dust = DustDisc(sun=galaxy.sun) if dust is None else dust
        self.content = StellarContent(
            load_isochrones() if isochrones is None else isochrones,
            imf,
            binaries=binaries,
        )
        self.r_v_mean, self.r_v_sigma = r_v_mean, r_v_sigma

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the galaxy's components, in the order of `Systems.component`."""
        return tuple(part.name for part in self.galaxy.components)

    @cached_property
    def born(self) -> Tensor:
        """Systems ever born for each unit of the components' published densities, (C,)."""
        parts = self.galaxy.components
        return torch.tensor(
            [self.content.born_per_published(part) for part in parts], dtype=torch.float64
        )

    def density(self, place: Tensor) -> Tensor:
        """Systems ever born per pc3 (..., C), by component, at galactocentric places (..., 3)."""
        return self.galaxy.density(place) * self.born

    def view(
        self,
        footprint: Footprint | None = None,
        *,
        band: str | None = None,
        faintest: float | None = None,
        table: MagnitudeTable | None = None,
        farthest: float = 100_000.0,
    ) -> View:
        """A part of the sky, down to a magnitude, to sample from.

        Parameters
        ----------
        footprint : Footprint, optional
            The whole sky by default.
        band : str, optional
            SVO id of the band of the limiting magnitude; without one, all that shines is seen.
        faintest : float, optional
            The limiting magnitude, of systems (companions included) behind their dust.
        table : MagnitudeTable, optional
            Magnitudes of stars in this band, and it may be in others; by default made of the
            default spectral library. Stars that it does not cover are not seen.
        farthest : float
            pc; the halo has no end of its own.

        Raises
        ------
        MauryError
            If only one of band and magnitude is given, or the distance is not positive, or the
            view holds no stars.
        """
        if (band is None) != (faintest is None):
            raise MauryError("a magnitude limit needs both, a band and the faintest magnitude")
        if not farthest > 0:
            raise MauryError(f"a view to {farthest} pc: the distance must be positive")
        limit = None
        if band is not None and faintest is not None:
            table = cached_table("phoenix-kurucz", [band]) if table is None else table
            limit = Limit(band, faintest, table)
        return View(self, Footprint() if footprint is None else footprint, limit, farthest)

    def log_intensity(
        self, lon: Tensor, lat: Tensor, distance: Tensor, log_age: Tensor, mh: Tensor, mass: Tensor
    ) -> Tensor:
        """Log of the expected number of systems born per sr, pc, dex, dex and Msun.

        Where stars of two such models differ only in what this says, one set of them serves both,
        weighted by the ratio. Dust, companions and velocities have densities of their own, given
        these.

        Parameters
        ----------
        lon, lat : Tensor
            Galactic, deg (N,).
        distance : Tensor
            pc (N,).
        log_age, mh, mass : Tensor
            log10 years, [Fe/H], initial mass of the primary in Msun (N,).

        Returns
        -------
        Tensor
            (N,), -inf where there are none.
        """
        place = self.galaxy.sun.galactocentric(lon.double(), lat.double(), distance.double())
        numbers = torch.log(self.density(place))
        terms = []
        for index, part in enumerate(self.galaxy.components):
            mean = part.mean_mh(place, self.galaxy.sun)
            terms.append(
                numbers[:, index]
                + self.content.log_prob_log_age(part, log_age)
                + self.content.log_prob_mh(part, mh.double(), mean)
                + self.content.imf(part).log_prob(mass)
            )
        return torch.logsumexp(torch.stack(terms), 0) + 2 * torch.log(distance.double())

    def log_prob_of_companion(self, q: Tensor, mass: Tensor) -> Tensor:
        """Log of the law of the mass ratio (N,): a share at 0, a density elsewhere."""
        if not self.content.binaries:
            return torch.where(q == 0, 0.0, -math.inf)
        return log_prob_of_companions(q, mass)

    def draw_r_v(self, count: int, generator: torch.Generator) -> Tensor:
        """R_V (n,), float64."""
        if self.r_v_sigma == 0:
            return torch.full((count,), self.r_v_mean, dtype=torch.float64)
        bounds = float32_bounds(FIELD_DUST.r_v_lower, FIELD_DUST.r_v_upper)
        low, high = torch.tensor(bounds, dtype=torch.float64)
        law = TruncatedNormals([1.0], [self.r_v_mean], [self.r_v_sigma])
        return law.sample(low, high, count, generator)


@dataclass(frozen=True)
class _Candidates:
    """Systems that were proposed and lie where stars are, with their weights (N,)."""

    stars: Stars
    part: Tensor
    place: Tensor
    distance: Tensor
    a_v: Tensor
    r_v: Tensor
    weight: Tensor


class View:
    """A part of the sky down to a magnitude; made by `MilkyWay.view`.

    Attributes
    ----------
    expected_count : float
        How many systems there are, from a trial of some hundred thousand; its relative error is
        `count_error`.
    """

    def __init__(
        self, model: MilkyWay, footprint: Footprint, limit: Limit | None, farthest: float
    ) -> None:
        self.model, self.footprint, self.limit = model, footprint, limit
        boxes, depth = tile(footprint, farthest)
        generator = torch.Generator().manual_seed(0)
        pilots = [self._pilot(part, generator) for part in model.galaxy.components]
        modulus = self._least_modulus(boxes, depth, pilots)
        self._proposals = [
            Proposal.learn(
                interval,
                model.content.weight(part, stars),
                self._headroom(stars),
                model.content.phases,
            )
            for part, (interval, stars) in zip(model.galaxy.components, pilots, strict=True)
        ]
        rows, numbers = [], []
        for part, proposal, born in zip(
            model.galaxy.components, self._proposals, model.born, strict=True
        ):
            row = proposal.of(modulus)
            most = part.ceiling(boxes, model.galaxy.sun)
            rows.append(row)
            numbers.append(born * most * boxes.volume * proposal.visible[row])
        # One list of pairs of component and box, without those where nothing is seen.
        number = torch.cat(numbers)
        pairs = torch.nonzero(number > 0).squeeze(1)
        if not len(pairs):
            raise MauryError(
                f"no star of {model.galaxy.name} is seen there: the limiting magnitude is too "
                "bright, or the distance too short"
            )
        self._part, self._box = pairs // len(boxes), pairs % len(boxes)
        self._boxes, self._row = boxes, torch.cat(rows)[pairs]
        self._number = number[pairs]
        self._cumulative = torch.cumsum(self._number, 0)
        trial = [self._propose(_BATCH, generator) for _ in range(_TRIAL // _BATCH)]
        weight = torch.cat([candidates.weight for candidates in trial])
        if not (weight > 0).any():
            raise MauryError(
                f"hardly a star of {model.galaxy.name} is seen there: none in a trial of {_TRIAL}"
            )
        self._unit = _repeating(weight)
        self._kept = float(weight.sum() / self._unit / _TRIAL)
        share = weight.sum() / _TRIAL
        variance = (weight**2).sum() / _TRIAL - share**2
        self.expected_count = float(self._cumulative[-1] * share)
        self.count_error = float((variance / _TRIAL).sqrt() / share)

    def sample(self, n: int, generator: torch.Generator) -> Systems:
        """Draw ``n`` systems of this view, in random order.

        Positions are galactocentric and velocities in their frame (see `geometry`). A few systems
        in a thousand come twice, at the same place: where the trial underrated their weight.
        """
        kept: list[Systems] = []
        count = 0
        while count < n:
            missing = n - count
            batch = min(max(int(_SPARE * missing / self._kept), _SMALLEST), _BATCH)
            found = self._keep(self._propose(batch, generator), generator)
            kept.append(found)
            count += len(found)
        every = Systems.concatenate(kept)
        return every[torch.randperm(len(every), generator=generator)[:n]]

    def log_prob(
        self, lon: Tensor, lat: Tensor, distance: Tensor, log_age: Tensor, mh: Tensor, mass: Tensor
    ) -> Tensor:
        """Log density (N,) of systems that are seen here, per sr, pc, dex, dex and Msun.

        `MilkyWay.log_intensity` over the number of systems in the view. It holds for systems
        brighter than the limit; whether one is, its companion and its dust decide.
        """
        intensity = self.model.log_intensity(lon, lat, distance, log_age, mh, mass)
        inside = self.footprint.contains(lon.double(), lat.double())
        return (intensity - math.log(self.expected_count)).masked_fill(~inside, -math.inf)

    def _pilot(self, part: Component, generator: torch.Generator) -> tuple[Tensor, Stars]:
        """Stars of a component as they are at the Sun, evenly among phases, and their phases."""
        content = self.model.content
        interval = torch.randint(content.phases, (_PILOT,), generator=generator)
        mean = torch.full((_PILOT,), part.mh, dtype=torch.float64)
        stars = content.draw(
            content.draw_log_age(part, _PILOT, generator),
            content.draw_mh(part, mean, generator),
            interval,
            generator,
        )
        return interval, stars

    def _headroom(self, stars: Stars) -> Tensor | None:
        """Distance modulus (N,) up to which stars are seen without dust."""
        if self.limit is None:
            return None
        clear = torch.zeros_like(stars.teff)
        ratio = torch.full_like(clear, self.model.r_v_mean)
        return self.limit.faintest - self.limit.magnitude(stars, clear, ratio)

    def _least_modulus(
        self, boxes: Boxes, depth: int, pilots: list[tuple[Tensor, Stars]]
    ) -> Tensor:
        """Distance modulus (N,) at each box's near side, with the least dust that stars feel."""
        modulus = 5 * torch.log10(boxes.near / 10.0)
        if self.limit is None:
            return modulus
        a_v = least_extinction(self.model.dust, boxes, depth)
        amounts = torch.linspace(0.0, 20.0, 21, dtype=torch.float64)
        spread = 4 * self.model.r_v_sigma
        ratios = (
            max(self.model.r_v_mean - spread, FIELD_DUST.r_v_lower),
            min(self.model.r_v_mean + spread, FIELD_DUST.r_v_upper),
        )
        shining = [stars[stars.width > 0][torch.arange(_REDDENED)] for _, stars in pilots]
        dimmed = torch.stack(
            [self.limit.least_reddening(stars, amounts, ratios) for stars in shining]
        ).amin(0)
        low = a_v.clamp(max=19.999).long()
        between = a_v.clamp(max=20.0) - low
        return modulus + torch.lerp(dimmed[low], dimmed[low + 1], between)

    def _propose(self, count: int, generator: torch.Generator) -> _Candidates:
        """Propose systems, and leave out those that lie where no star is."""
        model, sun = self.model, self.model.galaxy.sun
        position = uniform(count, generator) * self._cumulative[-1]
        pair = torch.searchsorted(self._cumulative, position).clamp(max=len(self._number) - 1)
        lon, lat, distance = self._boxes[self._box[pair]].draw(generator)
        place = sun.galactocentric(lon, lat, distance)
        kept = self._where_stars_are(pair, place, generator)
        kept &= self.footprint.contains(lon, lat)
        pair, lon, lat, distance, place = (
            value[kept] for value in (pair, lon, lat, distance, place)
        )
        stars, weight = self._stars(pair, place, generator)
        a_v = model.dust.a_v(lon, lat, distance)
        r_v = model.draw_r_v(len(pair), generator)
        if self.limit is not None:
            magnitude = self.limit.magnitude(stars, a_v, r_v) + 5 * torch.log10(distance / 10.0)
            weight = weight * (magnitude <= self.limit.faintest)
        return _Candidates(stars, self._part[pair], place, distance, a_v, r_v, weight)

    def _where_stars_are(self, pair: Tensor, place: Tensor, generator: torch.Generator) -> Tensor:
        """Keep a place by its density over the ceiling of its box, (N,) bool."""
        sun = self.model.galaxy.sun
        chance = uniform(len(pair), generator)
        kept = torch.zeros(len(pair), dtype=torch.bool)
        for index, part in enumerate(self.model.galaxy.components):
            here = torch.nonzero(self._part[pair] == index).squeeze(1)
            most = part.ceiling(self._boxes[self._box[pair[here]]], sun)
            kept[here] = chance[here] * most <= part(place[here], sun)
        return kept

    def _stars(
        self, pair: Tensor, place: Tensor, generator: torch.Generator
    ) -> tuple[Stars, Tensor]:
        """Draw a star for each place, and its weight over what the proposal made of it."""
        content = self.model.content
        log_age, mh, chance = (torch.empty(len(pair), dtype=torch.float64) for _ in range(3))
        interval = torch.empty(len(pair), dtype=torch.int64)
        for index, part in enumerate(self.model.galaxy.components):
            here = torch.nonzero(self._part[pair] == index).squeeze(1)
            proposal, row = self._proposals[index], self._row[pair[here]]
            log_age[here] = content.draw_log_age(part, len(here), generator)
            mean = part.mean_mh(place[here], self.model.galaxy.sun)
            mh[here] = content.draw_mh(part, mean, generator)
            interval[here], share = proposal.draw(row, generator)
            chance[here] = share * content.phases * proposal.visible[row]
        stars = content.draw(log_age, mh, interval, generator)
        weight = torch.empty_like(chance)
        for index, part in enumerate(self.model.galaxy.components):
            here = torch.nonzero(self._part[pair] == index).squeeze(1)
            weight[here] = content.weight(part, stars[here])
        # The pilot's mean weight is over intervals drawn evenly: 1 / phases each.
        return stars, weight * content.phases / chance

    def _keep(self, found: _Candidates, generator: torch.Generator) -> Systems:
        """Systems, each as often as its weight says, on average."""
        copies = torch.floor(found.weight / self._unit + uniform(len(found.weight), generator))
        index = torch.repeat_interleave(torch.arange(len(copies)), copies.long())
        stars, place, part = found.stars[index], found.place[index], found.part[index]
        galaxy = self.model.galaxy
        velocity = torch.empty_like(place)
        for number, component in enumerate(galaxy.components):
            here = torch.nonzero(part == number).squeeze(1)
            velocity[here] = component.velocity.draw(
                place[here], galaxy.sun, galaxy.circular_velocity, generator
            )
        columns = {name: value.float() for name, value in vars(stars).items() if name != "width"}
        return Systems(
            **columns,
            distance=found.distance[index].float(),
            a_v=found.a_v[index].float(),
            r_v=found.r_v[index].float(),
            component=part.to(torch.int8),
            components=self.model.components,
            position=place.float(),
            velocity=velocity.float(),
        )


def _repeating(weight: Tensor) -> float:
    """The weight that counts as one star, so that few are drawn twice: by bisection."""
    low, high = 0.0, float(weight.max())
    for _ in range(60):
        middle = (low + high) / 2
        excess = (weight - middle).clamp(min=0).sum() / weight.sum()
        low, high = (middle, high) if excess > _REPEATED else (low, middle)
    return high
