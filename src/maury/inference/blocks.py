"""Networks at work on blocks of one size, so that no answer depends on a star's company.

A matrix product rounds differently with the number of its rows, by a few in the last digit, and a
flow can enlarge that a thousandfold. Here every product sees the same shapes whether a star comes
alone or among a million: blocks are filled up with repetitions, slots are in the order of the
channels, and their number is rounded up by star.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from maury.measurements import Measurements
from maury.nets.estimator import Estimator

__all__ = ["blocks", "contexts", "in_order"]

BLOCK = 256
"""Stars that the encoder sees at once."""

SLOTS = 8
"""The number of slots is rounded up to a multiple of this."""


def contexts(network: Estimator, known: Measurements) -> Tensor:
    """Summaries (N, width) of stars, each as if it were alone.

    Parameters
    ----------
    network : Estimator
    known : Measurements
        N stars in the network's own vocabulary, on its device.
    """
    result = torch.empty(len(known), network.context_size, device=known.device)
    for rows, _, block in blocks(in_order(known)):
        result[rows] = network.context(block)[: len(rows)]
    return result


def in_order(known: Measurements) -> Measurements:
    """The same stars, each with its slots in the order of the channels, padding last."""
    absent = len(known.channels)
    order = known.channel.masked_fill(~known.present, absent).argsort(dim=1, stable=True)
    return replace(
        known,
        channel=known.channel.gather(1, order),
        value=known.value.gather(1, order),
        sigma=known.sigma.gather(1, order),
        kind=known.kind.gather(1, order),
    )


def blocks(known: Measurements, size: int = BLOCK) -> Iterator[tuple[Tensor, Tensor, Measurements]]:
    """Rows; these rows filled up by repeating the first; and the stars of the latter."""
    slots = SLOTS * torch.div(known.count.clamp(min=1) + SLOTS - 1, SLOTS, rounding_mode="floor")
    for width in torch.unique(slots).tolist():
        alike = (slots == width).nonzero().squeeze(-1)
        for rows in alike.split(size):
            filled = torch.cat([rows, rows[:1].expand(size - len(rows))])
            yield rows, filled, known[filled].with_slots(width)
