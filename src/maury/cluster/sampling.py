"""Adaptive importance sampling in a few dimensions, robust against several modes.

Samples of all rounds count, each weighted by the target over the mixture of all proposals so far
(Cornuet et al. 2012, Scand. J. Stat. 39, 798). Rounds begin from a broad proposal; each next one
adapts to the weights so far, flattened to a power below one until enough samples have a say
(Koblents & Miguez 2015, Stat. Comput. 25, 407). A proposal is half a Student density about the
mean, half a mixture of them at places drawn by weight, so that a second mode is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

__all__ = ["Run", "adapted", "effective_size", "sample_importance"]

Array = NDArray[np.float64]
Density = Callable[[Array], Array]

_FREEDOM = 5.0
_CENTRES = 24
_HAVE_A_SAY = 40.0


@dataclass(frozen=True)
class Run:
    """Weighted samples.

    Parameters
    ----------
    z : array (S, D)
    log_target : array (S,)
    log_weight : array (S,)
        Normalised.
    log_evidence : float
    """

    z: Array
    log_target: Array
    log_weight: Array
    log_evidence: float

    @property
    def effective(self) -> float:
        """Effective number of samples."""
        return effective_size(self.log_weight)


def effective_size(log_weight: Array) -> float:
    """1 / sum of the squares of the weights normalised."""
    return float(np.exp(2 * logsumexp(log_weight) - logsumexp(2 * log_weight)))


def sample_importance(
    log_target: Callable[[Array], float],
    broad: tuple[Array, Density],
    *,
    rng: np.random.Generator,
    per_round: int,
    effective: float,
    most: int,
) -> Run:
    """Sample until so many effective samples are there, or ``most`` evaluations are spent.

    Parameters
    ----------
    log_target : callable
        Log density of one place (D,); -inf where there is none.
    broad : tuple
        Places (n, D) drawn from a broad proposal, and its log density of places (S, D).
    rng : numpy Generator
    per_round : int
    effective : float
    most : int
    """
    z, density = broad
    proposals: list[tuple[int, Density]] = [(len(z), density)]
    target = np.array([log_target(place) for place in z])
    while True:
        shares = [math.log(n / len(z)) + q(z) for n, q in proposals]
        log_weight = target - logsumexp(shares, axis=0)
        # The broad proposal reaches nowhere near all of its places: those count, with weight 0.
        found = Run(
            z, target, log_weight - logsumexp(log_weight), logsumexp(log_weight) - math.log(len(z))
        )
        if len(z) >= most or (found.effective >= effective and len(proposals) > 3):
            return found
        flat = _flatten(log_weight)
        new, density = _adapt(z, flat, rng, min(per_round, most - len(z)))
        proposals.append((len(new), density))
        target = np.concatenate([target, [log_target(place) for place in new]])
        z = np.concatenate([z, new])


def _flatten(log_weight: Array) -> Array:
    """Weights to the largest power up to one that leaves enough of them; normalised, linear."""
    usable = np.where(np.isfinite(log_weight), log_weight, -1e300)
    low, high = 0.0, 1.0
    if effective_size(usable) < _HAVE_A_SAY:
        for _ in range(30):
            middle = 0.5 * (low + high)
            enough = effective_size(middle * usable) >= _HAVE_A_SAY
            low, high = (middle, high) if enough else (low, middle)
    else:
        low = 1.0
    weight = np.exp(low * usable - logsumexp(low * usable))
    return np.asarray(weight / weight.sum())


def _adapt(z: Array, weight: Array, rng: np.random.Generator, n: int) -> tuple[Array, Density]:
    """New places (n, D), and the density they come from."""
    dimensions = z.shape[1]
    mean = weight @ z
    spread = (z - mean).T @ ((z - mean) * weight[:, None])
    spread += 1e-8 * np.eye(dimensions) + 1e-4 * np.diag(np.diag(spread))
    size = 1.0 / (weight**2).sum()
    silverman = (4 / ((dimensions + 2) * size)) ** (1 / (dimensions + 4))
    chosen = rng.choice(len(z), _CENTRES, p=weight)
    parts = [
        (0.5, mean[None], np.linalg.cholesky(1.2 * spread)),
        (0.5, z[chosen], np.linalg.cholesky(silverman**2 * spread)),
    ]

    def density(x: Array) -> Array:
        return np.asarray(
            logsumexp([math.log(f) + _student(x, centres, root) for f, centres, root in parts], 0)
        )

    rows = []
    for share, (_, centres, root) in zip((n - n // 2, n // 2), parts, strict=True):
        scale = np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, (share, 1)))
        pick = centres[rng.integers(len(centres), size=share)]
        rows.append(pick + scale * rng.standard_normal((share, dimensions)) @ root.T)
    return np.concatenate(rows), density


def _student(x: Array, centres: Array, root: Array) -> Array:
    """Log density (S,) of the even mixture of Student densities about the centres."""
    dimensions = x.shape[1]
    inverse = np.linalg.inv(root)
    moved, places = x @ inverse.T, centres @ inverse.T
    square = ((moved[:, None] - places[None]) ** 2).sum(-1)
    half = 0.5 * (_FREEDOM + dimensions)
    height = (
        gammaln(half) - gammaln(0.5 * _FREEDOM) - 0.5 * dimensions * math.log(math.pi * _FREEDOM)
    )
    height -= np.log(np.diag(root)).sum()
    bumps = -half * np.log1p(square / _FREEDOM)
    return np.asarray(height + logsumexp(bumps, axis=1) - math.log(len(centres)))


def adapted(run: Run, rng: np.random.Generator, n: int) -> tuple[Array, Density]:
    """Places (n, D) about where a run found its target, and the density that they come from."""
    return _adapt(run.z, _flatten(run.log_weight), rng, n)
