"""From measurements to tokens: one vector for each thing that was measured of a star."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Tokens", "blank_absent"]


def blank_absent(
    channel: Tensor, value: Tensor, error: Tensor, present: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Put zeros wherever nothing was measured.

    Padding may hold anything, NaN and out-of-range channels included; a mask alone would not stop
    a NaN, for which 0 * NaN is NaN.

    Parameters
    ----------
    channel : Tensor, (N, S) long
    value, error : Tensor, (N, S)
    present : Tensor, (N, S) bool

    Returns
    -------
    channel, value, error : Tensor, (N, S)
    """
    return (
        channel.masked_fill(~present, 0),
        value.masked_fill(~present, 0.0),
        error.masked_fill(~present, 0.0),
    )


class Tokens(nn.Module):
    """Learned channel embedding + linear of the value + linear of the error.

    Parameters
    ----------
    channels : int
        Size of the channel vocabulary.
    width : int
        Length of a token.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.channel = nn.Embedding(channels, width)
        self.value = nn.Linear(1, width)
        # The value's bias serves both linear maps: a second one would only repeat it.
        self.error = nn.Linear(1, width, bias=False)

    def forward(self, channel: Tensor, value: Tensor, error: Tensor) -> Tensor:
        """Tokens of shape (..., width) for channel, value and error of shape (...)."""
        table = self.channel.weight + self.value.bias
        numbers = torch.stack((value, error), dim=-1)
        maps = torch.cat((self.value.weight, self.error.weight), dim=-1)
        return nn.functional.embedding(channel, table) + nn.functional.linear(numbers, maps)
