"""A flow over those of the parameters that are latent, whichever they are.

A network of posteriors maps all parameters at once to normal numbers. The same couplings serve any
subset: parameters that are not latent are zero to the networks of the others, which are told that
they are missing, and stay zero. What is given of them, or that nothing is, the summary says. So a
joint network may start from all that a network of posteriors has learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from maury.nets.config import SplineConfig
from maury.nets.coupling import Conditions, SplineCouplingFlow
from maury.nets.splines import spline_forward, spline_inverse

__all__ = ["Flowing", "ParameterFlow"]


@dataclass(frozen=True)
class Flowing:
    """The flow of N rows of L latent nodes.

    Parameters
    ----------
    flow : ParameterFlow
        Over P parameters.
    place : Tensor (N, L) int64
        Which of the parameters each slot holds.
    active : Tensor (N, L) bool
        Slots that hold a parameter that flows.
    condition : tuple of Tensor
        What the summary tells the flow; rows are last.
    """

    flow: ParameterFlow
    place: Tensor
    active: Tensor
    condition: tuple[Tensor, ...]

    def __getitem__(self, rows: slice | Tensor) -> Flowing:
        return replace(
            self,
            place=self.place[rows],
            active=self.active[rows],
            condition=tuple(part[..., rows] for part in self.condition),
        )

    def straighten(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """r (N, K, L) of values (N, K, L), and log |dr / dvalue|, of which each active slot of a
        row carries an equal part. Other slots stay as they are."""
        columns, here = self._side_by_side(value)
        r, log_det = self.flow.straighten(columns, here, self.condition)
        active = self.active[:, None]
        share = log_det.T[..., None] / active.sum(-1, keepdim=True).clamp(min=1)
        back = r.permute(2, 1, 0).gather(-1, self._index(value))
        return torch.where(active, back, value), share.expand(value.shape).masked_fill(~active, 0.0)

    def bend(self, r: Tensor) -> Tensor:
        """The inverse of `straighten`."""
        columns, here = self._side_by_side(r)
        value = self.flow.bend(columns, here, self.condition).permute(2, 1, 0)
        return torch.where(self.active[:, None], value.gather(-1, self._index(r)), r)

    def _index(self, x: Tensor) -> Tensor:
        return self.place[:, None].expand(x.shape)

    def _side_by_side(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The active of x (N, K, L) in columns (P, K, N), and which (P, 1, N) of them there are."""
        count = self.flow.features
        columns = x.new_zeros(*x.shape[:2], count)
        columns = columns.scatter_add(-1, self._index(x), x * self.active[:, None])
        here = torch.zeros(len(x), count, dtype=torch.bool, device=x.device)
        here = here.scatter_reduce(1, self.place, self.active, "amax")
        return columns.permute(2, 1, 0), here.T[:, None]


class ParameterFlow(SplineCouplingFlow):
    """Spline couplings of which any subset of the coordinates takes part.

    Parameters
    ----------
    parameters, summary : int
        Numbers of coordinates and of what sums up the given nodes.
    config : SplineConfig
    tail : float
        Values are ``tail`` asinh(z / ``tail``) of the coordinates z that the couplings know.
    """

    def __init__(self, parameters: int, summary: int, config: SplineConfig, *, tail: float) -> None:
        super().__init__(parameters, summary, **config.model_dump(exclude={"kind"}))
        self.tail = tail
        self.missing = nn.ParameterList(
            nn.Parameter(torch.zeros(config.hidden, parameters)) for _ in self.couplings
        )

    def forward(self, identity: Tensor, active: Tensor, summary: Tensor) -> Flowing:
        """The flow of latent nodes.

        Parameters
        ----------
        identity : Tensor (N, L) int64
        active : Tensor (N, L) bool
            Slots that flow.
        summary : Tensor (N, C)
        """
        place = identity.masked_fill(~active, 0)
        return Flowing(self, place, active, self._condition(summary))

    def straighten(
        self, value: Tensor, here: Tensor, condition: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """r (P, K, N) of values (P, K, N), and log |det dr / dvalue| (K, N).

        Parameters
        ----------
        value : Tensor (P, K, N)
        here : Tensor (P, 1, N) bool
            The coordinates that take part; r is zero where others are.
        condition : tuple of Tensor
            See `Flowing`.
        """
        steer, table, affine = self._told(here, condition)
        v, log_det = self.map(self.tail * torch.sinh(value / self.tail), affine)
        u, change = spline_forward(v, table, self.bound)
        u = u.masked_fill(~here, 0.0)
        log_slope = torch.log(torch.cosh(value / self.tail)) + change
        for coupling, add in zip(self._couplings()[::-1], steer[::-1], strict=True):
            u, change = coupling(u, add)
            u, log_slope = u.masked_fill(~here, 0.0), log_slope + change
        return u, log_det + log_slope.masked_fill(~here, 0.0).sum(dim=0)

    def bend(self, r: Tensor, here: Tensor, condition: tuple[Tensor, ...]) -> Tensor:
        """The inverse of `straighten`; r is zero where coordinates take no part."""
        steer, table, affine = self._told(here, condition)
        u = r
        for coupling, add in zip(self._couplings(), steer, strict=True):
            u = coupling.inverse(u, add).masked_fill(~here, 0.0)
        v = spline_inverse(u, table, self.bound)
        z = self.map.inverse(v, affine)
        return (self.tail * torch.asinh(z / self.tail)).masked_fill(~here, 0.0)

    def _told(self, here: Tensor, condition: tuple[Tensor, ...]) -> Conditions:
        """The condition among draws, told which coordinates are missing: to the affine map these
        are zero, and linked to no others."""
        steer, table, (shift, scale, lower) = self._among(2, condition)
        gone = (~here[:, 0]).to(table[0].dtype)
        steer = [
            add + (weight @ gone)[:, None] for add, weight in zip(steer, self.missing, strict=True)
        ]
        shift, scale = (x.masked_fill(~here, 0.0) for x in (shift, scale))
        return steer, table, (shift, scale, lower.masked_fill(~(here & here[:, None]), 0.0))
