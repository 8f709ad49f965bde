"""What is given, as each node of a graph sees it.

Where it is known which random number depends on which, a node wants to hear from its neighbours,
and through them of what lies farther off. Layers of attention along the edges learn from far fewer
simulations what these say than one summary of all that is given does: all nodes read by the same
weights. Nodes not given pass on what they hear.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maury.nets.joint.transformer import ValueFeatures
from maury.nets.tokens import blank_absent

__all__ = ["GraphReader"]


class GraphReader(nn.Module):
    """Encode the given nodes into one vector for each of the T nodes of a graph.

    Parameters
    ----------
    edges : Tensor (T, T) bool
        Whom each node hears (last index); each hears itself.
    heads : int
        Of attention; they divide the width.
    width, layers, feedforward, dropout, frequencies
        As those of `maury.nets.deep_set.DeepSet`. A node hears of what is at most ``layers`` edges
        away.
    """

    edges: Tensor

    def __init__(
        self,
        edges: Tensor,
        heads: int,
        width: int,
        layers: int,
        feedforward: int,
        dropout: float,
        frequencies: Sequence[float],
    ) -> None:
        super().__init__()
        itself = torch.eye(len(edges), dtype=torch.bool)
        self.register_buffer("edges", edges | itself, persistent=False)
        self.features = ValueFeatures(frequencies)
        self.identity = nn.Embedding(len(edges), width)
        self.told = nn.Linear(self.features.count + 1, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, feedforward, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(
            layer, layers, nn.LayerNorm(width), enable_nested_tensor=False
        )

    def forward(self, identity: Tensor, value: Tensor, error: Tensor, present: Tensor) -> Tensor:
        """What each node hears of S given ones: (N, T, width).

        Parameters
        ----------
        identity, value, error, present : Tensor (N, S)
            As those of `maury.nets.deep_set.DeepSet.forward`.
        """
        identity, value, error = blank_absent(identity, value, error, present)
        numbers = torch.cat([self.features(value), error[..., None]], -1)
        told = self.told(numbers) * present[..., None]
        tokens = self.identity.weight.expand(len(value), -1, -1)
        tokens = tokens.scatter_add(1, identity[..., None].expand_as(told), told)
        return self.layers(tokens, mask=~self.edges)
