"""One network for every conditional of a joint density (Gloeckler et al. 2024, arXiv:2404.09636).

Given nodes become tokens of value, identity, error and state; latent nodes start from noise and
are moved to data by the velocity that the network learns along a `Path`. Latent nodes are
learned in units of their own, those of a normal density, bent, that comes near (`Units`). What
the velocity has to learn is of order one, however much or little is known, and has no linear
correlations; and few steps lead from noise to data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.errors import MauryError
from maury.nets.config import JointConfig
from maury.nets.joint.base import Base, Units, cost, of_slots
from maury.nets.joint.flowing import ParameterFlow
from maury.nets.joint.nodes import Nodes
from maury.nets.joint.paths import PATHS
from maury.nets.joint.transformer import (
    Layer,
    Memory,
    Packing,
    TimeFeatures,
    ValueFeatures,
)

__all__ = ["Condition", "JointDensity"]

STATES = 3
"""Given, latent, and the node that stands for nothing being given."""


@dataclass(frozen=True)
class Condition:
    """All that the given nodes say to L latent nodes of N rows.

    Parameters
    ----------
    memory : tuple of Memory
        One for each layer.
    mask : Tensor (N, L, 1 + S + L) bool
        Whom latent nodes attend to: to nothing being given, to given nodes, to one another.
    token : Tensor (N, L, W)
        Latent nodes' identities, errors and units, and the summary where they may know it.
    base : Base
        The units.
    present : Tensor (N, L) bool
    summary : Tensor (N, V), or (N, T, V)
        Of the given nodes; as each node has it, where a graph is known.
    """

    memory: tuple[Memory, ...]
    mask: Tensor
    token: Tensor
    base: Base
    present: Tensor
    summary: Tensor

    def __len__(self) -> int:
        return len(self.token)

    def __getitem__(self, rows: slice | Tensor) -> Condition:
        return Condition(
            tuple(memory[rows] for memory in self.memory),
            self.mask[rows],
            self.token[rows],
            self.base[rows],
            self.present[rows],
            self.summary[rows],
        )


class JointDensity(nn.Module):
    """The joint density of a fixed list of nodes, by whitened values of order one.

    Parameters
    ----------
    identities : int
        Number of different nodes.
    config : JointConfig
    flow : ParameterFlow, optional
        Over the nodes that come first.
    graph : Tensor (T, T) bool, optional
        Whom each node hears (last index) of what is given, where the graph is known; a flow has
        none.

    Raises
    ------
    MauryError
        If the heads do not divide the width, or there are both a flow and a graph.
    """

    def __init__(
        self,
        identities: int,
        config: JointConfig,
        flow: ParameterFlow | None = None,
        graph: Tensor | None = None,
    ) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        if width % heads:
            raise MauryError(f"width {width} is not a multiple of heads {heads}: change either")
        self.path = PATHS[config.path]
        self.identity = nn.Embedding(identities, width)
        self.state = nn.Embedding(STATES, width)
        self.features = ValueFeatures(config.frequencies)
        self.value_given = nn.Linear(self.features.count + 1, width)
        self.value_latent = nn.Linear(2 * self.features.count, width, bias=False)
        self.error_latent = nn.Linear(1, width, bias=False)
        self.unit_latent = nn.Linear(2, width, bias=False)
        self.summary_latent = nn.Linear(config.summary.width, width, bias=False)
        self.time = TimeFeatures(width)
        self.layers = nn.ModuleList(
            Layer(width, config.heads, config.feedforward) for _ in range(config.layers)
        )
        self.base = Units(identities, config, flow, graph)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.last = nn.Linear(width, 2 * width)
        self.velocity = nn.Linear(width, 1)
        for zero in (self.last, self.velocity):
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)
        nn.init.zeros_(self.summary_latent.weight)

    def units(self, nodes: Nodes) -> tuple[Base, Tensor]:
        """Units of the latent nodes, and the summary of the given ones."""
        return self._base(nodes, self._given_tokens(nodes), _latent_mask(nodes))

    def condition(self, nodes: Nodes) -> Condition:
        """Read the given nodes, once for all draws and steps."""
        told, mask = self._given_tokens(nodes), _latent_mask(nodes)
        base, summary = self._base(nodes, told, mask)
        present = F.pad(nodes.given.present, (1, 0), value=True)
        packing = Packing.of(present, 1, dense=not self.training)
        tokens = packing.pack(told[:, None])
        among = _with_nothing(nodes.given.present, nodes.among_given)
        memory: list[Memory] = []
        for layer in self.layers:
            tokens, kept = layer(tokens, packing, among)
            memory.append(kept)
        units = torch.stack([base.location, torch.log(base.spread)], -1).detach()
        known = self.summary_latent(of_slots(summary, nodes.latent)) * nodes.sees_all[..., None]
        return Condition(
            memory=tuple(memory),
            mask=mask,
            token=self._latent_tokens(nodes) + self.unit_latent(units) + known,
            base=base,
            present=nodes.latent.present,
            summary=summary,
        )

    def _base(self, nodes: Nodes, told: Tensor, mask: Tensor) -> tuple[Base, Tensor]:
        slots, present = told.shape[1], nodes.latent.present
        among = mask[..., slots:] & present[:, None] & present[..., None]
        return self.base(nodes, self._latent_tokens(nodes), told, mask[..., :slots], among)

    def field(self, condition: Condition, y: Tensor, phi: Tensor) -> Tensor:
        """The velocity u (N, K, L) along the angle, at points y (N, K, L) and angles phi (N or 1,).

        Empty slots stay where they are.
        """
        packing = Packing.of(condition.present, y.shape[1], dense=not self.training)
        still = condition.token[:, None].expand(-1, y.shape[1], -1, -1)
        # In its own unit, and as it is: relations among nodes hold for the latter.
        both = torch.stack([y, condition.base.detached().away(y)], -1)
        features = self.features(packing.pack(both)).flatten(-2)
        tokens = packing.pack(still) + self.value_latent(features)
        time = self.time(phi)
        for layer, memory in zip(self.layers, condition.memory, strict=True):
            tokens, _ = layer(tokens, packing, condition.mask, time=time, memory=memory)
        scale, shift = packing.each(self.last(time)).chunk(2, -1)
        out = self.velocity(self.norm(tokens) * (1 + scale) + shift)
        return packing.spread(out).squeeze(-1).masked_fill(~condition.present[:, None], 0.0)

    def loss(
        self, condition: Condition, asked: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Weighted squared error of u, plus what the units of the latent nodes cost in nats.

        The mean over all latent nodes.

        Parameters
        ----------
        condition : Condition
            Of N rows.
        asked : Tensor (N, L)
            True values of the latent nodes.
        generator : torch.Generator, optional
            Draws the times and the noise.
        """
        present = condition.present
        r, log_abs_det = (x[:, 0] for x in condition.base.to_units(asked[:, None]))
        units, data = cost(r, log_abs_det), r.detach()
        time = self.path.times(len(condition), generator)
        noise = torch.randn(asked.shape, generator=generator)
        time, noise = time.to(asked.device), noise.to(asked.device)
        phi = self.path.angle(time)
        cos, sin = torch.cos(phi)[:, None], torch.sin(phi)[:, None]
        y, u = cos * data + sin * noise, cos * noise - sin * data
        found = self.field(condition, y[:, None], phi)[:, 0]
        weight = self.path.weight(time)[:, None]
        total = (weight * (found - u).square() + units) * present
        return total.sum() / present.sum().clamp(min=1)

    def to_values(self, condition: Condition, y: Tensor) -> Tensor:
        """Values (N, K, L) of latent nodes from data in their own units."""
        return condition.base.to_values(y)

    def to_units(self, condition: Condition, value: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `to_values`, and the log of its derivative, node by node."""
        return condition.base.to_units(value)

    def _given_tokens(self, nodes: Nodes) -> Tensor:
        """Tokens (N, 1 + S, W): nothing first, then the given nodes."""
        given = nodes.given
        numbers = torch.cat([self.features(nodes.value), given.error[..., None]], -1)
        tokens = self.identity(given.identity) + self.state.weight[0] + self.value_given(numbers)
        nothing = self.state.weight[2].expand(len(nodes), 1, -1)
        return torch.cat([nothing, tokens], 1)

    def _latent_tokens(self, nodes: Nodes) -> Tensor:
        """Tokens (N, L, W) that know neither value nor time."""
        latent = nodes.latent
        tokens = self.identity(latent.identity) + self.state.weight[1]
        return tokens + self.error_latent(latent.error[..., None])


def _with_nothing(present: Tensor, edges: Tensor | None) -> Tensor:
    """Mask (N, 1 + S, 1 + S): each to itself, to nothing, and along the edges."""
    n, slots = present.shape
    allowed = present[:, None, :].expand(n, slots, slots)
    if edges is not None:
        allowed = allowed & edges
    mask = F.pad(allowed, (1, 0, 1, 0))
    mask[:, :, 0] = True
    return mask | torch.eye(slots + 1, dtype=torch.bool, device=present.device)


def _latent_mask(nodes: Nodes) -> Tensor:
    """Mask (N, L, 1 + S + L)."""
    n, slots = nodes.latent.present.shape
    to_given = nodes.given.present[:, None, :].expand(n, slots, -1)
    if nodes.to_given is not None:
        to_given = to_given & nodes.to_given
    among = nodes.latent.present[:, None, :].expand(n, slots, slots)
    if nodes.among_latent is not None:
        among = among & nodes.among_latent
    among = among | torch.eye(slots, dtype=torch.bool, device=among.device)
    return torch.cat([to_given.new_ones(n, slots, 1), to_given, among], -1)
