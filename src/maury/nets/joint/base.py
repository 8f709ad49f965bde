"""The normal density from which latent nodes set out: their units, as the given nodes tell them.

Each latent node has a location, a spread, and slopes on the latent nodes before it,

    z_i = location_i + sum_{j < i} slope_ij (z_j - location_j) + spread_i r_i,

learned by maximum likelihood, so that r is a standard normal wherever the density is normal, with
whatever correlations. The location has slopes on the given nodes' values in turn: a product that
layers of attention only learn slowly. The velocity is left with what is not normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maury.nets.flow import bounded
from maury.nets.joint.transformer import Reader

__all__ = ["Base", "NormalBase"]

LINEAR = 5.0
"""Given values (whitened) up to which locations may follow them in proportion."""

WIDEST = 7.0
"""Bound on |log spread|: nodes span about one."""


@dataclass(frozen=True)
class Base:
    """Units of L latent nodes of N rows.

    Parameters
    ----------
    location, spread : Tensor (N, L)
    slope : Tensor (N, L, L)
        On the nodes before: zero on and above the diagonal, and for empty slots.
    """

    location: Tensor
    spread: Tensor
    slope: Tensor

    def __getitem__(self, rows: slice | Tensor) -> Base:
        return Base(self.location[rows], self.spread[rows], self.slope[rows])

    def detached(self) -> Base:
        """The same numbers, through which no gradient goes."""
        return Base(self.location.detach(), self.spread.detach(), self.slope.detach())

    def to_units(self, value: Tensor) -> Tensor:
        """r (N, K, L) of values (N, K, L)."""
        away = value - self.location[:, None]
        return (away - away @ self.slope.transpose(1, 2)) / self.spread[:, None]

    def to_values(self, r: Tensor) -> Tensor:
        """The inverse of `to_units`."""
        return self.location[:, None] + self.away(r)

    def away(self, r: Tensor) -> Tensor:
        """How far values (N, K, L) of these r lie from the nodes' locations."""
        count = r.shape[-1]
        if count == 0:
            return r
        lower = torch.eye(count, dtype=r.dtype, device=r.device) - self.slope
        scaled = (r * self.spread[:, None]).transpose(1, 2)
        solved = torch.linalg.solve_triangular(lower, scaled, upper=False, unitriangular=True)
        return solved.transpose(1, 2)

    def log_abs_det(self) -> Tensor:
        """Log of how much r (N, L) shrink volumes of values, node by node."""
        return -torch.log(self.spread)


class NormalBase(nn.Module):
    """Reads the given nodes, and tells the units of latent ones.

    Parameters
    ----------
    width, heads, feedforward : int
        Of its one reading.
    """

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.reader = Reader(width, heads, feedforward)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.unit = nn.Linear(width, 2)
        self.after, self.before = nn.Linear(width, width), nn.Linear(width, width)
        self.upon, self.told = nn.Linear(width, width), nn.Linear(width, width)
        for zero in (self.unit, self.after, self.upon):
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)

    def forward(
        self, latent: Tensor, given: Tensor, value: Tensor, to_given: Tensor, among: Tensor
    ) -> Base:
        """Units of latent nodes.

        Parameters
        ----------
        latent : Tensor (N, L, W)
            Tokens that know neither value nor time.
        given : Tensor (N, S, W)
        value : Tensor (N, S)
            Of the given nodes.
        to_given : Tensor (N, L, S) bool
            Whom each latent node may read.
        among : Tensor (N, L, L) bool
            On which latent nodes each may depend.
        """
        read = self.norm(self.reader(latent, given, to_given))
        location, log_spread = self.unit(read).unbind(-1)
        # Linear up to a few times a node's usual width: wild values must not carry all along.
        value = LINEAR * torch.tanh(value / LINEAR)
        upon = _products(self.upon(read), self.told(self.norm(given))).masked_fill(~to_given, 0.0)
        location = location + (upon @ value[..., None]).squeeze(-1)
        slope = _products(self.after(read), self.before(read))
        earlier = torch.ones(among.shape[1:], dtype=torch.bool, device=among.device).tril(-1)
        return Base(
            location=location,
            spread=torch.exp(bounded(log_spread, WIDEST)),
            slope=slope.masked_fill(~(among & earlier), 0.0),
        )


def _products(one: Tensor, other: Tensor) -> Tensor:
    """Products (N, L, S) of vectors (N, L, W) and (N, S, W), of order one."""
    return one @ other.transpose(1, 2) / math.sqrt(one.shape[-1])
