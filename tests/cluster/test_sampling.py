"""Adaptive importance sampling against densities whose answers are known."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from maury.cluster.sampling import adapted, climbed, effective_size, sample_importance


def broad(rng: np.random.Generator, n: int = 300):
    proposal = multivariate_normal(np.zeros(2), 25 * np.eye(2))
    return proposal.rvs(n, random_state=rng), proposal.logpdf


def test_a_normal_density_far_from_the_centre_is_found_with_its_evidence() -> None:
    target = multivariate_normal([4.0, -3.0], [[0.04, 0.03], [0.03, 0.09]])
    rng = np.random.default_rng(0)
    run = sample_importance(
        lambda z: float(target.logpdf(z)) + 7.0,
        broad(rng),
        rng=rng,
        per_round=150,
        effective=400,
        most=3000,
    )
    weight = np.exp(run.log_weight)
    mean = weight @ run.z
    assert mean == pytest.approx([4.0, -3.0], abs=0.06)
    assert (weight @ (run.z - mean) ** 2) == pytest.approx([0.04, 0.09], rel=0.3)
    assert run.log_evidence == pytest.approx(7.0, abs=0.1)
    assert run.effective >= 400


def test_both_of_two_modes_keep_their_shares() -> None:
    def log_target(z: np.ndarray) -> float:
        first = norm.logpdf(z, [-4, 0], 0.3).sum() + math.log(0.3)
        second = norm.logpdf(z, [4, 1], 0.3).sum() + math.log(0.7)
        return float(np.logaddexp(first, second))

    rng = np.random.default_rng(1)
    run = sample_importance(
        log_target, broad(rng, 500), rng=rng, per_round=300, effective=300, most=4000
    )
    share = np.exp(run.log_weight)[run.z[:, 0] < 0].sum()
    assert share == pytest.approx(0.3, abs=0.08)
    assert run.log_evidence == pytest.approx(0.0, abs=0.15)


def test_places_without_models_are_left_out() -> None:
    rng = np.random.default_rng(2)
    run = sample_importance(
        lambda z: float(norm.logpdf(z).sum()) if z[0] > 0 else -math.inf,
        broad(rng),
        rng=rng,
        per_round=200,
        effective=300,
        most=3000,
    )
    assert np.exp(run.log_weight)[run.z[:, 0] <= 0].sum() == 0
    assert run.log_evidence == pytest.approx(math.log(0.5), abs=0.1)
    places, density = adapted(run, rng, 50)
    assert places.shape == (50, 2)
    assert np.isfinite(density(places)).all()


def test_effective_size_of_equal_weights_is_their_number() -> None:
    assert effective_size(np.full(10, -3.0)) == pytest.approx(10)
    assert effective_size(np.array([0.0, -math.inf])) == pytest.approx(1)


def test_a_climb_reaches_the_top_of_a_sharper_target() -> None:
    rng = np.random.default_rng(3)
    soft = multivariate_normal([4.0, -3.0], [[0.4, 0.3], [0.3, 0.9]])
    sharp = multivariate_normal([4.5, -2.5], [[0.0004, 0.0003], [0.0003, 0.0009]])
    pilot = sample_importance(
        lambda z: float(soft.logpdf(z)), broad(rng), rng=rng, per_round=100, effective=60, most=900
    )
    path = climbed(lambda z: float(sharp.logpdf(z)), pilot, most=120)
    assert len(path.z) <= 120
    assert path.log_target.max() > sharp.logpdf(sharp.mean) - 2
    places, density = adapted(path, rng, 200)
    # Samples about the top can be weighted.
    assert effective_size(sharp.logpdf(places) - density(places)) > 20
