"""Bends: how a latent node's place and width follow the latent nodes before it, out of proportion.

Stars lie on thin sheets: isochrones, and all that has one luminosity. Where such a sheet is curved
no normal density is as thin as it is. One node after another is shifted, scaled and bent by a
spline (Durkan et al. 2019, arXiv:1906.04032), as a network of its own tells, which reads the nodes
before it and a summary of what is given (autoregressive flows: Papamakarios et al. 2017,
arXiv:1705.07057):

    r_i = spline_i((v_i - shift_i) exp(-log_scale_i)), all three functions of v_1 .. v_(i-1).

Any set of nodes may be latent: those that are not are zero to the networks of the others, which are
told whom they follow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.nets.flow import bounded
from maury.nets.splines import Knots, knots, parameters_per_spline, spline_forward, spline_inverse

__all__ = ["FORM", "Bends", "Bent"]

BINS = 8
"""Of each spline."""

BOUND = 6.0
"""Splines act within +-this."""

FORM = parameters_per_spline(BINS)
"""Numbers that describe one spline."""

FARTHEST = 10.0
"""What the networks see of a node levels off at this value."""

STEEPEST = 4.0
"""Bound on |log scale|."""


@dataclass(frozen=True)
class Bent:
    """The bends of L latent nodes of N rows, of which U are different.

    Parameters
    ----------
    place : Tensor (N, L) int64
        Which of the U each slot holds.
    active : Tensor (N, L) bool
        Slots that bend; others stay as they are.
    shown : Tensor (N, L) bool
        Slots that the networks of others read, those that bend among them; others are zero to all.
    steer, form : Tensor (N, U, H), (N, U, FORM)
        What the given nodes add to the networks' hidden units, and to the splines.
    first, second, bias, last : Tensor (U, U, H), (U, H, H), (U, H), (U, H, 2 + FORM)
        The networks of the U nodes; ``first`` is zero for nodes that do not come before.
    """

    place: Tensor
    active: Tensor
    shown: Tensor
    steer: Tensor
    form: Tensor
    first: Tensor
    second: Tensor
    bias: Tensor
    last: Tensor

    def __getitem__(self, rows: slice | Tensor) -> Bent:
        return replace(
            self,
            place=self.place[rows],
            active=self.active[rows],
            shown=self.shown[rows],
            steer=self.steer[rows],
            form=self.form[rows],
        )

    def straighten(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """r (N, K, L) of v (N, K, L), and log |dr / dv| node by node."""
        columns = self._side_by_side(v)
        shift, log_scale, table = self._numbers(columns, slice(None))
        r, log_slope = spline_forward((columns - shift) * torch.exp(-log_scale), table, BOUND)
        index = self._index(v)
        r, log_slope = r.gather(-1, index), (log_slope - log_scale).gather(-1, index)
        active = self.active[:, None]
        return torch.where(active, r, v), log_slope.masked_fill(~active, 0.0)

    def bend(self, r: Tensor) -> Tensor:
        """The inverse of `straighten`: node after node."""
        rest = self._side_by_side(r)
        here = torch.zeros_like(rest[:, 0], dtype=torch.bool)
        here = here.scatter_reduce(1, self.place, self.active, "amax")
        found = torch.zeros_like(rest)
        for node in range(rest.shape[-1]):
            shift, log_scale, table = self._numbers(found, slice(node, node + 1))
            unit = spline_inverse(rest[..., node : node + 1], table, BOUND)
            moved = (unit * torch.exp(log_scale) + shift)[..., 0]
            found[..., node] = torch.where(here[:, None, node], moved, rest[..., node])
        return torch.where(self.active[:, None], found.gather(-1, self._index(r)), r)

    def _index(self, v: Tensor) -> Tensor:
        return self.place[:, None].expand(v.shape)

    def _side_by_side(self, v: Tensor) -> Tensor:
        """Those shown of v (N, K, L), each in its own column: (N, K, U)."""
        columns = v.new_zeros(*v.shape[:2], self.steer.shape[1])
        return columns.scatter_add(-1, self._index(v), v * self.shown[:, None])

    def _numbers(self, v: Tensor, nodes: slice) -> tuple[Tensor, Tensor, Knots]:
        """Shifts, log scales (N, K, u) and splines of u of the nodes, from all nodes (N, K, U)."""
        seen = v * torch.rsqrt(1.0 + (v / FARTHEST).square())
        h = torch.einsum("nkj,ujh->nkuh", seen, self.first[nodes])
        h = F.silu(h + self.steer[:, None, nodes])
        h = F.silu(torch.einsum("nkuh,uhg->nkug", h, self.second[nodes]) + self.bias[nodes])
        numbers = torch.einsum("nkuh,uho->onku", h, self.last[nodes])
        form = numbers[2:] + self.form[:, nodes].movedim(-1, 0)[:, :, None]
        return numbers[0], bounded(numbers[1], STEEPEST), knots(form, BINS)


class Bends(nn.Module):
    """The networks of all nodes; at first nothing bends.

    Parameters
    ----------
    identities : int
        Number of different nodes; each may follow those of lower number.
    hidden : int
        Width H of the two hidden layers.
    """

    earlier: Tensor

    def __init__(self, identities: int, hidden: int) -> None:
        super().__init__()
        self.identities, self.hidden = identities, hidden
        # Few nodes are latent at once: of the columns most are zero.
        self.first = _uniform(identities, identities, hidden, fan_in=8)
        self.follows = nn.Parameter(torch.zeros(identities, identities, hidden))
        self.second = _uniform(identities, hidden, hidden, fan_in=hidden)
        self.bias = nn.Parameter(torch.zeros(identities, hidden))
        self.last = nn.Parameter(torch.zeros(identities, hidden, 2 + FORM))
        earlier = torch.ones(identities, identities).tril(-1)[..., None]
        self.register_buffer("earlier", earlier, persistent=False)

    def forward(
        self,
        which: Tensor,
        place: Tensor,
        active: Tensor,
        shown: Tensor,
        steer: Tensor,
        form: Tensor,
    ) -> Bent:
        """The bends of latent nodes.

        Parameters
        ----------
        which : Tensor (U,) int64
            Identities, in rising order.
        place, active, shown, steer, form
            See `Bent`.
        """
        first, follows = (
            (weight * self.earlier)[which][:, which] for weight in (self.first, self.follows)
        )
        here = torch.zeros(len(place), len(which), dtype=torch.bool, device=place.device)
        here = here.scatter_reduce(1, place, shown, "amax").to(steer.dtype)
        steer = steer + torch.einsum("nj,ujh->nuh", here, follows)
        return Bent(
            place=place,
            active=active,
            shown=shown,
            steer=steer,
            form=form,
            first=first,
            second=self.second[which],
            bias=self.bias[which],
            last=self.last[which],
        )


def _uniform(*shape: int, fan_in: int) -> nn.Parameter:
    bound = 1.0 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
