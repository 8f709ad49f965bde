"""Learning rate and moving average against their closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from maury.training.average import MovingAverage
from maury.training.schedule import learning_rate


def test_ends_and_middle_of_the_schedule() -> None:
    def rate(step: int) -> float:
        return learning_rate(step, peak=4e-4, warmup=100, total=1100)

    assert rate(0) == pytest.approx(4e-6)
    assert rate(49) == pytest.approx(2e-4)
    assert rate(99) == rate(100) == pytest.approx(4e-4)
    assert rate(600) == pytest.approx(2e-4)
    assert 0 < rate(1099) < 1e-8
    assert rate(1100) == rate(5000) == pytest.approx(0.0, abs=1e-20)


@given(
    step=st.integers(0, 3000),
    warmup=st.integers(0, 2000),
    total=st.integers(1, 2000),
    peak=st.floats(1e-6, 1.0),
)
def test_never_negative_never_above_the_peak(
    step: int, warmup: int, total: int, peak: float
) -> None:
    rate = learning_rate(step, peak=peak, warmup=warmup, total=total)
    assert 0 <= rate <= peak * (1 + 1e-12)


@given(warmup=st.integers(0, 50), total=st.integers(60, 200))
def test_rises_then_falls(warmup: int, total: int) -> None:
    rates = [learning_rate(s, peak=1.0, warmup=warmup, total=total) for s in range(total)]
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9])
def test_average_is_its_recursion(decay: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1.0)
    average = MovingAverage(network, decay)
    expected = 1.0
    for step in range(30):
        with torch.no_grad():
            network.weight.fill_(math.sin(step))
        average.update(network, step)
        d = min(decay, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * math.sin(step)
    assert average.module.weight.item() == pytest.approx(expected, abs=1e-6)


def test_the_beginning_is_forgotten() -> None:
    """After n constant updates the first weights count decay^n, here at most (1/10)(2/11)...."""
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1e3)
    average = MovingAverage(network, 0.999)
    with torch.no_grad():
        network.weight.fill_(1.0)
    for step in range(20):
        average.update(network, step)
    assert average.module.weight.item() == pytest.approx(1.0, abs=1e-3)


def test_the_average_takes_no_part_in_training() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    average = MovingAverage(network, 0.9)
    assert not average.module.training
    assert not any(p.requires_grad for p in average.module.parameters())
    assert all(p.requires_grad for p in network.parameters())
