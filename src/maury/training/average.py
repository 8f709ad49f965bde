"""An exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]

Network = TypeVar("Network", bound=nn.Module)


class MovingAverage(Generic[Network]):
    """Keeps ``module``, a copy whose weights follow those of the trained network.

    Early on the average follows fast (its decay grows as (1 + n) / (10 + n)), so that the random
    initial weights are soon forgotten.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.module: Network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        """Move towards the network's weights after update number ``step`` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        average: list[Tensor] = list(self.module.parameters())
        current: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(average, current, 1 - decay)
