"""A deep set: per-channel maps summed over what was measured, then a residual trunk.

The cheap alternative to attention (Zaheer et al. 2017, arXiv:1703.06114). Because the vocabulary
of channels is fixed, the sum over slots of per-channel linear maps is one matrix product of a
dense (channel, feature) layout: a masked multilayer perceptron that takes any order of slots.

Sines and cosines of each value, at a few frequencies, let the network tell hundredths of a
magnitude from the start, while the values themselves span several magnitudes (periodic embeddings
of numbers: Gorishniy et al. 2022, arXiv:2203.05556).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.nets.tokens import blank_absent

__all__ = ["DeepSet"]

# Presence, value, error and the product of these two: the product lets a channel's weight in the
# sum follow its error before the first non-linearity.
PLAIN_FEATURES = 4


class Block(nn.Module):
    """Pre-norm residual feed-forward block."""

    def __init__(self, width: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feedforward)
        self.contract = nn.Linear(feedforward, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.expand(self.norm(x)))
        return x + self.dropout(self.contract(self.dropout(hidden)))


class DeepSet(nn.Module):
    """Encode a set of measurements into one vector, by a sum over channels.

    Parameters
    ----------
    channels : int
        Size of the channel vocabulary. Where a channel occurs twice in a star, its maps add up.
    width : int
        Length of the sum, of the trunk and of the answer.
    layers : int
        Residual blocks of the trunk.
    feedforward : int
        Hidden width of each block.
    dropout : float
        Rate in training.
    frequencies : sequence of float
        Of the sines and cosines of each value, in radians per unit (a magnitude, for bands).
    """

    frequencies: Tensor

    def __init__(
        self,
        channels: int,
        width: int = 256,
        layers: int = 4,
        feedforward: int = 512,
        dropout: float = 0.0,
        frequencies: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.channels = channels
        self.width = width
        self.register_buffer("frequencies", torch.tensor(frequencies), persistent=False)
        self.maps = nn.Linear(channels * (PLAIN_FEATURES + 2 * len(frequencies)), width)
        self.blocks = nn.ModuleList(Block(width, feedforward, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, channel: Tensor, value: Tensor, error: Tensor, present: Tensor) -> Tensor:
        """Summarise each star's measurements; arguments and answer as `SetTransformer.forward`."""
        channel, value, error = blank_absent(channel, value, error, present)
        here = present.to(value.dtype)
        phase = value.unsqueeze(-1) * self.frequencies
        waves = torch.cat([phase.sin(), phase.cos()], dim=-1) * here.unsqueeze(-1)
        plain = torch.stack((here, value, error, value * error), dim=-1)
        features = torch.cat([plain, waves], dim=-1)
        n = len(channel)
        row = torch.arange(n, device=channel.device)[:, None] * self.channels + channel
        dense = value.new_zeros(n * self.channels, features.shape[-1])
        dense = dense.index_add(0, row.flatten(), features.flatten(0, 1))
        x = self.maps(dense.view(n, self.maps.in_features))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
