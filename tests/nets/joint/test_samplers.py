"""Solvers against closed-form fields: mixtures of normals, whose velocity is known exactly."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maury.errors import MauryError
from maury.nets.joint.samplers import (
    Field,
    adaptive,
    angles,
    midpoint,
    multistep,
    predictor_corrector,
)

FIRST = 0.5 * math.pi


class Mixture:
    """The field of data from a mixture of normals in D dimensions; it counts its calls."""

    def __init__(self, weight: list[float], mean: list[list[float]], cov: list[list[list[float]]]):
        self.weight, self.mean, self.cov = (
            torch.tensor(numbers, dtype=torch.float64) for numbers in (weight, mean, cov)
        )
        self.calls: list[float] = []

    def __call__(self, y: Tensor, phi: float) -> Tensor:
        self.calls.append(phi)
        c, s = math.cos(phi), math.sin(phi)
        # u = c E[e | y] - s E[r | y], with E[e | y] = s S^-1 (y - c m) in each part.
        precision = torch.linalg.inv(c * c * self.cov + s * s * torch.eye(self.cov.shape[-1]))
        miss = y[..., None, :] - c * self.mean
        pull = (precision @ miss[..., None])[..., 0]
        log = -0.5 * (miss * pull).sum(-1) + 0.5 * torch.logdet(precision) + self.weight.log()
        data = self.mean + c * (self.cov @ pull[..., None])[..., 0]
        return (log.softmax(-1)[..., None] * (c * s * pull - s * data)).sum(-2)


def cov(first: float, second: float, correlation: float) -> list[list[float]]:
    mixed = correlation * first * second
    return [[first**2, mixed], [mixed, second**2]]


def normal(mean: list[float], matrix: list[list[float]]) -> Mixture:
    return Mixture([1.0], [mean], [matrix])


def thin_bimodal() -> Mixture:
    """In its own unit: two peaks three widths each from the middle."""
    return Mixture([0.5, 0.5], [[-0.95, 0], [0.95, 0]], [cov(0.3, 1, 0)] * 2)


def correlated() -> Mixture:
    return normal([0.0, 0.0], cov(1, 1, 0.95))


def skewed() -> Mixture:
    return Mixture(
        [0.7, 0.3], [[-0.4, -0.4], [0.95, 0.95]], [cov(0.5, 0.5, 0.6), cov(0.9, 0.9, 0.9)]
    )


SHAPES = pytest.mark.parametrize("shape", [thin_bimodal, correlated, skewed])


def noise(n: int = 1500, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, dtype=torch.float64, generator=generator)


def distance(one: Tensor, two: Tensor) -> float:
    return float((one - two).square().mean().sqrt())


def fixed(solver: Callable[..., Tensor], steps: int) -> Callable[[Field, Tensor], Tensor]:
    return lambda field, y: solver(field, y, angles(FIRST, steps))


def stochastic(field: Field, y: Tensor) -> Tensor:
    return predictor_corrector(field, y, angles(FIRST, 60), torch.Generator().manual_seed(1))


SOLVERS = {
    "multistep": fixed(multistep, 10),
    "midpoint": fixed(midpoint, 5),
    "adaptive": lambda field, y: adaptive(field, y, FIRST),
}


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_angles_run_down_to_data_by_ever_shorter_steps(steps: int) -> None:
    grid = angles(FIRST, steps)
    assert len(grid) == steps + 1
    assert grid[0] == FIRST
    assert grid[-1] == 0
    lengths = [a - b for a, b in itertools.pairwise(grid)]
    assert all(a > b for a, b in itertools.pairwise([*lengths, 0.0]))


@pytest.mark.parametrize("steps", [0, -3])
def test_a_sampler_without_steps_says_so(steps: int) -> None:
    with pytest.raises(MauryError, match=f"steps is {steps}"):
        angles(FIRST, steps)


@SHAPES
@pytest.mark.parametrize(("name", "bar"), [("multistep", 0.05), ("midpoint", 0.06)])
def test_ten_calls_are_enough(shape: Callable[[], Mixture], name: str, bar: float) -> None:
    field = shape()
    found = SOLVERS[name](field, noise())
    assert len(field.calls) == 10
    assert distance(found, adaptive(field, noise(), FIRST, tolerance=1e-5)) < bar


@pytest.mark.parametrize("solver", [multistep, midpoint])
def test_fixed_steps_are_of_second_order(solver: Callable[..., Tensor]) -> None:
    field = skewed()
    right = adaptive(field, noise(200), FIRST, tolerance=1e-8)
    misses = [
        distance(solver(field, noise(200), angles(FIRST, steps)), right) for steps in (20, 40, 80)
    ]
    for coarse, fine in itertools.pairwise(misses):
        assert 3 < coarse / fine < 5.5


@pytest.mark.parametrize("name", SOLVERS)
def test_a_standard_normal_stands_still(name: str) -> None:
    y = noise(300)
    found = SOLVERS[name](normal([0.0, 0.0], cov(1, 1, 0)), y)
    torch.testing.assert_close(found, y, atol=1e-9, rtol=0)


def test_a_normal_s_flow_is_known() -> None:
    """Each point keeps its distance from the mean in units of the width."""
    field = normal([0.5, -1.0], [[0.04, 0], [0, 2.25]])
    y = noise(300)
    right = torch.tensor([0.5, -1.0]) + torch.tensor([0.2, 1.5]) * y
    assert distance(adaptive(field, y, FIRST, tolerance=1e-6), right) < 1e-5


@SHAPES
def test_adaptive_honours_its_tolerance(shape: Callable[[], Mixture]) -> None:
    field = shape()
    right = adaptive(field, noise(300), FIRST, tolerance=1e-9)
    calls = []
    for tolerance in (1e-2, 1e-3, 1e-5):
        field.calls.clear()
        found = adaptive(field, noise(300), FIRST, tolerance=tolerance)
        calls.append(len(field.calls))
        worst = (found - right).square().mean(1).sqrt().max()
        # The tolerance is one step's; a few steps add up, and points between peaks part.
        assert worst < 20 * tolerance
    assert calls[0] < calls[1] < calls[2]
    assert min(field.calls) >= 0


def test_adaptive_serves_the_worst_row() -> None:
    """An easy row beside a hard one does not thin the error out."""

    def field(y: Tensor, phi: float) -> Tensor:
        still = torch.zeros_like(y)
        still[:1] = hard(y[:1], phi)
        return still

    hard = thin_bimodal()
    y = noise(50)
    alone = adaptive(hard, y[:1], FIRST)
    torch.testing.assert_close(adaptive(field, y, FIRST)[:1], alone)


def test_adaptive_says_when_steps_do_not_suffice() -> None:
    with pytest.raises(MauryError, match="within 5 steps"):
        adaptive(thin_bimodal(), noise(20), FIRST, tolerance=1e-7, most=5)


def test_adaptive_does_not_return_nonsense() -> None:
    with pytest.raises(MauryError):
        adaptive(lambda y, phi: y * math.nan, noise(20), FIRST, most=20)


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_take_draws_of_rows_as_they_are(name: str) -> None:
    y = noise(24).view(4, 3, 2, 2)
    found = SOLVERS[name](correlated(), y)
    assert found.shape == y.shape
    flat = SOLVERS[name](correlated(), y.reshape(12, 2, 2)).view_as(y)
    assert distance(found, flat) < 2e-3


def test_predictor_corrector_recovers_moments() -> None:
    field = normal([0.2, 0.0], cov(0.8, 1, 0.95))
    found = stochastic(field, noise(4000))
    assert len(field.calls) == 2 * 60 - 1
    torch.testing.assert_close(
        found.mean(0), torch.tensor([0.2, 0], dtype=found.dtype), atol=0.06, rtol=0
    )
    torch.testing.assert_close(
        found.std(0), torch.tensor([0.8, 1], dtype=found.dtype), atol=0.06, rtol=0
    )
    assert float(torch.corrcoef(found.T)[0, 1]) == pytest.approx(0.95, abs=0.015)


def test_predictor_corrector_finds_both_peaks_at_their_weights() -> None:
    field = Mixture([0.7, 0.3], [[-0.6, 0], [1.4, 0]], [cov(0.2, 1, 0)] * 2)
    found = stochastic(field, noise(4000))
    right = found[:, 0] > 0.4
    assert float(right.double().mean()) == pytest.approx(0.3, abs=0.04)
    assert float(found[right, 0].mean()) == pytest.approx(1.4, abs=0.04)
    assert float(found[right, 0].std()) == pytest.approx(0.2, abs=0.03)
    assert float(found[~right, 0].std()) == pytest.approx(0.2, abs=0.03)


def test_predictor_corrector_is_repeatable_and_leaves_a_standard_normal() -> None:
    field = normal([0.0, 0.0], cov(1, 1, 0))
    found = stochastic(field, noise(4000))
    assert torch.equal(found, stochastic(field, noise(4000)))
    assert distance(found, noise(4000)) > 0.5  # It draws anew.
    torch.testing.assert_close(
        torch.cov(found.T), torch.eye(2, dtype=found.dtype), atol=0.08, rtol=0
    )
