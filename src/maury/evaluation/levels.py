"""At what level of credibility a posterior finds the truth: uniform if it is calibrated.

Each function turns draws and truths into one number between 0 and 1 for each star. For a calibrated
posterior these are independent and uniform, exactly and for any number of draws, so every test of
calibration is a test of uniformity. NaN draws give NaN.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "central_level",
    "density_level",
    "shortest_interval_hits",
    "tarp_level",
    "uniform_references",
]

Generator = np.random.Generator
Floats = NDArray[np.float64]


def central_level(draws: Tensor, truth: Tensor, generator: Generator) -> Floats:
    """Rank of the truth among its draws, as a fraction (Talts et al. 2018, arXiv:1804.06788).

    Parameters
    ----------
    draws : Tensor, shape (K, ...)
    truth : Tensor, shape (...)
    generator : numpy Generator
        Breaks ties, and spreads each rank over its share 1 / (K + 1) of the unit interval.

    Returns
    -------
    array, shape (...)
        (rank + u) / (K + 1), where rank counts the draws below the truth and some, at random, of
        those equal to it. The central interval of probability q holds the truth where this is
        within q / 2 of 1 / 2.
    """
    unanswered = (draws.isnan().any(dim=0) | truth.isnan()).numpy()
    below = (draws < truth).sum(dim=0).numpy()
    equal = (draws == truth).sum(dim=0).numpy()
    rank = below + generator.integers(0, equal + 1)
    level = (rank + generator.random(rank.shape)) / (len(draws) + 1)
    return np.where(unanswered, np.nan, level)


def density_level(log_prob: Tensor, log_prob_truth: Tensor, generator: Generator) -> Floats:
    """Probability of the smallest region of highest density that holds the truth.

    Parameters
    ----------
    log_prob : Tensor, shape (K, N)
        Posterior log density at each draw.
    log_prob_truth : Tensor, shape (N,)
        The same density at the truth; -inf where the posterior excludes it.
    generator : numpy Generator

    Returns
    -------
    array, shape (N,)
        The fraction of draws that are denser than the truth (Hermans et al. 2022,
        arXiv:2110.06581): the region of probability q holds the truth where this is at most q.
    """
    return central_level(-log_prob, -log_prob_truth, generator)


def uniform_references(truth: Tensor, generator: Generator) -> Tensor:
    """Points spread evenly over the box that all truths (N, D) span, one for each star."""
    finite = truth[truth.isfinite().all(dim=1)]
    low, high = finite.amin(dim=0), finite.amax(dim=0)
    return low + (high - low) * torch.as_tensor(generator.random(tuple(truth.shape))).to(truth)


def tarp_level(draws: Tensor, truth: Tensor, references: Tensor, generator: Generator) -> Floats:
    """Test of accuracy with random points (TARP; Lemos et al. 2023, arXiv:2302.03026, sec. 3).

    Parameters
    ----------
    draws : Tensor, shape (K, N, D)
        In coordinates of comparable scale, since distances are Euclidean.
    truth, references : Tensor, shape (N, D)
        A reference point for each star is chosen without a look at its own truth: see
        `uniform_references`.
    generator : numpy Generator

    Returns
    -------
    array, shape (N,)
        The fraction of draws nearer to the reference than the truth is. The ball about the
        reference that holds a posterior probability q holds the truth where this is at most q.
    """
    distance = (draws - references).square().sum(dim=-1)
    return central_level(distance, (truth - references).square().sum(dim=-1), generator)


def shortest_interval_hits(
    draws: Tensor, truth: Tensor, levels: tuple[float, ...], generator: Generator
) -> NDArray[np.bool_]:
    """Whether the shortest interval of each level holds the truth (HDI of one parameter).

    The shortest among many intervals of K draws is short partly by luck, and holds less than it
    promises. So one half of the draws tells where the shortest interval begins, as a probability,
    and the other half says where that probability and the level beyond it lie.

    Parameters
    ----------
    draws : Tensor, shape (K, ...)
        K >= 4, independent along the first axis.
    truth : Tensor, shape (...)
    levels : tuple of float
        L probabilities in (0, 1).
    generator : numpy Generator

    Returns
    -------
    bool array, shape (L, ...)
        False where a draw is NaN.
    """
    choosing, judging = draws[0::2].sort(dim=0).values, draws[1::2]
    position = central_level(judging, truth, generator)
    count = len(choosing)
    hits = []
    for level in levels:
        steps = min(max(round(level * (count + 1)), 1), count - 1)
        first = (choosing[steps:] - choosing[:-steps]).argmin(dim=0).numpy()
        begin = np.minimum((first + 1) / (count + 1), 1 - level)
        hits.append((position >= begin) & (position <= begin + level))
    return np.stack(hits)
