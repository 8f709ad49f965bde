"""Adaptive importance sampling in a few dimensions, robust against several modes.

Samples of all rounds count, each weighted by the target over the mixture of all proposals so far
(Cornuet et al. 2012, Scand. J. Stat. 39, 798). Rounds begin from a broad proposal; each next one
adapts to the weights so far, flattened to a power below one until enough samples have a say
(Koblents & Miguez 2015, Stat. Comput. 25, 407). A proposal is a mixture of three: a Student density
of the samples' mean and covariance; Student densities at places drawn by weight, so that a second
mode is kept; and one about the peak of a parabola through the highest values so far, which leaps
to a narrow peak that no sample has reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln

__all__ = ["Run", "adapted", "climbed", "effective_size", "sample_importance"]

Array = NDArray[np.float64]
Density = Callable[[Array], Array]

_FREEDOM = 5.0
_CENTRES = 24
_HAVE_A_SAY = 40.0
_PRECIPICE = 200.0
_DROP, _FEELS = 1.5, 4


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

    @property
    def best(self) -> Array:
        """Place (D,) of the highest target."""
        return np.asarray(self.z[int(np.argmax(self.log_target))])


def effective_size(log_weight: Array) -> float:
    """1 / sum of the squares of the weights normalised."""
    return float(np.exp(2 * _log_total(log_weight) - _log_total(2 * log_weight)))


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
        log_weight = target - _log_sum(np.array(shares), 0)
        # The broad proposal reaches nowhere near all of its places: those count, with weight 0.
        found = Run(
            z,
            target,
            log_weight - _log_total(log_weight),
            _log_total(log_weight) - math.log(len(z)),
        )
        if len(z) >= most or (found.effective >= effective and len(proposals) > 2):
            return found
        new, density = adapted(found, rng, min(per_round, most - len(z)))
        proposals.append((len(new), density))
        target = np.concatenate([target, [log_target(place) for place in new]])
        z = np.concatenate([z, new])


def climbed(log_target: Callable[[Array], float], run: Run, *, most: int) -> Run:
    """Climb from the best place of a run, mostly of a softer target, to the top of a sharp one.

    By linear models in a shrinking region (COBYLA; Powell 1994, in Advances in Optimization and
    Numerical Analysis, 51), which roughness does not mislead, in units of the run's spread. The
    places on the way are no samples: their weights, proportional to the target, serve `adapted`.

    Parameters
    ----------
    log_target : callable
        Finite at the run's best place.
    run : Run
    most : int
        Evaluations of the climb; feeling about the top takes up to 50 more in five dimensions.
    """
    start = run.best
    root = np.asarray(np.linalg.cholesky(_moments(run.z, _flatten(run.log_weight))[1]), float)
    places: list[Array] = []
    values: list[float] = []

    def depth(step: Array) -> float:
        places.append(start + root @ step)
        values.append(log_target(places[-1]))
        # A precipice would tilt the linear models for long.
        return float(min(values[0] - values[-1], _PRECIPICE))

    minimize(
        depth,
        np.zeros(len(start)),
        method="COBYLA",
        options={"rhobeg": 1.0, "tol": 0.05, "maxiter": most},
    )
    _feel(depth, root, places, values)
    target = np.array(values)
    return Run(np.array(places), target, target - _log_total(target), 0.0)


def _feel(
    depth: Callable[[Array], float], root: Array, places: list[Array], values: list[float]
) -> None:
    """Evaluate about the best of the places where the target is lower by about _DROP."""
    top, highest = int(np.argmax(values)), max(values)
    middle = np.linalg.solve(root, places[top] - places[0])
    reach = np.diag(np.full(len(middle), 0.5))
    for axis in reach:
        for _ in range(_FEELS):
            for side in (-1.0, 1.0):
                depth(middle + side * axis)
            drop = highest - float(np.mean(values[-2:]))
            if _DROP / 3 < drop < 3 * _DROP:
                break
            axis *= np.clip(math.sqrt(_DROP / max(drop, 1e-2)), 0.1, 4.0)
    for i in range(len(reach)):
        for j in range(i):
            depth(middle + (reach[i] + reach[j]) / math.sqrt(2.0))


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
    weight = np.exp(low * usable - _log_total(low * usable))
    return np.asarray(weight / weight.sum())


def adapted(run: Run, rng: np.random.Generator, n: int) -> tuple[Array, Density]:
    """Places (n, D) about where a run found its target, and the density that they come from."""
    z, weight = run.z, _flatten(run.log_weight)
    dimensions = z.shape[1]
    mean, spread = _moments(z, weight)
    size = 1.0 / (weight**2).sum()
    silverman = (4 / ((dimensions + 2) * size)) ** (1 / (dimensions + 4))
    chosen = rng.choice(len(z), _CENTRES, p=weight)
    peak, width = _parabola(z, run.log_target, mean, spread)
    parts = [
        (0.3, mean[None], np.linalg.cholesky(1.2 * spread)),
        (0.3, z[chosen], np.linalg.cholesky(silverman**2 * spread)),
        (0.4, peak[None], np.linalg.cholesky(1.3 * width)),
    ]

    def density(x: Array) -> Array:
        return np.asarray(
            _log_sum(
                np.array([math.log(f) + _student(x, centres, root) for f, centres, root in parts]),
                0,
            )
        )

    rows = []
    which = rng.choice(len(parts), n, p=[share for share, _, _ in parts])
    for number, (_, centres, root) in enumerate(parts):
        some = int((which == number).sum())
        scale = np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, (some, 1)))
        pick = centres[rng.integers(len(centres), size=some)]
        rows.append(pick + scale * rng.standard_normal((some, dimensions)) @ root.T)
    return np.concatenate(rows), density


def _moments(z: Array, weight: Array) -> tuple[Array, Array]:
    """Mean (D,) and covariance (D, D), a little widened so that it has an inverse."""
    mean = weight @ z
    spread = (z - mean).T @ ((z - mean) * weight[:, None])
    return mean, spread + 1e-8 * np.eye(z.shape[1]) + 1e-4 * np.diag(np.diag(spread))


def _parabola(z: Array, log_target: Array, mean: Array, spread: Array) -> tuple[Array, Array]:
    """Peak (D,) and covariance (D, D) of a normal density fitted to the highest values.

    Curvatures that do not bend down, or much less than the samples' spread has it, are those of
    twice the spread; the peak is kept within that.
    """
    dimensions = z.shape[1]
    terms = (dimensions + 1) * (dimensions + 2) // 2
    order = np.argsort(-log_target)[: 3 * terms]
    order = order[np.isfinite(log_target[order])]
    if len(order) < 1.5 * terms:
        return mean, spread
    root = np.linalg.cholesky(spread)
    best = z[order[0]]
    x = np.linalg.solve(root, (z[order] - best).T).T
    drop = log_target[order[0]] - log_target[order]
    trust = 1.0 / (1.0 + drop / max(float(np.median(drop)), 3.0)) ** 2
    rows, columns = np.triu_indices(dimensions)
    features = np.column_stack([np.ones(len(x)), x, x[:, rows] * x[:, columns]])
    fitted = np.linalg.lstsq(features * trust[:, None], -drop * trust, rcond=1e-10)[0]
    slope = fitted[1 : dimensions + 1]
    curvature = np.zeros((dimensions, dimensions))
    curvature[rows, columns] = -fitted[dimensions + 1 :]
    curvature += curvature.T
    value, vector = np.linalg.eigh(curvature)
    value = np.clip(value, 0.25, 1e6)
    step = vector @ ((vector.T @ slope) / value)
    step *= min(1.0, 2.0 / max(float(np.linalg.norm(step)), 1e-9))
    shape = root @ vector
    return best + root @ step, (shape / value) @ shape.T


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
    return np.asarray(height + _log_sum(bumps, 1) - math.log(len(centres)))


def _log_sum(a: Array, axis: int) -> Array:
    """log of the sum of exponentials; scipy's costs several times as much."""
    top = np.maximum(a.max(axis), -1e300)
    return np.asarray(top + np.log(np.exp(a - np.expand_dims(top, axis)).sum(axis)))


def _log_total(a: Array) -> float:
    return float(_log_sum(a, 0))
