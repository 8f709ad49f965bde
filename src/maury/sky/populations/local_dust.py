"""Extinction that grows with distance: an exponential about a mean that each star has of its own.

Simple enough to be sampled and evaluated for clusters and young stars anywhere; towards a known
direction a map of dust does better.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maury.sky.populations.densities import uniform

__all__ = ["MOST_DUST", "dust_log_prob", "mean_dust", "sample_dust"]

MOST_DUST = 20.0
"""Largest A_V, mag."""


def mean_dust(distance: Tensor, per_kpc: float = 0.7) -> Tensor:
    """Mean A_V (any shape), mag: 0.05 and ``per_kpc`` for each kpc of the distance in pc.

    0.7 mag/kpc is the diffuse dust near the Sun (Robin et al. 2003, A&A 409, 523).
    """
    return 0.05 + per_kpc * distance / 1000.0


def sample_dust(mean: Tensor, generator: torch.Generator) -> Tensor:
    """Draw A_V (N,), mag, float64, with the scale ``mean`` (N,) before the cut at 20 mag."""
    position = uniform(len(mean), generator)
    return -mean * torch.log1p(position * torch.expm1(-MOST_DUST / mean))


def dust_log_prob(a_v: Tensor, mean: Tensor) -> Tensor:
    """Log density per mag (any shape), float64; -inf outside 0 to 20 mag."""
    inside = (a_v > 0) & (a_v <= MOST_DUST)
    density = -a_v / mean - torch.log(-mean * torch.expm1(-MOST_DUST / mean))
    return density.masked_fill(~inside, -math.inf)
