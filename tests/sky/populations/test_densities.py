"""The pieces of priors against closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maury.sky.populations.densities import Choice, TruncatedExponentials, TruncatedNormals
from maury.sky.populations.dust import FIELD_DUST, PAPER_DUST


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wide(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("density", [FIELD_DUST.a_v, PAPER_DUST.a_v])
def test_exponentials_integrate_to_one_and_vanish_outside(density: TruncatedExponentials) -> None:
    # Even steps in the logarithm resolve the shortest scale as well as the longest.
    grid = torch.logspace(
        math.log10(density.lower), math.log10(density.upper), 20_001, dtype=torch.float64
    ).clamp(density.lower, density.upper)
    total = torch.trapezoid(torch.exp(density.log_prob(grid)), grid)
    assert total.item() == pytest.approx(1.0, abs=1e-5)
    beyond = torch.tensor([density.lower * 0.99, density.upper * 1.01, -1.0, math.nan])
    assert torch.isneginf(density.log_prob(beyond)).all()


def test_field_extinction_follows_its_closed_form() -> None:
    weights, scales = np.array([0.50, 0.30, 0.17, 0.03]), np.array([0.08, 0.3, 1.0, 3.0])

    def untruncated(x: np.ndarray) -> np.ndarray:
        return (weights * -np.expm1(-np.asarray(x)[:, None] / scales)).sum(-1)

    low, high = untruncated(np.array([1e-4, 20.0]))
    drawn = FIELD_DUST.a_v.sample(200_000, generator()).numpy()
    result = stats.kstest(drawn, lambda x: (untruncated(x) - low) / (high - low))
    assert result.pvalue > 1e-3


def test_paper_extinction_is_a_shifted_exponential() -> None:
    drawn = PAPER_DUST.a_v.sample(200_000, generator()).numpy()
    closed = stats.truncexpon((20.0 - 0.003) / 1.5, loc=0.003, scale=1.5)
    assert stats.kstest(drawn, closed.cdf).pvalue > 1e-3


@pytest.mark.parametrize("dust", [FIELD_DUST, PAPER_DUST])
def test_r_v_is_a_truncated_normal(dust) -> None:
    closed = stats.truncnorm(
        (dust.r_v_lower - dust.r_v_mean) / dust.r_v_sigma,
        (dust.r_v_upper - dust.r_v_mean) / dust.r_v_sigma,
        loc=dust.r_v_mean,
        scale=dust.r_v_sigma,
    )
    a_v, r_v = dust.sample(100_000, generator())
    assert stats.kstest(r_v.numpy(), closed.cdf).pvalue > 1e-3
    joint = dust.log_prob(a_v[:50], r_v[:50]) - dust.a_v.log_prob(a_v[:50])
    np.testing.assert_allclose(joint.numpy(), closed.logpdf(r_v[:50].numpy()), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    lower=st.floats(-3.0, 0.0),
    width=st.floats(0.1, 4.0),
    weight=st.floats(0.05, 0.95),
    sigma=st.floats(0.1, 1.0),
)
def test_normal_mixtures_are_normalised_between_any_bounds(
    lower: float, width: float, weight: float, sigma: float
) -> None:
    mixture = TruncatedNormals([weight, 1 - weight], [-1.5, -0.1], [0.4, sigma])
    low, high = wide(lower), wide(lower + width)
    grid = torch.linspace(lower, lower + width, 4001, dtype=torch.float64).clamp(low, high)
    density = torch.exp(mixture.log_prob(grid, low, high))
    assert torch.trapezoid(density, grid).item() == pytest.approx(1.0, abs=1e-3)
    drawn = mixture.sample(low, high, 500, generator())
    assert ((drawn >= low) & (drawn <= high)).all()
    assert torch.isfinite(mixture.log_prob(drawn, low, high)).all()


def test_normal_mixture_draws_follow_its_density() -> None:
    mixture = TruncatedNormals([0.25, 0.75], [-1.49, -0.1], [0.4, 0.2])
    low, high = wide(-2.0), wide(0.0)
    grid = torch.linspace(-2.0, 0.0, 20_001, dtype=torch.float64)
    density = torch.exp(mixture.log_prob(grid, low, high))
    cumulative = torch.cumulative_trapezoid(density, grid).numpy()
    drawn = mixture.sample(low, high, 100_000, generator()).numpy()
    result = stats.kstest(drawn, lambda x: np.interp(x, grid.numpy()[1:], cumulative))
    assert result.pvalue > 1e-3


@settings(max_examples=20, deadline=None)
@given(heights=st.lists(st.floats(0.0, 10.0), min_size=2, max_size=9).filter(lambda x: sum(x) > 1))
def test_choices_come_as_often_as_their_share(heights: list[float]) -> None:
    share = torch.tensor(heights, dtype=torch.float64)
    drawn = torch.bincount(Choice(share).sample(50_000, generator()), minlength=len(heights))
    frequency = drawn / 50_000
    assert torch.allclose(frequency.double(), share / share.sum(), atol=0.015)
    assert (drawn[share == 0] == 0).all()
