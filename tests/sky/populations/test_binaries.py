"""Companions: published fractions, slopes and twins, and draws that follow the density."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maury.sky.populations.binaries import companion_frequency, companions, log_prob, multiplicity

Q = torch.linspace(0.1, 1.0, 9001, dtype=torch.float64).clamp(float(np.float32(0.1)), 1.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def share(mass: float, low: float, high: float) -> float:
    """Share of companions between two mass ratios."""
    middle = torch.linspace(low, high, 2001, dtype=torch.float64)
    middle = (middle[1:] + middle[:-1]) / 2
    primary = torch.tensor(mass, dtype=torch.float64)
    density = torch.exp(log_prob(middle, primary)).mean().item() * (high - low)
    return density / multiplicity(primary).item()


@pytest.mark.parametrize(
    ("mass", "published"),
    [
        *((0.1, 0.22), (0.3, 0.26), (1.0, 0.40), (3.5, 0.59)),
        *((7.0, 0.76), (12.0, 0.84), (28.0, 0.94), (100.0, 0.94)),
    ],
)
def test_fractions_are_the_published_ones(mass: float, published: float) -> None:
    assert multiplicity(torch.tensor([mass])).item() == pytest.approx(published, abs=1e-6)
    drawn = companions(torch.full((20_000,), mass), generator())
    assert (drawn > 0).double().mean().item() == pytest.approx(published, abs=0.015)


@settings(max_examples=30)
@given(mass=st.floats(0.05, 150.0))
def test_the_law_is_normalised_for_any_primary(mass: float) -> None:
    primary = torch.tensor(mass, dtype=torch.float64)
    paired = torch.trapezoid(torch.exp(log_prob(Q, primary)), Q).item()
    alone = torch.exp(log_prob(torch.tensor(0.0), primary)).item()
    assert paired + alone == pytest.approx(1.0, abs=2e-3)
    assert alone == pytest.approx(1 - multiplicity(primary).item())


@pytest.mark.parametrize("mass", [0.12, 0.5, 0.93, 2.3, 11.0, 60.0])
def test_draws_follow_the_law(mass: float) -> None:
    drawn = companions(torch.full((60_000,), mass), generator(3))
    paired = drawn[drawn > 0]
    assert torch.isfinite(log_prob(drawn, torch.tensor(mass))).all()
    density = torch.exp(log_prob(Q, torch.tensor(mass)))
    cumulative = torch.cumulative_trapezoid(density, Q)
    cumulative /= cumulative[-1].clone()
    result = stats.kstest(
        paired.double().numpy(), lambda x: np.interp(x, Q.numpy()[1:], cumulative.numpy())
    )
    assert result.pvalue > 1e-3


@pytest.mark.parametrize(
    ("mass", "published", "error"),
    [(1.0, 0.50, 0.04), (3.5, 0.84, 0.11), (7.0, 1.3, 0.2), (12.0, 1.6, 0.2), (28.0, 2.1, 0.3)],
)
def test_frequencies_are_those_of_the_table(mass: float, published: float, error: float) -> None:
    """Moe & Di Stefano 2017, table 13: companions with q > 0.1 per primary."""
    assert companion_frequency(mass) == pytest.approx(published, abs=error)


def slope(mass: float, low: float, high: float) -> float:
    width = 0.01
    ratio = share(mass, high, high + width) / share(mass, low, low + width)
    return math.log(ratio) / math.log((high + width / 2) / (low + width / 2))


def test_solar_companions_have_the_published_slopes() -> None:
    """0.3 below q = 0.3 at all periods; -0.5 above, steeper where wide; twins in excess."""
    assert slope(1.0, 0.12, 0.28) == pytest.approx(0.3, abs=0.02)
    assert -0.8 < slope(1.0, 0.31, 0.9) < -0.5
    excess = share(1.0, 0.95, 1.0) - share(1.0, 0.9, 0.95)
    assert 0.05 < excess / share(1.0, 0.3, 1.0) < 0.16


def test_massive_primaries_prefer_light_companions() -> None:
    """Slopes of -0.2 to -1.5 below q = 0.3, and of -2 above for all but short periods."""
    assert share(28.0, 0.1, 0.3) > 1.7 * share(1.0, 0.1, 0.3)
    assert -1.5 < slope(28.0, 0.12, 0.28) < -0.2
    assert -2.0 < slope(28.0, 0.31, 0.9) < -1.4
    assert share(28.0, 0.95, 1.0) < 0.04


def test_no_companion_is_lighter_than_a_star() -> None:
    for mass in (0.1, 0.2, 0.55):
        drawn = companions(torch.full((5000,), mass), generator())
        lightest = drawn[drawn > 0].min().item() * mass
        assert 0.07 < lightest < 0.09


def test_nothing_outside() -> None:
    q = torch.tensor([-0.1, 0.05, 0.0999, 1.0001, math.nan])
    assert torch.isneginf(log_prob(q, torch.tensor(1.0))).all()


def test_seeded_and_float32() -> None:
    mass = torch.rand(100, generator=generator()) * 3 + 0.1
    first, again, other = (companions(mass, generator(seed)) for seed in (5, 5, 6))
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
