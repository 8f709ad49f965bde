"""A set transformer: any mix of measurements to one vector, whatever their order and number.

The encoder of IrisML: a token for each measurement, a learned class token, pre-norm transformer
layers (Xiong et al. 2020, arXiv:2002.04745) and the class token of the last as the summary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.errors import MauryError
from maury.nets.tokens import Tokens

__all__ = ["SetTransformer"]


@dataclass(frozen=True)
class Places:
    """Where each packed token belongs in the padded layout of T tokens a star.

    Everything but attention works on one token at a time and so runs on the present tokens alone;
    catalogues leave half of all slots empty.

    Attributes
    ----------
    index : Tensor, (P,) long
        Row of each packed token in (N * T); the N class tokens first, at place 0 of their star.
    keys : Tensor, (N, 1, 1, T) bool
        Which places hold a token.
    """

    index: Tensor
    keys: Tensor

    @classmethod
    def of(cls, present: Tensor) -> Places:
        """Places for the slots that are ``present`` (N, S), in order after the class token."""
        n = len(present)
        count = present.sum(dim=1)
        length = 1 + (int(count.max()) if n else 0)
        first = torch.arange(n, device=present.device) * length
        slots = (first[:, None] + present.cumsum(dim=1))[present]
        held = torch.arange(length, device=present.device) <= count[:, None]
        return cls(index=torch.cat((first, slots)), keys=held[:, None, None, :])

    def spread(self, packed: Tensor) -> Tensor:
        """(P, W) to (N, T, W), zeros where no token is."""
        n, length = len(self.keys), self.keys.shape[-1]
        padded = packed.new_zeros(n * length, packed.shape[-1])
        return padded.index_copy_(0, self.index, packed).view(n, length, packed.shape[-1])

    def pack(self, padded: Tensor) -> Tensor:
        """(N, T, W) to (P, W)."""
        return padded.flatten(0, 1).index_select(0, self.index)


class Layer(nn.Module):
    """Pre-norm self-attention and GELU feed-forward, each with its residual path."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.norm_feedforward = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feedforward)
        self.contract = nn.Linear(feedforward, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, place: Places, *, class_only: bool = False) -> Tensor:
        """Update packed tokens (P, W), class tokens first.

        With ``class_only`` the queries, the merge and the feed-forward run for the N class tokens
        alone and (N, W) comes back: the same numbers, without those that nothing reads after the
        last layer.
        """
        width = tokens.shape[-1]
        normed = self.norm_attention(tokens)
        if class_only:
            n = len(place.keys)
            weight, bias = self.query_key_value.weight, self.query_key_value.bias
            query = F.linear(normed[:n], weight[:width], bias[:width]).unsqueeze(1)
            key, value = place.spread(F.linear(normed, weight[width:], bias[width:])).chunk(2, -1)
            tokens = tokens[:n]
        else:
            query, key, value = place.spread(self.query_key_value(normed)).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(
            self._split(query),
            self._split(key),
            self._split(value),
            attn_mask=place.keys,
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        mixed = mixed.transpose(1, 2).flatten(2)
        mixed = mixed.squeeze(1) if class_only else place.pack(mixed)
        tokens = tokens + self.dropout(self.merge(mixed))
        hidden = self.dropout(F.gelu(self.expand(self.norm_feedforward(tokens))))
        return tokens + self.dropout(self.contract(hidden))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class SetTransformer(nn.Module):
    """Encode a set of measurements into one vector.

    Parameters
    ----------
    channels : int
        Size of the channel vocabulary.
    width : int
        Length of tokens and of the answer (M in the paper: 256).
    layers : int
        Number of transformer layers (L in the paper: 10).
    heads : int
        Attention heads (8); must divide ``width``.
    feedforward : int
        Hidden width of the feed-forward networks (768).
    dropout : float
        Rate in training (0.05).

    Raises
    ------
    MauryError
        If ``heads`` does not divide ``width`` or ``layers`` is less than one.
    """

    def __init__(
        self,
        channels: int,
        width: int = 256,
        layers: int = 10,
        heads: int = 8,
        feedforward: int = 768,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise MauryError(f"width {width} is not a multiple of heads {heads}: change either")
        if layers < 1:
            raise MauryError(f"layers is {layers}: a set transformer needs at least one")
        self.width = width
        self.tokens = Tokens(channels, width)
        self.class_token = nn.Parameter(torch.randn(width))
        self.layers = nn.ModuleList(
            Layer(width, heads, feedforward, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, channel: Tensor, value: Tensor, error: Tensor, present: Tensor) -> Tensor:
        """Summarise each star's measurements.

        Parameters
        ----------
        channel : Tensor, (N, S) long
            Which channel each slot holds; anything where absent.
        value, error : Tensor, (N, S)
            Measured value and error, in the network's units; anything where absent.
        present : Tensor, (N, S) bool
            Which slots hold a measurement. A star without any is answered by the class token.

        Returns
        -------
        Tensor, (N, width)
        """
        held = self.tokens(channel[present], value[present], error[present])
        tokens = torch.cat((self.class_token.expand(len(present), -1), held))
        place = Places.of(present)
        for layer in self.layers[:-1]:
            tokens = layer(tokens, place)
        return self.norm(self.layers[-1](tokens, place, class_only=True))
