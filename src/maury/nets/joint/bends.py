"""Bends: how a latent node's place and width follow the latent nodes before it, out of proportion.

Stars lie on thin sheets: isochrones, and all that has one luminosity. Where such a sheet is curved
no normal density is as thin as it is. One node after another is shifted and scaled by a network of
its own, which reads the nodes before it and a summary of what is given (autoregressive flows:
Papamakarios et al. 2017, arXiv:1705.07057):

    v_i = shift_i(v_1 .. v_(i-1)) + exp(log_scale_i(v_1 .. v_(i-1))) r_i.

Any set of nodes may be latent: those that are not are zero to the networks of the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.nets.flow import bounded

__all__ = ["Bends", "Bent"]

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
        Slots that bend; others stay as they are, and are zero to all networks.
    steer : Tensor (N, U, H)
        What the given nodes add to the networks' hidden units.
    first, second, bias, last : Tensor (U, U, H), (U, H, H), (U, H), (U, H, 2)
        The networks of the U nodes; ``first`` is zero for nodes that do not come before.
    """

    place: Tensor
    active: Tensor
    steer: Tensor
    first: Tensor
    second: Tensor
    bias: Tensor
    last: Tensor

    def __getitem__(self, rows: slice | Tensor) -> Bent:
        return replace(
            self, place=self.place[rows], active=self.active[rows], steer=self.steer[rows]
        )

    def straighten(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """r (N, K, L) of v (N, K, L), and log |dr / dv| node by node."""
        shift, log_scale = self._numbers(self._side_by_side(v), slice(None))
        index = self._index(v)
        shift, log_scale = shift.gather(-1, index), log_scale.gather(-1, index)
        active = self.active[:, None]
        shift, log_scale = shift.masked_fill(~active, 0.0), log_scale.masked_fill(~active, 0.0)
        return (v - shift) * torch.exp(-log_scale), -log_scale

    def bend(self, r: Tensor) -> Tensor:
        """The inverse of `straighten`: node after node."""
        rest = self._side_by_side(r)
        here = torch.zeros_like(rest[:, 0], dtype=torch.bool)
        here = here.scatter_reduce(1, self.place, self.active, "amax")
        found = torch.zeros_like(rest)
        for node in range(rest.shape[-1]):
            shift, log_scale = self._numbers(found, slice(node, node + 1))
            moved = rest[..., node] * torch.exp(log_scale[..., 0]) + shift[..., 0]
            found[..., node] = moved.masked_fill(~here[:, None, node], 0.0)
        return torch.where(self.active[:, None], found.gather(-1, self._index(r)), r)

    def _index(self, v: Tensor) -> Tensor:
        return self.place[:, None].expand(v.shape)

    def _side_by_side(self, v: Tensor) -> Tensor:
        """The active of v (N, K, L), each in its own column: (N, K, U)."""
        columns = v.new_zeros(*v.shape[:2], self.steer.shape[1])
        return columns.scatter_add(-1, self._index(v), v * self.active[:, None])

    def _numbers(self, v: Tensor, nodes: slice) -> tuple[Tensor, Tensor]:
        """Shifts and log scales (N, K, u) of u of the nodes, from all nodes v (N, K, U)."""
        seen = v * torch.rsqrt(1.0 + (v / FARTHEST).square())
        h = torch.einsum("nkj,ujh->nkuh", seen, self.first[nodes])
        h = F.silu(h + self.steer[:, None, nodes])
        h = F.silu(torch.einsum("nkuh,uhg->nkug", h, self.second[nodes]) + self.bias[nodes])
        shift, log_scale = torch.einsum("nkuh,uho->nkuo", h, self.last[nodes]).unbind(-1)
        return shift, bounded(log_scale, STEEPEST)


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
        self.second = _uniform(identities, hidden, hidden, fan_in=hidden)
        self.bias = nn.Parameter(torch.zeros(identities, hidden))
        self.last = nn.Parameter(torch.zeros(identities, hidden, 2))
        earlier = torch.ones(identities, identities).tril(-1)[..., None]
        self.register_buffer("earlier", earlier, persistent=False)

    def forward(self, identity: Tensor, active: Tensor, steer: Tensor) -> Bent:
        """The bends of latent nodes.

        Parameters
        ----------
        identity : Tensor (N, L) int64
        active : Tensor (N, L) bool
        steer : Tensor (N, identities, H)
        """
        which, place = identity.unique(return_inverse=True)
        first = (self.first * self.earlier)[which][:, which]
        return Bent(
            place=place,
            active=active,
            steer=steer[:, which],
            first=first,
            second=self.second[which],
            bias=self.bias[which],
            last=self.last[which],
        )


def _uniform(*shape: int, fan_in: int) -> nn.Parameter:
    bound = 1.0 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
