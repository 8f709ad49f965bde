"""Where the stars of each Galactic component are, seen from the Sun: tables of distance and place.

The sky is cut into cells of direction (narrow towards the Galactic plane) and of log distance. A
component's density at the centre of each, times the volume, is a table from which places are drawn
in a few look-ups, and whose density can be stated. Stars of absolute magnitude M enter with weight
10^(-tilt m) by their apparent magnitude m, dimmed by the smooth dust: surveys reach all magnitudes,
and a network should not learn from the faintest alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maury.sky.populations.densities import uniform
from maury.sky.populations.milky_way.components import Component
from maury.sky.populations.milky_way.dust_map import DustMap
from maury.sky.populations.milky_way.geometry import Sun

__all__ = ["Places"]

LOG_DISTANCE = (0.0, 5.0, 200)
"""Range of log10 distance (pc) and number of its cells."""

_HALF = [0.0, 0.003, 0.007, 0.013, 0.022, 0.036, 0.06, 0.1, 0.16, 0.26, 0.42, 0.68, 1.0]
SINES = [-s for s in _HALF[:0:-1]] + _HALF
"""Edges of the cells in the sine of Galactic latitude."""

LONGITUDES = 24

DIMMING = 0.8
"""Extinction in the reference band (Gaia G) over A_V, for a Sun."""


@dataclass(frozen=True)
class Places:
    """Tables over C components, K cells of log distance and P of direction.

    Parameters
    ----------
    edges : Tensor (K + 1,)
        log10 distance in pc.
    cumulative : Tensor (C, K + 1)
        Tilted volume up to each edge: density times volume times 10^(-tilt x), where x is the
        distance modulus plus the extinction.
    directions : Tensor (C * K * P,)
        Running sum over all cells of direction, row after row; each row grows by 1.
    a_v : Tensor (K * P,)
        Extinction (mag) at the centre of each cell.
    limits : (float, float)
        Apparent magnitudes, before extinction, between which stars are met.
    tilt : float
    """

    edges: Tensor
    cumulative: Tensor
    directions: Tensor
    a_v: Tensor
    limits: tuple[float, float]
    tilt: float

    @classmethod
    def build(
        cls,
        components: Sequence[Component],
        sun: Sun,
        dust: DustMap,
        *,
        limits: tuple[float, float],
        tilt: float,
    ) -> Places:
        """Tables of these components and this dust."""
        edges = torch.linspace(*LOG_DISTANCE[:2], LOG_DISTANCE[2] + 1, dtype=torch.float64)
        distance = 10 ** (0.5 * (edges[1:] + edges[:-1]))
        sine = torch.tensor(SINES, dtype=torch.float64)
        turn = 360.0 / LONGITUDES
        lon = turn * (torch.arange(LONGITUDES, dtype=torch.float64) + 0.5)
        lat = torch.rad2deg(torch.asin(0.5 * (sine[1:] + sine[:-1])))
        solid = math.radians(turn) * sine.diff()
        d, b, l = torch.meshgrid(distance, lat, lon, indexing="ij")  # noqa: E741
        volume = d**3 * solid[None, :, None] * math.log(10.0) * (edges[1] - edges[0])
        place = sun.galactocentric(l, b, d)
        counts = torch.stack([part(place, sun) for part in components]) * volume
        a_v = dust.a_v(l.flatten(), b.flatten(), d.flatten())
        dimmed = 5 * torch.log10(d) - 5 + DIMMING * a_v.view(d.shape)
        flat = (counts * 10 ** (-tilt * dimmed)).flatten(2)
        tilted = flat.sum(-1)
        share = flat / tilted[..., None].clamp(min=1e-300)
        share[tilted == 0] = 1.0 / share.shape[-1]
        start = torch.zeros(len(tilted), 1, dtype=torch.float64)
        running = share.cumsum(-1) / share.sum(-1, keepdim=True)
        running += torch.arange(running.shape[0] * running.shape[1]).view(*running.shape[:2], 1)
        return cls(
            edges=edges,
            cumulative=torch.cat([start, tilted.cumsum(-1)], -1),
            directions=running.flatten(),
            a_v=a_v,
            limits=limits,
            tilt=tilt,
        )

    def met(self, magnitude: Tensor) -> Tensor:
        """Tilted number (C, N) of stars of these absolute magnitudes (N,), per unit of density."""
        low, high = (self._up_to(end) for end in self._window(magnitude))
        return (high - low) * 10 ** (-self.tilt * magnitude.double())

    def draw(
        self, component: Tensor, magnitude: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Distance (pc) and smooth A_V (mag) of stars (N,) of these components and magnitudes."""
        low, high = (
            self._up_to(end).gather(0, component[None])[0] for end in self._window(magnitude)
        )
        wanted = torch.lerp(low, high, uniform(len(component), generator))
        table = self.cumulative[component]
        cell = torch.searchsorted(table, wanted[:, None], right=True).squeeze(-1) - 1
        cell = cell.clamp(0, len(self.edges) - 2)
        below, above = (table.gather(1, (cell + i)[:, None]).squeeze(-1) for i in (0, 1))
        step = ((wanted - below) / (above - below).clamp(min=1e-300)).clamp(0, 1)
        log_distance = torch.lerp(self.edges[cell], self.edges[cell + 1], step)
        row = component * (len(self.edges) - 1) + cell
        target = row + uniform(len(component), generator)
        places = len(self.a_v) // (len(self.edges) - 1)
        direction = torch.searchsorted(self.directions, target, right=True) - row * places
        return 10**log_distance, self.a_v[cell * places + direction.clamp(0, places - 1)]

    def log_prob(self, distance: Tensor, magnitude: Tensor) -> Tensor:
        """Log density (C, N) per pc at distances (N,) of stars of absolute magnitudes (N,)."""
        near, far = self._window(magnitude)
        low, high = self._up_to(near), self._up_to(far)
        log_distance = torch.log10(distance.double())
        inside = (log_distance >= near) & (log_distance <= far)
        cell = self._cell(log_distance)
        share = (self.cumulative[:, cell + 1] - self.cumulative[:, cell]) / (high - low)
        step = float(self.edges[1] - self.edges[0])
        per_pc = share / (step * math.log(10.0) * distance.double())
        return torch.log(per_pc).masked_fill(~inside, -math.inf)

    def direction_shares(self, component: int, distance: Tensor) -> tuple[Tensor, Tensor]:
        """Shares (N, P) of the directions at distances (N,), and smooth A_V (N, P) there."""
        cell = self._cell(torch.log10(distance.double()))
        places = len(self.a_v) // (len(self.edges) - 1)
        running = self.directions.view(-1, len(self.edges) - 1, places)[component, cell]
        row = component * (len(self.edges) - 1) + cell
        first = row.to(running.dtype)[:, None]
        shares = torch.cat([first, running], 1).diff(dim=1)
        return shares, self.a_v.view(-1, places)[cell]

    def _cell(self, log_distance: Tensor) -> Tensor:
        step = self.edges[1] - self.edges[0]
        cell = torch.floor((log_distance - self.edges[0]) / step)
        return cell.nan_to_num(0.0).clamp(0, len(self.edges) - 2).long()

    def _window(self, magnitude: Tensor) -> tuple[Tensor, Tensor]:
        """log10 of the nearest and the farthest distance (N,) at which stars are met."""
        near, far = (1 + 0.2 * (limit - magnitude.double()) for limit in self.limits)
        ends = float(self.edges[0]), float(self.edges[-1])
        return near.clamp(*ends), far.clamp(*ends)

    def _up_to(self, log_distance: Tensor) -> Tensor:
        """The cumulative table (C, N) between its edges."""
        cell = self._cell(log_distance)
        step = (log_distance - self.edges[cell]) / (self.edges[1] - self.edges[0])
        return torch.lerp(self.cumulative[:, cell], self.cumulative[:, cell + 1], step.clamp(0, 1))
