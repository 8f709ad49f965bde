"""What every population offers: stars to draw, and their density."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["STAR", "Population"]

STAR = ("teff", "logg", "mh", "a_v", "r_v")
"""The five parameters of a star behind dust, in the order of every theta (N, 5)."""


class Population(Protocol):
    """A prior over stars.

    Attributes
    ----------
    parameters : tuple of str
        Names of the columns of theta, in order.
    """

    parameters: tuple[str, ...]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` stars: (n, D) float32 in physical units, on the generator's device."""
        ...

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log of the normalised density at theta (N, D), physical units: (N,), -inf outside."""
        ...
