"""Exact posteriors: nested sampling against importance sampling, both without a trained network."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from maury.evaluation.baselines import (
    WeightedDraws,
    importance_sampling,
    log_target,
    nested_sampling,
)
from maury.inference.draws import Draws
from maury.inference.likelihood import log_likelihood
from maury.measurements import Measurements
from maury.simulator import Simulator, SimulatorConfig

BANDS = ("PAN-STARRS/PS1.g", "PAN-STARRS/PS1.i", "2MASS/2MASS.J", "2MASS/2MASS.Ks")
SUN = torch.tensor([5772.0, 4.44, 0.0, 0.1, 3.1])


class PriorAsPosterior:
    """Answers every star with the prior."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def sample(self, observations: Measurements, draws: int, *, seed: int = 0) -> Draws:
        generator = torch.Generator().manual_seed(seed)
        theta = self.simulator.prior.sample(draws * len(observations), generator)
        parameters = self.simulator.parameters
        return Draws(theta.reshape(draws, len(observations), -1), parameters)

    def log_prob(self, observations: Measurements, theta: Tensor) -> Tensor:
        return self.simulator.prior.log_prob(theta.reshape(-1, 5)).reshape(theta.shape[:2])


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(SimulatorConfig(bands=BANDS))


@pytest.fixture(scope="module")
def observations(simulator: Simulator) -> Measurements:
    """A star of known colours and gravity."""
    mags, _ = simulator.table(SUN[None])
    value = torch.cat([mags + 8.0, torch.tensor([[4.4]])], dim=1)
    sigma = torch.tensor([[0.05, 0.05, 0.05, 0.05, 0.1]])
    return Measurements.from_dense((*BANDS, "prior_logg"), value, sigma)


def moments(found: WeightedDraws) -> tuple[np.ndarray, np.ndarray]:
    values = np.column_stack([np.log(found.values[:, 0]), found.values[:, 1:]])
    mean = found.weight @ values
    return mean, np.sqrt(found.weight @ (values - mean) ** 2)


def test_target_is_prior_times_likelihood(simulator: Simulator, observations: Measurements) -> None:
    theta = SUN[None]
    expected = simulator.prior.log_prob(theta) + log_likelihood(simulator, observations, theta)
    assert torch.allclose(log_target(simulator, observations, theta), expected)
    impossible = SUN * torch.tensor([20.0, 1, 1, 1, 1])
    assert log_target(simulator, observations, impossible[None]).item() == -math.inf


def test_nested_sampling_agrees_with_weighted_draws_of_the_prior(
    simulator: Simulator, observations: Measurements
) -> None:
    pytest.importorskip("dynesty")
    network = PriorAsPosterior(simulator)
    weighted = importance_sampling(network, observations, draws=10_000, simulator=simulator)[0]
    nested = nested_sampling(simulator, observations, live_points=40, tolerance=0.5)[0]
    assert weighted.effective > 40
    assert nested.log_evidence == pytest.approx(weighted.log_evidence, abs=1.5)
    (mean, spread), (found, width) = moments(weighted), moments(nested)
    assert np.all(np.abs(found - mean) < 0.6 * spread)
    assert np.all(np.abs(np.log(width / spread)) < 0.6)


def test_an_exact_answer_has_equal_weights(simulator: Simulator) -> None:
    """Where nothing was measured the posterior is the prior, and its evidence is one."""
    nothing = Measurements.from_dense(BANDS, torch.full((2, 4), torch.nan), torch.ones(2, 4))
    network = PriorAsPosterior(simulator)
    for found in importance_sampling(network, nothing, draws=500, simulator=simulator):
        assert found.effective > 490
        assert found.log_evidence == pytest.approx(0.0, abs=0.05)
        assert found.weight.sum() == pytest.approx(1.0)
