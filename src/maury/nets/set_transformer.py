"""A set transformer: any mix of measurements to one vector, whatever their order and number.

The encoder of IrisML: a token for each measurement, a learned class token, pre-norm transformer
layers (Xiong et al. 2020, arXiv:2002.04745) and the class token of the last as the summary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.errors import MauryError
from maury.nets.tokens import Tokens, blank_absent

__all__ = ["SetTransformer"]


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

    def forward(self, tokens: Tensor, keys: Tensor, *, class_only: bool = False) -> Tensor:
        """Update tokens (N, T, W), or the first alone, attending to where ``keys`` is true.

        ``keys`` has shape (N, 1, 1, T). With ``class_only`` the queries, the merge and the
        feed-forward run for the first token alone and (N, 1, W) comes back: the same numbers,
        without those that nothing reads after the last layer.
        """
        width = tokens.shape[-1]
        normed = self.norm_attention(tokens)
        if class_only:
            weight, bias = self.query_key_value.weight, self.query_key_value.bias
            query = F.linear(normed[:, :1], weight[:width], bias[:width])
            key, value = F.linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
            tokens = tokens[:, :1]
        else:
            query, key, value = self.query_key_value(normed).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(
            self._split(query),
            self._split(key),
            self._split(value),
            attn_mask=keys,
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        mixed = mixed.transpose(1, 2).flatten(2)
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
        tokens = self.tokens(*blank_absent(channel, value, error, present))
        n = len(tokens)
        tokens = torch.cat((self.class_token.expand(n, 1, -1), tokens), dim=1)
        keys = torch.cat((present.new_ones(n, 1), present), dim=1)[:, None, None, :]
        for layer in self.layers[:-1]:
            tokens = layer(tokens, keys)
        summary = self.layers[-1](tokens, keys, class_only=True)
        return self.norm(summary[:, 0])
