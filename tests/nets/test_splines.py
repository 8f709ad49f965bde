"""Rational-quadratic splines against zuko's, and at their edges."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from zuko.transforms import MonotonicRQSTransform

from maury.nets.splines import (
    MIN_SLOPE,
    SLOPE_AT_ZERO,
    knots,
    parameters_per_spline,
    spline_forward,
    spline_inverse,
)

BOUND = 5.0


def random_table(bins: int, seed: int, size: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    raw = size * torch.randn(parameters_per_spline(bins), 1, generator=g, dtype=torch.float64)
    return knots(raw, bins)


def test_equals_zuko_given_the_same_knots() -> None:
    table = random_table(6, seed=0)
    edges, raw_slope = (numbers.squeeze(-1) for numbers in table)
    slope = torch.nn.functional.softplus(raw_slope + SLOPE_AT_ZERO) + MIN_SLOPE
    theirs = MonotonicRQSTransform(*torch.zeros(2, 6), torch.zeros(5), bound=BOUND)
    theirs.horizontal, theirs.vertical = edges * (BOUND / edges[:, -1:])
    theirs.derivatives = slope
    x = torch.linspace(-7.0, 7.0, 501, dtype=torch.float64)
    y, log_slope = spline_forward(x, table, BOUND)
    expected, expected_log_slope = theirs.call_and_ladj(x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(log_slope, expected_log_slope)


@settings(max_examples=40, deadline=None)
@given(bins=st.integers(2, 12), seed=st.integers(0, 10_000), size=st.floats(0.0, 4.0))
def test_inverse_slope_and_monotony(bins: int, seed: int, size: float) -> None:
    table = random_table(bins, seed, size)
    x = torch.linspace(-6.0, 6.0, 301, dtype=torch.float64, requires_grad=True)
    y, log_slope = spline_forward(x, table, BOUND)
    assert (y.diff() > 0).all()
    torch.testing.assert_close(spline_inverse(y, table, BOUND), x, atol=1e-7, rtol=0)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(log_slope.exp(), slope, rtol=1e-8, atol=1e-8)


def test_zeros_mean_the_identity() -> None:
    table = knots(torch.zeros(parameters_per_spline(8), 1), 8)
    x = torch.linspace(-8.0, 8.0, 101)
    y, log_slope = spline_forward(x, table, BOUND)
    torch.testing.assert_close(y, x, atol=2e-6, rtol=0)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), atol=2e-6, rtol=0)


def test_identity_outside_and_continuous_at_the_bound() -> None:
    table = random_table(8, seed=3, size=2.0)
    far = torch.tensor([-1e6, -BOUND, BOUND, 1e6], dtype=torch.float64)
    y, log_slope = spline_forward(far, table, BOUND)
    assert torch.equal(y, far)
    assert (log_slope == 0).all()
    near = torch.tensor([-BOUND + 1e-9, BOUND - 1e-9], dtype=torch.float64)
    y, log_slope = spline_forward(near, table, BOUND)
    torch.testing.assert_close(y, near, atol=1e-8, rtol=0)
    torch.testing.assert_close(log_slope, torch.zeros_like(near), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_float32_stays_finite(size: float) -> None:
    g = torch.Generator().manual_seed(0)
    raw = size * torch.randn(parameters_per_spline(8), 2000, generator=g)
    raw.requires_grad_()
    x = 3.0 * torch.randn(2000, generator=g)
    x.requires_grad_()
    y, log_slope = spline_forward(x, knots(raw, 8), BOUND)
    (y.sum() + log_slope.sum()).backward()
    back = spline_inverse(y.detach(), knots(raw.detach(), 8), BOUND)
    for numbers in (y, log_slope, back, raw.grad, x.grad):
        assert torch.isfinite(numbers).all()
