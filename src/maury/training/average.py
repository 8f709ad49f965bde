"""An exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """Keeps ``module``, a copy whose weights follow those of the trained network.

    Early on the average follows fast (its decay grows as (1 + n) / (10 + n)), so that the random
    initial weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the network's weights after update number ``step`` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        average = list(self.module.parameters())
        current = list(network.parameters())
        torch._foreach_lerp_(average, current, 1 - decay)
