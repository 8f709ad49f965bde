"""Star counts by quadrature: what samples of the population must agree with.

No random number and no rejection: along one direction, the number of systems per square degree
brighter than a limit is the sum over components, ages, metallicities, phases and companions of
their share times the densities' integral out to the distance at which each is last seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maury.sky.populations.milky_way.components import Component
from maury.sky.populations.milky_way.limit import Limit
from maury.sky.populations.milky_way.population import MilkyWay
from maury.sky.populations.milky_way.stars import Stars

__all__ = ["StarCounts", "star_counts"]

_HALVINGS = 30
_DUST_NODES = 9
_RATIOS = (0.1, 0.4, 0.6, 0.75, 0.85, 0.92, 0.95, 1.0)
"""Edges of the mass ratios that are summed over: closer where companions add more light."""

_SPREAD = 5.0  # dispersions of [Fe/H] on both sides of the mean


@dataclass(frozen=True)
class StarCounts:
    """Systems per square degree: ``number`` (C, K) by component and limit; ``limits`` (K,), mag."""

    components: tuple[str, ...]
    limits: Tensor
    number: Tensor

    @property
    def total(self) -> Tensor:
        """Of all components (K,)."""
        return self.number.sum(0)


def star_counts(
    model: MilkyWay,
    lon: float,
    lat: float,
    *,
    limit: Limit,
    limits: Tensor | None = None,
    farthest: float = 100_000.0,
    ages: int = 5,
    metallicities: int = 13,
    distances: int = 500,
) -> StarCounts:
    """Count systems along a direction by quadrature, R_V being its mean for all.

    Parameters
    ----------
    model : MilkyWay
    lon, lat : float
        Galactic, deg.
    limit : Limit
        Band, table and, without `limits`, the limiting magnitude.
    limits : Tensor, optional
        Several limiting magnitudes (K,) to count to.
    farthest : float
        pc.
    ages, metallicities, distances : int
        Nodes of the quadrature: ages of each component, [Fe/H] over all that it has on the sight
        line, distances.
    """
    edges = torch.tensor([limit.faintest]) if limits is None else limits
    sight = _Sight.along(model, lon, lat, farthest, distances)
    rows = []
    for part in model.galaxy.components:
        nodes = _mh_nodes(model, part, sight, metallicities)
        stars, weight, node = _every_star(model, part, nodes, ages)
        within = _volume(model, part, sight, nodes)
        dimmed = _Dimmed.of(limit, stars, sight, model.r_v_mean)
        seen = [
            (weight * sight.interpolate(within, node, dimmed.reach(sight, faintest))).sum()
            for faintest in edges.tolist()
        ]
        rows.append(torch.stack(seen))
    born = model.born[:, None] * math.radians(1.0) ** 2
    return StarCounts(model.components, edges, torch.stack(rows) * born)


@dataclass(frozen=True)
class _Sight:
    """A line of sight: log distances at equal steps, places, and A_V on the way; (D,) each."""

    log_distance: Tensor
    place: Tensor
    a_v: Tensor

    @classmethod
    def along(cls, model: MilkyWay, lon: float, lat: float, farthest: float, count: int) -> _Sight:
        log_distance = torch.linspace(0.0, math.log(farthest), count, dtype=torch.float64)
        distance = torch.exp(log_distance)
        longitude, latitude = torch.full_like(distance, lon), torch.full_like(distance, lat)
        return cls(
            log_distance,
            model.galaxy.sun.galactocentric(longitude, latitude, distance),
            model.dust.a_v(longitude, latitude, distance),
        )

    def interpolate(self, values: Tensor, row: Tensor | int, log_distance: Tensor) -> Tensor:
        """Values (R, D) in given rows, at log distances (N,); at the ends beyond."""
        step = self.log_distance[1] - self.log_distance[0]
        position = (log_distance / step).clamp(0, len(self.log_distance) - 1)
        low = position.long().clamp(max=len(self.log_distance) - 2)
        return torch.lerp(values[row, low], values[row, low + 1], position - low)


@dataclass(frozen=True)
class _Dimmed:
    """Magnitudes of stars (N,) at 10 pc behind dust (K,) of growing A_V, in the limit's band."""

    a_v: Tensor
    magnitude: Tensor

    @classmethod
    def of(cls, limit: Limit, stars: Stars, sight: _Sight, r_v: float) -> _Dimmed:
        amounts = torch.linspace(0.0, min(float(sight.a_v[-1]), 20.0), _DUST_NODES)
        columns = [
            limit.magnitude(
                stars, torch.full_like(stars.teff, amount), torch.full_like(stars.teff, r_v)
            )
            for amount in amounts.tolist()
        ]
        return cls(amounts.double(), torch.stack(columns, -1))

    def reach(self, sight: _Sight, faintest: float) -> Tensor:
        """Log distance (N,) at which stars fade below a magnitude, by bisection; 0 where unseen."""
        low = torch.zeros(len(self.magnitude), dtype=torch.float64)
        high = torch.full_like(low, float(sight.log_distance[-1]))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            seen = self._at(sight, middle) <= faintest
            low, high = torch.where(seen, middle, low), torch.where(seen, high, middle)
        return low

    def _at(self, sight: _Sight, log_distance: Tensor) -> Tensor:
        """Apparent magnitude at log distances (N,); NaN, so unseen, behind too much dust."""
        a_v = sight.interpolate(sight.a_v[None], 0, log_distance)
        gap = (self.a_v[1] - self.a_v[0]).clamp(min=1e-12)
        low = (a_v / gap).long().clamp(0, len(self.a_v) - 2)
        rows = torch.arange(len(self.magnitude))
        dim = torch.lerp(self.magnitude[rows, low], self.magnitude[rows, low + 1], a_v / gap - low)
        dim = torch.where(a_v <= self.a_v[-1] * (1 + 1e-6), dim, math.nan)
        return dim + 5 * (log_distance / math.log(10.0) - 1)


def _mh_nodes(model: MilkyWay, part: Component, sight: _Sight, count: int) -> Tensor:
    """[Fe/H] (M,) at the middle of equal steps over all that there is on the sight line."""
    mean = part.mean_mh(sight.place, model.galaxy.sun)
    # Far out, where there are no stars, the gradient goes beyond any metallicity.
    density = part(sight.place, model.galaxy.sun) * torch.exp(3 * sight.log_distance)
    mean = mean[density > 1e-4 * density.max()]
    low, high = model.content.mh_range
    low = max(low, float(mean.min()) - _SPREAD * part.mh_sigma)
    high = min(high, float(mean.max()) + _SPREAD * part.mh_sigma)
    edges = torch.linspace(low, high, count + 1, dtype=torch.float64)
    return (edges[1:] + edges[:-1]) / 2


def _volume(model: MilkyWay, part: Component, sight: _Sight, nodes: Tensor) -> Tensor:
    """Density times volume per sr out to each distance, shared among the [Fe/H] nodes (M, D)."""
    mean = part.mean_mh(sight.place, model.galaxy.sun)
    around = torch.exp(model.content.log_prob_mh(part, nodes[:, None], mean.expand(len(nodes), -1)))
    share = around / around.sum(0).clamp(min=1e-300)
    layers = share * part(sight.place, model.galaxy.sun) * torch.exp(3 * sight.log_distance)
    grown = torch.cumulative_trapezoid(layers, sight.log_distance, dim=-1)
    return torch.cat([torch.zeros(len(nodes), 1, dtype=torch.float64), grown], -1)


def _every_star(
    model: MilkyWay, part: Component, nodes: Tensor, ages: int
) -> tuple[Stars, Tensor, Tensor]:
    """Systems (N,) of all ages, [Fe/H] nodes, phases and companions, their weights and nodes."""
    content = model.content
    young, old = part.ages
    middle = young + (old - young) * (torch.arange(ages, dtype=torch.float64) + 0.5) / ages
    counts = (torch.arange(count) for count in (ages, len(nodes), content.phases))
    age, node, interval = torch.cartesian_prod(*counts).unbind(1)
    log_age = torch.log10(1e9 * middle)[age]
    alone = content.between(log_age, nodes[node], interval, torch.full_like(log_age, 0.5))
    shining = torch.nonzero(alone.width > 0).squeeze(1)
    alone, node = alone[shining], node[shining]
    weight = content.weight(part, alone) / ages
    if not content.binaries:
        return alone, weight, node
    edges = torch.tensor(_RATIOS, dtype=torch.float64)
    q = torch.cat([edges.new_zeros(1), (edges[1:] + edges[:-1]) / 2])
    every = torch.arange(len(node)).repeat(len(q))
    stars = replace(alone[every], q=q.repeat_interleave(len(node)))
    law = torch.exp(model.log_prob_of_companion(stars.q, stars.mass)).reshape(len(q), -1)
    # Nodes of q share what the law gives to all that have a companion.
    paired = law[1:] * edges.diff()[:, None]
    paired = paired / paired.sum(0) * (1 - law[0])
    share = torch.cat([law[:1], paired]).flatten()
    return content.light_of_companions(stars), weight[every] * share, node[every]
