"""What a method says of mock stars, and how far off it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from maury.evaluation.accuracy import metrics
from maury.simulator import Simulator
from other_methods.dense import Dense

REPORTED = ("teff", "logg", "mh", "a_v", "distance")
"""Parameters on which methods are compared; distances in the logarithm."""

Floats = NDArray[np.float64]


WRONG = 4.0
"""Measurements that are so many sigma off the truth count as outliers."""


@dataclass(frozen=True)
class MockStars:
    """Stars of a simulator whose truth is known.

    Parameters
    ----------
    observations : Dense
        N stars: photometry and parallaxes, all that every method can read.
    true : Tensor (N, B + 1)
        What they would be without errors.
    theta : Tensor (N, D)
        In the order of the simulator's parameters.
    """

    observations: Dense
    true: torch.Tensor
    theta: torch.Tensor

    @classmethod
    def draw(cls, simulator: Simulator, count: int, *, seed: int) -> MockStars:
        """Stars without discs, which only the network knows of: the likelihood leaves them out."""
        stars = simulator.draw(count + count // 4 + 16, torch.Generator().manual_seed(seed))
        bare = (stars.population < 2).nonzero().squeeze(-1)[:count]
        theta = stars.theta[bare]
        parallax = 1000 / theta[:, simulator.parameters.index("distance"), None]
        return cls(
            Dense.of(simulator, stars.measurements[bare]),
            torch.cat([stars.magnitudes[bare], parallax], 1),
            theta,
        )

    def __len__(self) -> int:
        return len(self.theta)

    def __getitem__(self, rows: slice) -> MockStars:
        return MockStars(self.observations[rows], self.true[rows], self.theta[rows])

    def without_outliers(self) -> MockStars:
        """The same less all that is `WRONG`, as nobody could tell who does not know the truth."""
        off = (self.observations.value - self.true).abs() / self.observations.width
        return replace(self, observations=self.observations.without(off > WRONG))


@dataclass(frozen=True)
class Answers:
    """Answers of a method to the first N mock stars.

    Parameters
    ----------
    name, note : str
    seconds : float
        Processor time for each star.
    draws : array (K, N, 5), optional
        `REPORTED`, physical units; K = 1 of a method that gives no errors. Missing for a method
        whose speed alone is meant.
    """

    name: str
    seconds: float
    draws: Floats | None = None
    note: str = ""

    def scores(self, truth: Floats) -> list[dict[str, float]]:
        """For each of `REPORTED`, what `maury.evaluation.accuracy.metrics` gives."""
        assert self.draws is not None
        known = np.log(truth[:, -1])
        return [
            *(metrics(self.draws[..., i], truth[:, i], None) for i in range(len(REPORTED) - 1)),
            metrics(np.log(self.draws[..., -1]), known, None),
        ]

    def errors(self, truth: Floats) -> Floats:
        """Absolute errors (N, 5) of the medians."""
        assert self.draws is not None
        median = np.median(self.draws, axis=0)
        off = np.abs(median - truth)
        off[:, -1] = np.abs(np.log(median[:, -1] / truth[:, -1]))
        return off


@dataclass
class Stopwatch:
    """Processor seconds of all threads: another's load on the machine does not count."""

    seconds: float = field(default=0.0)


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measure what happens inside."""
    watch = Stopwatch()
    began = time.process_time()
    yield watch
    watch.seconds = time.process_time() - began


def columns(simulator: Simulator, theta: torch.Tensor) -> Floats:
    """`REPORTED` (..., 5) of parameters (..., D)."""
    chosen = [simulator.parameters.index(name) for name in REPORTED]
    return theta[..., chosen].double().numpy()


def relative_error(
    method: Floats, ours: Floats, *, resamples: int = 400
) -> tuple[float, float, float]:
    """Median errors (N, 5) over ours on the same stars: geometric mean, and its 68% interval.

    The interval is that of stars drawn anew with replacement.
    """

    def mean(rows: NDArray[np.int64]) -> float:
        ratio = np.median(method[rows], axis=0) / np.median(ours[rows], axis=0)
        return float(np.exp(np.mean(np.log(ratio))))

    rng = np.random.default_rng(0)
    rows = np.arange(len(ours))
    again = [mean(rng.choice(rows, len(rows))) for _ in range(resamples)]
    low, high = np.quantile(again, (0.16, 0.84))
    return mean(rows), float(low), float(high)
