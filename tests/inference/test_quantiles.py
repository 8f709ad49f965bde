"""Quantiles of few draws cover what they promise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.inference.quantiles import quantiles


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_first_integers_give_the_rank_itself(count: int) -> None:
    draws = torch.randperm(count).double() + 1
    probabilities = np.linspace(0, 1, 23)
    expected = np.clip(probabilities * (count + 1), 1, count)
    np.testing.assert_allclose(quantiles(draws, probabilities.tolist()), expected, rtol=1e-12)


@given(
    st.integers(2, 30), st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4), st.integers(0, 99)
)
def test_agrees_with_numpys_weibull_definition(count: int, p: list[float], seed: int) -> None:
    draws = torch.randn(count, 3, 2, generator=torch.Generator().manual_seed(seed)).double()
    expected = np.quantile(draws.numpy(), p, axis=0, method="weibull")
    np.testing.assert_allclose(quantiles(draws, p), expected, atol=1e-12)


@pytest.mark.parametrize("count", [9, 24, 99])
def test_interval_of_few_draws_holds_its_probability(count: int) -> None:
    # The expected probability below rank r of K uniform draws is r / (K + 1) exactly.
    draws = torch.rand(count, 40_000, generator=torch.Generator().manual_seed(1)).double()
    low, high = quantiles(draws, (0.16, 0.84))
    held = (high - low).mean().item()
    assert held == pytest.approx(0.68, abs=4 * (high - low).std().item() / math.sqrt(40_000))


def test_nothing_but_the_star_itself_matters() -> None:
    draws = torch.randn(50, 4)
    draws[3, 1] = torch.nan
    found = quantiles(draws, (0.1, 0.5))
    assert found[:, 1].isnan().all()
    torch.testing.assert_close(found[:, 2], quantiles(draws[:, 2], (0.1, 0.5)))


def test_infinite_draws_stay_infinite() -> None:
    draws = torch.tensor([-math.inf, 0.0, math.inf, math.inf])
    assert quantiles(draws, (0.2, 0.4, 0.6, 0.8)).tolist() == [-math.inf, 0.0, math.inf, math.inf]


def test_mistakes_are_told() -> None:
    with pytest.raises(MauryError, match="at least one draw"):
        quantiles(torch.empty(0, 3), (0.5,))
    with pytest.raises(MauryError, match=r"68"):
        quantiles(torch.zeros(3), (0.5, 68.0))
