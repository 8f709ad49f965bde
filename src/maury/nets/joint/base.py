"""The density from which latent nodes set out: their units, as the given nodes tell them.

Each latent node has a location, a spread, and slopes on the latent nodes before it,

    z_i = location_i + sum_{j < i} slope_ij (z_j - location_j) + spread_i v_i,

so that v is a standard normal wherever the density is normal, with whatever correlations; `Bends`
then make r of v, where the density is thin and curved. Parameters may have a flow of their own
instead (`ParameterFlow`): of their v, or of their values themselves. All is learned by maximum
likelihood. The location has slopes on the given nodes' values in turn: a product that layers of
attention only learn slowly. The velocity is left with what r still is not: normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.errors import MauryError
from maury.nets.config import JointConfig
from maury.nets.deep_set import DeepSet
from maury.nets.flow import bounded
from maury.nets.joint.bends import FORM, Bends, Bent
from maury.nets.joint.flowing import Flowing, ParameterFlow
from maury.nets.joint.graph_reader import GraphReader
from maury.nets.joint.nodes import Nodes, Side
from maury.nets.joint.transformer import Reader

__all__ = ["Base", "Units", "cost", "of_slots"]

LINEAR = 5.0
"""Given values (whitened) up to which locations may follow them in proportion."""

RANK = 8
"""Numbers by which the summary tells how one latent node depends on another."""

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
    bent : Bent
    flowing : Flowing, optional
        Of the parameters.
    """

    location: Tensor
    spread: Tensor
    slope: Tensor
    bent: Bent
    flowing: Flowing | None

    def __getitem__(self, rows: slice | Tensor) -> Base:
        flowing = None if self.flowing is None else self.flowing[rows]
        units = self.location[rows], self.spread[rows], self.slope[rows]
        return Base(*units, self.bent[rows], flowing)

    def detached(self) -> Base:
        """The same, with no gradient through location, spread and slope."""
        units = self.location.detach(), self.spread.detach(), self.slope.detach()
        return Base(*units, self.bent, self.flowing)

    def to_units(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """r (N, K, L) of values (N, K, L), and log |dr / dvalue| node by node."""
        away = value - self.location[:, None]
        straight = (away - away @ self.slope.transpose(1, 2)) / self.spread[:, None]
        r, log_slope = self.bent.straighten(straight)
        log_slope = log_slope - torch.log(self.spread)[:, None]
        if self.flowing is None:
            return r, log_slope
        r, log_flow = self.flowing.straighten(r)
        return r, log_slope + log_flow

    def to_values(self, r: Tensor) -> Tensor:
        """The inverse of `to_units`."""
        v = r if self.flowing is None else self.flowing.bend(r)
        return self.location[:, None] + self.away(self.bent.bend(v))

    def away(self, v: Tensor) -> Tensor:
        """How far values (N, K, L) of these v, which are r without bends, lie from the nodes'
        locations."""
        count = v.shape[-1]
        if count == 0:
            return v
        lower = torch.eye(count, dtype=v.dtype, device=v.device) - self.slope
        scaled = (v * self.spread[:, None]).transpose(1, 2)
        solved = torch.linalg.solve_triangular(lower, scaled, upper=False, unitriangular=True)
        return solved.transpose(1, 2)

    def cost(self, value: Tensor) -> Tensor:
        """Negative log density (N, L) of values (N, L), node by node, but for a constant."""
        return cost(*self.to_units(value[:, None]))[:, 0]


def cost(r: Tensor, log_abs_det: Tensor) -> Tensor:
    """Negative log density of what has these units, node by node, but for a constant."""
    return 0.5 * r.square() - log_abs_det


class Units(nn.Module):
    """Reads the given nodes, and tells the units of latent ones.

    Sharp densities are learned here: a deep set of all given nodes, which trains at several times
    the speed of attention, tells units, slopes and bends by heads of each node; one reading by
    attention serves latent nodes that may not look at all of them.

    Parameters
    ----------
    identities : int
        Number of different nodes.
    config : JointConfig
    flow : ParameterFlow, optional
        Over the nodes that come first.
    graph : Tensor (T, T) bool, optional
        Along whose edges each node reads a summary of its own (`GraphReader`).
    """

    def __init__(
        self,
        identities: int,
        config: JointConfig,
        flow: ParameterFlow | None = None,
        graph: Tensor | None = None,
    ) -> None:
        super().__init__()
        if flow is not None and graph is not None:
            raise MauryError("a flow reads no graph: leave out one of them")
        self.flow, self.flow_in_units = flow, config.flow_in_units
        width, inner = config.width, config.summary.width
        self.summary = _reader(identities, config, graph)
        self.bends = Bends(identities, config.bends)
        self.parts = [2, RANK, FORM, RANK, config.bends]
        self.hidden = nn.Sequential(nn.Linear(inner, inner), nn.GELU())
        # What nodes of a graph hear is alike, whichever they are.
        self.heads = Heads(identities if graph is None else 1, inner, sum(self.parts))
        self.summarised = nn.Linear(inner, width)
        self.reader = Reader(width, config.heads, config.feedforward)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.unit = nn.Linear(width, 2)
        self.after, self.before = nn.Linear(width, width), nn.Linear(width, width)
        self.upon, self.told = nn.Linear(width, width), nn.Linear(width, width)
        # At first units are one and nothing bends; slopes are products of which one side is zero.
        self.heads.calm(sum(self.parts[:3]))
        for zero in (self.unit, self.after, self.upon):
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)

    def forward(
        self, nodes: Nodes, token: Tensor, told: Tensor, to_given: Tensor, among: Tensor
    ) -> tuple[Base, Tensor]:
        """Units of latent nodes, and the summary of the given ones: (N, V), or (N, T, V) as each
        node of a graph has it.

        Parameters
        ----------
        nodes : Nodes
            N rows of L latent and S given nodes.
        token : Tensor (N, L, W)
            Of the latent nodes; they know neither value nor time.
        told : Tensor (N, 1 + S, W)
            Tokens of nothing being given, then of the given nodes.
        to_given : Tensor (N, L, 1 + S) bool
            Whom each latent node may read.
        among : Tensor (N, L, L) bool
            On which latent nodes each may depend.
        """
        given = nodes.given
        summary = self.summary(given.identity, nodes.value, given.error, given.present)
        known = self.summarised(of_slots(summary, nodes.latent)) * nodes.sees_all[..., None]
        read = self.norm(self.reader(token + known, told, to_given))
        which, place = nodes.latent.identity.unique(return_inverse=True)
        numbers = self.heads(self.hidden(summary), which).split(self.parts, -1)
        unit, after, form, before, steer = numbers

        def of_nodes(numbers: Tensor) -> Tensor:
            slots = numbers.gather(1, place[..., None].expand(-1, -1, numbers.shape[-1]))
            return slots * nodes.sees_all[..., None]

        unit, after, before = of_nodes(unit), of_nodes(after), of_nodes(before)
        location, log_spread = (self.unit(read) + unit).unbind(-1)
        # Linear up to a few times a node's usual width: wild values must not carry all along.
        value = LINEAR * torch.tanh(F.pad(nodes.value, (1, 0)) / LINEAR)
        upon = _products(self.upon(read), self.told(self.norm(told))).masked_fill(~to_given, 0.0)
        location = location + (upon @ value[..., None]).squeeze(-1)
        slope = _products(self.after(read), self.before(read)) + _products(after, before)
        earlier = torch.ones(among.shape[1:], dtype=torch.bool, device=among.device).tril(-1)
        flows, bending = self._maps(nodes, among)
        bare = flows & (not self.flow_in_units)
        base = Base(
            location=location.masked_fill(bare, 0.0),
            spread=torch.exp(bounded(log_spread, WIDEST)).masked_fill(bare, 1.0),
            slope=slope.masked_fill(~(among & earlier) | bare[..., None], 0.0),
            bent=self.bends(which, place, bending, bending | flows, steer, form),
            flowing=None if self.flow is None else self.flow(nodes.latent.identity, flows, summary),
        )
        return base, summary

    def _maps(self, nodes: Nodes, among: Tensor) -> tuple[Tensor, Tensor]:
        """Which latent slots (N, L) flow, and which bend: they must know of all that do."""
        present = nodes.latent.present
        flowing = nodes.latent.identity < (0 if self.flow is None else self.flow.features)

        def know(others: Tensor) -> Tensor:
            return present & nodes.sees_all & (among | ~others[:, None]).all(-1)

        return flowing & know(present & flowing), ~flowing & know(present)


class Heads(nn.Module):
    """A linear layer for each node, of which those that are asked for are computed.

    Parameters
    ----------
    identities, inner, numbers : int
        Numbers of nodes, of what is read, and of what each node's layer tells.
    """

    def __init__(self, identities: int, inner: int, numbers: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inner)
        self.weight = nn.Parameter(torch.empty(identities, numbers, inner).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(identities, numbers))

    @torch.no_grad()
    def calm(self, count: int) -> None:
        """Let the first ``count`` numbers of every node be zero."""
        self.weight[:, :count] = 0.0
        self.bias[:, :count] = 0.0

    def forward(self, x: Tensor, which: Tensor) -> Tensor:
        """Numbers (N, U, numbers) of the nodes ``which`` (U,) from x (N, inner); or from each
        node's own x (N, T, inner), by one layer for all."""
        if x.dim() == 3:
            return F.linear(x[:, which], self.weight[0], self.bias[0])
        weight, bias = self.weight[which].flatten(0, 1), self.bias[which].flatten()
        return F.linear(x, weight, bias).unflatten(-1, (len(which), self.bias.shape[1]))


def _reader(identities: int, config: JointConfig, graph: Tensor | None) -> DeepSet | GraphReader:
    sizes = config.summary.model_dump(exclude={"kind"})
    if graph is None:
        return DeepSet(identities, **sizes)
    return GraphReader(graph, heads=config.heads, **sizes)


def of_slots(summary: Tensor, side: Side) -> Tensor:
    """What the nodes of each slot have of a summary (N, V) or (N, T, V): (N, 1 or S, V)."""
    if summary.dim() == 2:
        return summary[:, None]
    return summary.gather(1, side.identity[..., None].expand(-1, -1, summary.shape[-1]))


def _products(one: Tensor, other: Tensor) -> Tensor:
    """Products (N, L, S) of vectors (N, L, W) and (N, S, W), of order one."""
    return one @ other.transpose(1, 2) / math.sqrt(one.shape[-1])
