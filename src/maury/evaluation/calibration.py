"""Whether a posterior is calibrated: does what it calls 68% hold the truth 68 times in 100?

Asked of fresh simulations, whose truth is known, in four ways: ranks of each parameter (SBC),
central and shortest intervals of each parameter, regions of highest density of all together, and
random points (TARP). Every figure comes with its standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2, kstest
from torch import Tensor

from maury.errors import MauryError
from maury.evaluation.answers import Posterior, answers
from maury.evaluation.levels import (
    central_level,
    density_level,
    shortest_interval_hits,
    tarp_level,
    uniform_references,
)
from maury.inference.completion import complete
from maury.inference.quantiles import quantiles
from maury.measurements import Measurements
from maury.parameters import PARAMETERS

__all__ = ["LEVELS", "CalibrationResult", "calibrate", "expected_coverage", "rank_histogram"]

LEVELS = (0.5, 0.68, 0.9, 0.95)
FEWEST_DRAWS = 20
RANK_BINS = 20

DENSITY_DRAWS = 256
"""A rank among fewer draws is coarser but as uniform, and a density costs as much as a draw."""

Floats = NDArray[np.float64]


def expected_coverage(level: Floats, nominal: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    """Fraction of stars whose truth lies inside the region of each nominal probability.

    Parameters
    ----------
    level : array, shape (N,)
        The probability of the smallest region that holds the truth; NaN counts as a miss.
    nominal : sequence of float
        L probabilities.

    Returns
    -------
    coverage, standard_error : arrays, shape (L,)
        The error is that of a binomial fraction, never below that of half a star.
    """
    coverage = np.array([np.mean(level <= q) for q in nominal])
    return coverage, _binomial_error(coverage, len(level))


def rank_histogram(level: Floats, bins: int = RANK_BINS) -> tuple[NDArray[np.int64], float]:
    """Histogram of SBC ranks, and the probability of one at least as uneven if they are uniform.

    Parameters
    ----------
    level : array, shape (N,)
        Ranks as fractions, from `maury.evaluation.levels.central_level`; NaN is left out.
    bins : int

    Returns
    -------
    counts : array, shape (bins,)
    p_value : float
        Of Pearson's chi-squared with ``bins`` - 1 degrees of freedom; NaN without a star.
    """
    known = level[np.isfinite(level)]
    counts = np.histogram(known, bins=bins, range=(0.0, 1.0))[0]
    if not known.size:
        return counts, np.nan
    expected = known.size / bins
    return counts, float(chi2.sf(np.sum((counts - expected) ** 2) / expected, bins - 1))


@dataclass(frozen=True)
class CalibrationResult:
    """What N simulated stars say of a posterior.

    Parameters
    ----------
    parameters : tuple of str
        The D parameters, with those that follow from the others.
    central : array, shape (N, D)
        Ranks of the truth as fractions (`central_level`); NaN for a star without an answer.
    shortest : bool array, shape (L, N, D)
        Whether the shortest interval of each of `LEVELS` holds the truth.
    density, tarp : arrays, shape (N,)
        Levels of all the parameters together (`density_level`, `tarp_level`).
    width : array, shape (N, D)
        Width of the central 68% of the posterior over that of the prior.
    """

    parameters: tuple[str, ...]
    central: Floats
    shortest: NDArray[np.bool_]
    density: Floats
    tarp: Floats
    width: Floats

    def __len__(self) -> int:
        return len(self.central)

    def of(self, stars: NDArray[np.bool_]) -> CalibrationResult:
        """What some of the stars say alone: a good average may hide a kind that fares badly."""
        return replace(
            self,
            central=self.central[stars],
            shortest=self.shortest[:, stars],
            density=self.density[stars],
            tarp=self.tarp[stars],
            width=self.width[stars],
        )

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """A dictionary for each parameter and one called ``joint``.

        ``coverage68`` is that of the central interval, ``hdi68`` that of the shortest interval or,
        jointly, of the region of highest density, ``tarp68`` that of balls about random points
        (likewise 50, 90, 95); ``rank_p`` and ``tarp_p`` are the probabilities of ranks as uneven as
        these; ``rank_mean`` is 0.5 without bias, above where answers are too low; ``width`` is the
        median posterior width over the prior's. ``<name>_se`` is the standard error.
        """
        each = {name: self._of_parameter(i) for i, name in enumerate(self.parameters)}
        return {**each, "joint": self._of_all()}

    def _of_parameter(self, index: int) -> dict[str, float]:
        central = self.central[:, index]
        known = central[np.isfinite(central)]
        hdi = self.shortest[:, :, index].mean(axis=1)
        width, width_se = _median_and_error(self.width[:, index])
        return {
            "n": len(self),
            "unanswered": len(self) - known.size,
            **_named("coverage", *expected_coverage(2 * np.abs(central - 0.5), LEVELS)),
            **_named("hdi", hdi, _binomial_error(hdi, len(self))),
            "rank_p": rank_histogram(central)[1],
            "rank_mean": float(known.mean()) if known.size else np.nan,
            # The variance of a uniform number is 1/12.
            "rank_mean_se": float(np.sqrt(1 / 12 / known.size)) if known.size else np.nan,
            "width": width,
            "width_se": width_se,
        }

    def _of_all(self) -> dict[str, float]:
        tarp = self.tarp[np.isfinite(self.tarp)]
        return {
            "n": len(self),
            **_named("hdi", *expected_coverage(self.density, LEVELS)),
            **_named("tarp", *expected_coverage(self.tarp, LEVELS)),
            "tarp_p": float(kstest(tarp, "uniform").pvalue) if tarp.size else np.nan,
        }


def _named(name: str, values: Floats, errors: Floats) -> dict[str, float]:
    named: dict[str, float] = {}
    for level, value, error in zip(LEVELS, values, errors, strict=True):
        key = f"{name}{round(100 * level)}"
        named |= {key: float(value), f"{key}_se": float(error)}
    return named


def _binomial_error(fraction: Floats, count: int) -> Floats:
    """Standard error of a fraction of ``count``, taken half a star away from none and all."""
    inner = np.clip(fraction, 0.5 / count, 1 - 0.5 / count)
    return np.sqrt(inner * (1 - inner) / count)


def _median_and_error(values: Floats) -> tuple[float, float]:
    """Median and its standard error from the order statistics sqrt(n) / 2 ranks to either side."""
    known = np.sort(values[np.isfinite(values)])
    if not known.size:
        return np.nan, np.nan
    reach = 0.5 / np.sqrt(known.size)
    low, median, high = np.quantile(known, [max(0.5 - reach, 0), 0.5, min(0.5 + reach, 1)])
    return float(median), float(high - low) / 2


def calibrate(
    posterior: Posterior,
    simulations: tuple[Tensor, Measurements],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> CalibrationResult:
    """Test a posterior on simulations from the prior and the noise that it was trained for.

    Parameters
    ----------
    posterior : Posterior
    simulations : (theta, obs)
        Truth, shape (N, D) in the order of ``posterior.parameters``, and its N measured stars.
    draws : int
        Draws for each star.
    seed : int
        Of the draws, of tie-breaking and of TARP's reference points.

    Returns
    -------
    CalibrationResult

    Raises
    ------
    MauryError
        For too few draws, no stars, or a truth that does not match the stars.
    """
    theta, obs = simulations
    truth = theta.detach().cpu()
    if draws < FEWEST_DRAWS:
        raise MauryError(f"calibration needs {FEWEST_DRAWS} draws or more a star, not {draws}")
    if tuple(truth.shape) != (len(obs), len(posterior.parameters)) or not len(obs):
        raise MauryError(
            f"the truth has shape {tuple(truth.shape)} and should have "
            f"({len(obs)}, {len(posterior.parameters)}), with at least one star"
        )
    generator = np.random.default_rng(seed)
    parts = []
    scale = _Scale(truth, posterior.parameters)
    references = uniform_references(scale(truth), generator)
    whole_truth, names = complete(truth, tuple(posterior.parameters))
    prior_width = _width(whole_truth)
    for stars, whole in answers(posterior, obs, draws=draws, seed=seed):
        values = whole[..., : truth.shape[1]]
        true, whole_true, batch = truth[stars], whole_truth[stars], obs[stars]
        log_prob = posterior.log_prob(batch, values[:DENSITY_DRAWS]).detach().cpu()
        log_prob_truth = posterior.log_prob(batch, true).detach().cpu()
        density = density_level(log_prob, log_prob_truth, generator)
        unanswered = values.isnan().any(dim=(0, 2)).numpy()
        parts.append(
            CalibrationResult(
                parameters=names,
                central=central_level(whole, whole_true, generator),
                shortest=shortest_interval_hits(whole, whole_true, LEVELS, generator),
                density=np.where(unanswered, np.nan, density),
                tarp=tarp_level(scale(values), scale(true), references[stars], generator),
                width=(_width(whole) / prior_width).double().numpy(),
            )
        )
    return _joined(parts)


def _joined(parts: list[CalibrationResult]) -> CalibrationResult:
    return CalibrationResult(
        parameters=parts[0].parameters,
        central=np.concatenate([part.central for part in parts]),
        shortest=np.concatenate([part.shortest for part in parts], axis=1),
        density=np.concatenate([part.density for part in parts]),
        tarp=np.concatenate([part.tarp for part in parts]),
        width=np.concatenate([part.width for part in parts]),
    )


class _Scale:
    """Physical values to coordinates in which the truths have unit spread, for distances.

    A parameter that maury knows is measured on its own real line, where no bound deforms it.
    """

    def __init__(self, truth: Tensor, parameters: Sequence[str]) -> None:
        self.known = [PARAMETERS.get(name) for name in parameters]
        real = self._real(truth)
        self.centre = real.mean(dim=0)
        self.spread = real.std(dim=0, correction=0)

    def __call__(self, values: Tensor) -> Tensor:
        return (self._real(values) - self.centre) / self.spread

    def _real(self, values: Tensor) -> Tensor:
        columns = [
            column if known is None else known.to_real(column)
            for known, column in zip(self.known, values.unbind(dim=-1), strict=True)
        ]
        return torch.stack(columns, dim=-1)


def _width(values: Tensor) -> Tensor:
    low, high = quantiles(values, (0.16, 0.84))
    return high - low
