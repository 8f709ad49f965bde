"""Levels are uniform for a right posterior, and tell which way a wrong one is wrong."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from maury.evaluation.levels import (
    central_level,
    density_level,
    shortest_interval_hits,
    tarp_level,
    uniform_references,
)

STARS, DRAWS, DIMENSIONS = 3000, 64, 3


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def gaussian(width: float = 1.0, bias: float = 0.0, draws: int = DRAWS) -> tuple[Tensor, Tensor]:
    """Draws (K, N, D) and truths (N, D) about the same centres; ``width`` 1 is calibrated."""
    generator = torch.Generator().manual_seed(3)
    centre = 5 * torch.randn(STARS, DIMENSIONS, generator=generator)
    truth = centre + torch.randn(STARS, DIMENSIONS, generator=generator)
    noise = torch.randn(draws, STARS, DIMENSIONS, generator=generator)
    return centre + bias + width * noise, truth


def uniform(level: np.ndarray) -> bool:
    return bool(kstest(level.ravel(), "uniform").pvalue > 1e-3)


@pytest.mark.parametrize("draws", [4, 64])
def test_ranks_of_a_right_posterior_are_uniform(rng: np.random.Generator, draws: int) -> None:
    level = central_level(*gaussian(draws=draws), rng)
    assert level.shape == (STARS, DIMENSIONS)
    assert uniform(level)


def test_ranks_tell_width_and_bias(rng: np.random.Generator) -> None:
    assert np.abs(central_level(*gaussian(width=0.6), rng) - 0.5).mean() > 0.27
    assert np.abs(central_level(*gaussian(width=1.6), rng) - 0.5).mean() < 0.23
    assert central_level(*gaussian(bias=0.3), rng).mean() < 0.45


def test_ties_are_broken_at_random(rng: np.random.Generator) -> None:
    # Three values only, as after rounding: without random ranks the level would pile up.
    generator = torch.Generator().manual_seed(2)
    values = torch.randint(0, 3, (20, 5000), generator=generator).float()
    assert uniform(central_level(values[1:], values[0], rng))


def test_no_answer_is_no_level(rng: np.random.Generator) -> None:
    draws, truth = gaussian()
    draws[:, 7] = torch.nan
    level = central_level(draws, truth, rng)
    assert np.isnan(level[7]).all()
    assert np.isfinite(np.delete(level, 7, axis=0)).all()
    assert not shortest_interval_hits(draws, truth, (0.95,), rng)[:, 7].any()


def test_density_level_is_the_closed_form_of_a_gaussian(rng: np.random.Generator) -> None:
    # The region of highest density of a unit Gaussian in 2-D has probability 1 - exp(-r^2 / 2).
    draws = torch.randn(4000, 1, 2, generator=torch.Generator().manual_seed(1))
    for radius in (0.5, 1.0, 2.0):
        log_prob = -0.5 * draws.square().sum(dim=-1)
        level = density_level(log_prob, torch.tensor([-0.5 * radius**2]), rng)
        assert level[0] == pytest.approx(1 - np.exp(-0.5 * radius**2), abs=0.03)


def test_a_truth_that_the_posterior_excludes_is_in_no_region(rng: np.random.Generator) -> None:
    level = density_level(torch.zeros(9, 1), torch.tensor([-torch.inf]), rng)
    assert level[0] >= 0.9


def tarp(rng: np.random.Generator, **wrong: float) -> np.ndarray:
    draws, truth = gaussian(**wrong)
    return tarp_level(draws, truth, uniform_references(truth, rng), rng)


def test_tarp_passes_the_right_and_tells_the_wrong(rng: np.random.Generator) -> None:
    assert uniform(tarp(rng))
    over_confident, under_confident = tarp(rng, width=0.6), tarp(rng, width=1.6)
    assert not uniform(over_confident)
    assert np.mean(over_confident <= 0.1) > 0.13
    assert not uniform(under_confident)
    assert np.mean(under_confident <= 0.1) < 0.07
    assert not uniform(tarp(rng, bias=1.0))


def test_tarp_tells_a_wrong_correlation_that_ranks_miss(rng: np.random.Generator) -> None:
    generator = torch.Generator().manual_seed(4)
    shared = torch.randn(STARS, 1, generator=generator)
    truth = shared + 0.2 * torch.randn(STARS, 2, generator=generator)
    draws = np.sqrt(1.04) * torch.randn(DRAWS, STARS, 2, generator=generator)
    assert uniform(central_level(draws, truth, rng))
    assert not uniform(tarp_level(draws, truth, uniform_references(truth, rng), rng))


@pytest.mark.parametrize("draws", [20, 100])
@pytest.mark.parametrize("kind", ["gaussian", "exponential", "two peaks"])
def test_shortest_intervals_hold_what_they_promise(
    rng: np.random.Generator, kind: str, draws: int
) -> None:
    generator = torch.Generator().manual_seed(6)
    values = torch.randn(draws + 1, 20_000, generator=generator)
    if kind == "exponential":
        values = torch.empty_like(values).exponential_(generator=generator)
    elif kind == "two peaks":
        values = 0.3 * values + torch.where(
            torch.rand(values.shape, generator=generator) < 0.3, 0, 4
        )
    levels = (0.5, 0.68, 0.95)
    hits = shortest_interval_hits(values[1:], values[0], levels, rng)
    np.testing.assert_allclose(hits.mean(axis=1), levels, atol=4 * 0.5 / np.sqrt(20_000))


def test_shortest_interval_of_an_exponential_starts_at_zero(rng: np.random.Generator) -> None:
    draws = torch.empty(4000, 2).exponential_(generator=torch.Generator().manual_seed(8))
    truth = torch.tensor([0.01, 3.5])
    hits = shortest_interval_hits(draws, truth, (0.9,), rng)
    assert hits[0].tolist() == [True, False]
