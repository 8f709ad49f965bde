"""What a limiting magnitude lets through: how far stars are seen, and which phases they are in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.photometry import MagnitudeTable
from maury.sky.populations.brightness import combined_magnitudes
from maury.sky.populations.milky_way.stars import Stars

__all__ = ["Limit", "Proposal"]

_STEP = 0.25
"""Width of a class of distance moduli, mag."""

_MARGIN = 0.5
"""How much fainter than the limit stars still shape the proposal, mag: it errs on the wide side."""

_EVEN, _SMOOTHED = 0.05, 0.2
"""Shares of the proposal that know nothing of the limit, and that are averaged over phases."""

_SMOOTH = 5
"""Nodes of EEP over which they are averaged."""


@dataclass(frozen=True)
class Limit:
    """A limiting magnitude in one band.

    Parameters
    ----------
    band : str
        SVO id.
    faintest : float
        mag, in the band's own system.
    table : MagnitudeTable
        That has the band.

    Raises
    ------
    MauryError
        If the table does not have the band.
    """

    band: str
    faintest: float
    table: MagnitudeTable

    def __post_init__(self) -> None:
        if self.band not in self.table.bands:
            raise MauryError(
                f"the magnitude table has no band {self.band!r}: it has "
                f"{', '.join(self.table.bands)}"
            )

    def magnitude(self, stars: Stars, a_v: Tensor, r_v: Tensor) -> Tensor:
        """Of systems at 10 pc behind dust (N,), mag; NaN where it is not known."""
        star = torch.stack([stars.teff, stars.logg, stars.mh, a_v, r_v], -1)
        companion = torch.stack(
            [stars.companion_teff, stars.companion_logg, stars.mh, a_v, r_v], -1
        )
        found = combined_magnitudes(
            self.table,
            star.float(),
            stars.radius.float(),
            companion.float(),
            stars.companion_radius.float(),
        )
        return found[:, self.table.bands.index(self.band)].double()

    def least_reddening(self, stars: Stars, a_v: Tensor, r_v: tuple[float, float]) -> Tensor:
        """Extinction in the band (K,), mag, that any of these stars suffers at each A_V (K,)."""
        amounts = torch.cat([a_v.new_zeros(1), a_v]).double()
        count = len(stars.teff)
        every = stars[torch.arange(count).repeat(len(amounts))]
        dust = amounts.repeat_interleave(count)
        least = torch.full_like(a_v, math.inf)
        for value in r_v:
            found = self.magnitude(every, dust, torch.full_like(dust, value))
            clear, *dimmed = found.reshape(len(amounts), count)
            more = (torch.stack(dimmed) - clear).nan_to_num(nan=math.inf).amin(1)
            least = torch.minimum(least, more)
        return torch.where(torch.isfinite(least), least, 0.0).cummax(0).values


@dataclass(frozen=True)
class Proposal:
    """Which interval of EEP to draw, at each class of distance modulus, for one component.

    ``visible`` (H,) is the mean weight of stars seen at the class's modulus, up to a margin;
    ``share`` (H, E) the probability of each interval there. The last class holds what is farther.
    """

    nearest: float
    visible: Tensor
    share: Tensor

    @classmethod
    def learn(
        cls, interval: Tensor, weight: Tensor, headroom: Tensor | None, phases: int
    ) -> Proposal:
        """From stars whose intervals (N,) were drawn evenly among ``phases``.

        ``headroom`` (N,) is the greatest distance modulus at which each star is seen; None where
        all are, whatever their distance.
        """
        if headroom is None:
            classes, low = 1, 0.0
            counted = weight[None]
        else:
            seen = torch.isfinite(headroom) & (weight > 0)
            low = -5.0
            high = float(headroom[seen].max()) + _MARGIN if seen.any() else low
            classes = max(math.ceil((high - low) / _STEP), 1) + 1
            edge = low + _STEP * torch.arange(classes, dtype=torch.float64)
            edge[0] = -math.inf
            counted = weight * (headroom + _MARGIN >= edge[:, None]) * seen
        total, squares = (torch.zeros(classes, phases, dtype=torch.float64) for _ in range(2))
        total.index_add_(1, interval, counted)
        squares.index_add_(1, interval, counted**2)
        # Phases of very different stars are proposed more often than their mean weight asks, in
        # proportion to the root of their mean square: then few stars weigh much more than others.
        drawn = torch.bincount(interval, minlength=phases)
        spread = torch.sqrt(squares * drawn)
        smooth = torch.nn.functional.avg_pool1d(
            spread[:, None], _SMOOTH, 1, _SMOOTH // 2, count_include_pad=False
        )[:, 0]
        parts = (
            (1 - _EVEN - _SMOOTHED, spread),
            (_SMOOTHED, smooth),
            (_EVEN, (total[0] > 0).double().expand_as(total)),
        )
        share = torch.stack(
            [amount * part / part.sum(1, keepdim=True).clamp(min=1e-300) for amount, part in parts]
        ).sum(0)
        visible = total.sum(1) / len(interval)
        return cls(low, visible, share / share.sum(1, keepdim=True).clamp(min=1e-300))

    def of(self, modulus: Tensor) -> Tensor:
        """The class (N,) of a distance modulus with the dust on the way, mag."""
        place = torch.floor((modulus - self.nearest) / _STEP).nan_to_num(neginf=0.0)
        return place.clamp(0, len(self.visible) - 1).long()

    def draw(self, row: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """An interval for each row (N,), and its probability."""
        # Row r's cumulative runs from r to r + 1, so that one search serves all rows.
        rows, phases = self.share.shape
        edges = torch.cumsum(self.share, 1) + torch.arange(rows)[:, None]
        edges[:, -1] = torch.arange(rows) + 1.0
        u = torch.rand(len(row), generator=generator, dtype=torch.float64)
        found = torch.searchsorted(edges.flatten(), row + u, right=True)
        interval = (found - row * phases).clamp(0, phases - 1)
        return interval, self.share[row, interval]
