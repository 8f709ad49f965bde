"""Nodes of a joint density: what is given of them, and what is asked.

A node is a random number: a parameter, or something measured. Of each row every node is given,
asked (latent), or left out, which means that it is marginalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Nodes", "Side"]


@dataclass(frozen=True)
class Side:
    """Nodes of one kind, in S slots of N rows; see `of` for what empty slots hold.

    Parameters
    ----------
    identity : Tensor (N, S) int64
        Which node it is.
    error : Tensor (N, S)
        A number that tells how well the node was, or would be, measured; 0 where that has no
        meaning.
    present : Tensor (N, S) bool
    """

    identity: Tensor
    error: Tensor
    present: Tensor

    @classmethod
    def of(cls, identity: Tensor, error: Tensor, present: Tensor) -> Side:
        """The same with zeros in the slots that are not present, whatever stood there."""
        return cls(
            identity=identity.masked_fill(~present, 0),
            error=error.masked_fill(~present, 0.0),
            present=present,
        )


@dataclass(frozen=True)
class Nodes:
    """A question about N rows: the given nodes with their values, the latent nodes without.

    Parameters
    ----------
    given, latent : Side
        S and L slots.
    value : Tensor (N, S)
        Of the given nodes; 0 in empty slots.
    among_given : Tensor (N, S, S) bool, optional
        Which given node (last index) each given node may attend to; all, by default.
    to_given : Tensor (N, L, S) bool, optional
        Which given node each latent node may attend to.
    among_latent : Tensor (N, L, L) bool, optional
    """

    given: Side
    latent: Side
    value: Tensor
    among_given: Tensor | None = None
    to_given: Tensor | None = None
    among_latent: Tensor | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def sees_all(self) -> Tensor:
        """Which latent nodes (N, L) may attend to all given ones: others must not know what
        summarises these."""
        if self.to_given is None:
            return torch.ones_like(self.latent.present)
        return (self.to_given | ~self.given.present[:, None]).all(-1)

    @classmethod
    def split(
        cls,
        identity: Tensor,
        value: Tensor,
        error: Tensor,
        given: Tensor,
        latent: Tensor,
        edges: Tensor | None = None,
    ) -> tuple[Nodes, Tensor]:
        """Part rows of T nodes into given and latent ones, both moved to the front.

        Parameters
        ----------
        identity, value, error : Tensor (N, T)
        given, latent : Tensor (N, T) bool
            Never both; neither where a node is left out.
        edges : Tensor (N, T, T) or (T, T) bool, optional
            Which node (last index) each node may attend to.

        Returns
        -------
        nodes : Nodes
        asked : Tensor (N, L)
            Values of the latent nodes; 0 in empty slots.
        """
        front = [_to_front(chosen) for chosen in (given, latent)]
        sides = [
            Side.of(identity.gather(1, index), error.gather(1, index), present)
            for index, present in front
        ]
        values = [value.gather(1, index).masked_fill(~present, 0.0) for index, present in front]
        blocks: list[Tensor | None] = [None, None, None]
        if edges is not None:
            edges = edges.expand(len(value), -1, -1)
            pairs = ((0, 0), (1, 0), (1, 1))
            blocks = [_block(edges, front[a][0], front[b][0]) for a, b in pairs]
        return cls(sides[0], sides[1], values[0], *blocks), values[1]


def _to_front(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Index (N, S) of the chosen slots of each row (N, T), first to last, and which exist."""
    order = torch.argsort((~chosen).to(torch.int8), dim=1, stable=True)
    count = chosen.sum(1)
    slots = int(count.max()) if len(chosen) else 0
    present = torch.arange(slots, device=chosen.device) < count[:, None]
    return order[:, :slots], present


def _block(edges: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    wide = edges.gather(1, rows[..., None].expand(-1, -1, edges.shape[2]))
    return wide.gather(2, columns[:, None, :].expand(-1, rows.shape[1], -1))
