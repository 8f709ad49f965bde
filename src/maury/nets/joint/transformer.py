"""Attention over given and latent nodes, with all that rests on the given ones computed once.

Given nodes attend to one another, never to latent ones; latent nodes attend to both. Given nodes
therefore do not change as the latent ones move from noise to data: their keys and values are kept
(`Memory`) and serve every step and every draw. The time enters through the scale, shift and gate of
each layer's normalised tokens (Peebles & Xie 2023, arXiv:2212.09748, adaLN-Zero).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Layer", "Memory", "Packing", "Reader", "TimeFeatures", "ValueFeatures"]


@dataclass(frozen=True)
class Memory:
    """Keys and values (N, H, 1 + S, W / H) in one layer: of nothing given, then of given nodes."""

    key: Tensor
    value: Tensor

    def __getitem__(self, rows: slice | Tensor) -> Memory:
        return Memory(self.key[rows], self.value[rows])


@dataclass(frozen=True)
class Packing:
    """Where tokens belong in N rows of K draws of T places.

    Everything but attention works on one token at a time. In training, where half of all places
    are empty, it runs on those that exist alone; in answers, on all places, so that products have
    the same shape, and are rounded alike, whatever company a row has.

    Parameters
    ----------
    shape : (N, K, T)
    index : Tensor (P,) int64, optional
        Numbers of the places that hold a token; all, by default.
    """

    shape: tuple[int, int, int]
    index: Tensor | None = None

    @classmethod
    def of(cls, present: Tensor, draws: int, *, dense: bool) -> Packing:
        """For the places that are ``present`` (N, T) in each draw, or for all of them."""
        n, places = present.shape
        if dense or bool(present.all()):
            return cls((n, draws, places))
        index = present[:, None].expand(n, draws, places).flatten().nonzero().squeeze(-1)
        return cls((n, draws, places), index)

    def pack(self, padded: Tensor) -> Tensor:
        """(N, K, T, ...) to (P, ...)."""
        flat = padded.flatten(0, 2)
        return flat if self.index is None else flat.index_select(0, self.index)

    def spread(self, packed: Tensor) -> Tensor:
        """(P, ...) to (N, K, T, ...), zeros where no token is."""
        rest = packed.shape[1:]
        if self.index is None:
            return packed.view(*self.shape, *rest)
        flat = packed.new_zeros(math.prod(self.shape), *rest)
        return flat.index_copy(0, self.index, packed).view(*self.shape, *rest)

    def each(self, of_row: Tensor) -> Tensor:
        """What belongs to a token's row: (N or 1, W) to (P or 1, W)."""
        if len(of_row) == 1:
            return of_row
        n, draws, places = self.shape
        if self.index is None:
            return of_row[:, None].expand(n, draws * places, -1).flatten(0, 1)
        row = torch.div(self.index, draws * places, rounding_mode="floor")
        return of_row.index_select(0, row)


class ValueFeatures(nn.Module):
    """A number, and sines and cosines of it: networks of smooth units resolve little otherwise."""

    frequencies: Tensor

    def __init__(self, frequencies: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.tensor(frequencies), persistent=False)

    @property
    def count(self) -> int:
        """How many numbers one becomes."""
        return 1 + 2 * len(self.frequencies)

    def forward(self, x: Tensor) -> Tensor:
        """Features (..., count) of x (...)."""
        turns = x[..., None] * self.frequencies
        return torch.cat([x[..., None], torch.sin(turns), torch.cos(turns)], -1)


class TimeFeatures(nn.Module):
    """What the layers know of the time: a vector (N, W) of the angle phi (N,)."""

    rates: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        # log tan phi runs from -9 (data) to 7 (noise): waves from a third of that to 1 long.
        self.register_buffer("rates", torch.logspace(-1, 0.8, 16), persistent=False)
        self.net = nn.Sequential(
            nn.Linear(33, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, phi: Tensor) -> Tensor:
        ratio = torch.log(torch.tan(phi.clamp(1e-5, 0.5 * math.pi - 1e-5)))
        turns = ratio[:, None] * self.rates
        return self.net(torch.cat([0.2 * ratio[:, None], torch.sin(turns), torch.cos(turns)], -1))


class Layer(nn.Module):
    """Pre-norm attention and feed-forward, both modulated by the time where there is one."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        contract = nn.Linear(feedforward, width)
        self.feedforward = nn.Sequential(nn.Linear(width, feedforward), nn.GELU(), contract)
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        # Gates begin open for all: without the time's say this is a plain transformer.
        with torch.no_grad():
            self.modulation.bias.view(6, width)[2::3].fill_(1.0)
        for last in (self.merge, contract):
            nn.init.normal_(last.weight, std=0.02)

    def forward(
        self,
        tokens: Tensor,
        packing: Packing,
        mask: Tensor,
        *,
        time: Tensor | None = None,
        memory: Memory | None = None,
    ) -> tuple[Tensor, Memory]:
        """New tokens, and their own keys and values.

        Parameters
        ----------
        tokens : Tensor (P, W)
            Of T nodes of K draws of N rows; given nodes have K = 1.
        packing : Packing
            Where they belong.
        mask : Tensor (N, T, S + T) or (N, T, T) bool
            Whom each token attends to: nodes of the memory first, where there is one.
        time : Tensor (N or 1, W), optional
            Given nodes have none.
        memory : Memory, optional
            Of S given nodes.
        """
        change = None if time is None else packing.each(self.modulation(time)).chunk(6, dim=-1)
        normed = self.norm(tokens)
        if change is not None:
            normed = normed * (1 + change[0]) + change[1]
        query, key, value = (
            x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for x in packing.spread(self.query_key_value(normed)).chunk(3, dim=-1)
        )  # (N, K, H, T, W / H)
        mixed = _attend(query, key, value, mask, memory).transpose(-2, -3).flatten(-2)
        merged = self.merge(packing.pack(mixed))
        tokens = tokens + (merged if change is None else change[2] * merged)
        normed = self.norm(tokens)
        if change is not None:
            normed = normed * (1 + change[3]) + change[4]
        out = self.feedforward(normed)
        tokens = tokens + (out if change is None else change[5] * out)
        return tokens, Memory(key[:, 0], value[:, 0])


class Reader(nn.Module):
    """One reading of the given nodes by latent ones that do not yet have a value."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_latent, self.norm_given = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.merge = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width)
        )

    def forward(self, latent: Tensor, given: Tensor, mask: Tensor) -> Tensor:
        """Tokens (N, L, W) of latent nodes that have read the given ones (N, S, W)."""
        query = self._split(self.query(self.norm_latent(latent)))
        key, value = map(self._split, self.key_value(self.norm_given(given)).chunk(2, -1))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None])
        tokens = latent + self.merge(mixed.transpose(1, 2).flatten(2))
        return tokens + self.feedforward(self.norm(tokens))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, memory: Memory | None
) -> Tensor:
    """Attention (N, K, H, T, d) of draws to their own nodes and to the memory they share."""
    n, draws, heads, count, size = query.shape
    if draws == 1:
        # Four dimensions, or torch takes a slower way.
        query, key, value = query[:, 0], key[:, 0], value[:, 0]
        if memory is not None:
            key = torch.cat([memory.key, key], -2)
            value = torch.cat([memory.value, value], -2)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None])
        return mixed[:, None]
    score = query @ key.transpose(-1, -2)
    kept = 0 if memory is None else memory.key.shape[-2]
    if memory is not None:
        # All draws' queries against the shared keys in one product.
        flat = query.transpose(1, 2).reshape(n, heads, draws * count, size)
        shared = flat @ memory.key.transpose(-1, -2)
        shared = shared.view(n, heads, draws, count, kept).transpose(1, 2)
        score = torch.cat([shared, score], -1)
    score = (score / math.sqrt(size)).masked_fill(~mask[:, None, None], -math.inf)
    share = score.softmax(-1)
    if memory is None:
        return share @ value
    mixed = share[..., kept:] @ value
    flat = share[..., :kept].transpose(1, 2).reshape(n, heads, draws * count, kept)
    shared = (flat @ memory.value).view(n, heads, draws, count, size).transpose(1, 2)
    return mixed + shared
