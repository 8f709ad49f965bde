"""Random numbers that belong to a star.

A star's draws must not depend on the batch it sits in, the order of the catalogue, the number of
threads, or on a run being resumed. So the noise is no stream but a function: of the seed, of the
fingerprint of the star's measurements, of the number of the draw and of the number within it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maury.hashing import mix

__all__ = ["keyed_uniform"]


def keyed_uniform(keys: Tensor, draws: int, size: int, *, seed: int, first: int = 0) -> Tensor:
    """Uniform random numbers in (0, 1), a pure function of their labels.

    Parameters
    ----------
    keys : Tensor (N,) int64
        One for each star, from `Measurements.hash`.
    draws, size : int
        K draws of M numbers each.
    seed : int
    first : int
        Number of the first draw, so that more draws can be added to earlier ones.

    Returns
    -------
    Tensor (K, N, M) float32
    """
    star = mix(keys + mix(torch.tensor(seed, device=keys.device)))
    label = torch.arange(first * size, (first + draws) * size, device=keys.device)
    bits = mix(star[None, :, None] ^ mix(label).view(draws, 1, size))
    # The half keeps the ends out; with a 24th bit it would not fit a float32 and round up to 1.
    return (((bits >> 41) & 0x7FFFFF).float() + 0.5) * 2.0**-23
