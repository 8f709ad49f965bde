"""A posterior known in closed form passes, and every spoiled one is found out."""

import numpy as np
import pytest
import torch

from maury.errors import MauryError
from maury.evaluation.calibration import (
    LEVELS,
    CalibrationResult,
    calibrate,
    expected_coverage,
    rank_histogram,
)

STARS = 2500


@pytest.fixture(scope="module")
def right(gaussian) -> CalibrationResult:
    return calibrate(gaussian(), gaussian.simulate(STARS, seed=7), draws=100)


def test_expected_coverage_counts_and_misses() -> None:
    level = np.array([0.1, 0.3, 0.6, np.nan])
    coverage, error = expected_coverage(level, (0.2, 0.5, 0.99))
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(error, np.sqrt(coverage * (1 - coverage) / 4))
    assert expected_coverage(np.zeros(100), (0.5,))[1][0] > 0


def test_rank_histogram_p_value() -> None:
    rng = np.random.default_rng(1)
    p_values = [rank_histogram(rng.random(400))[1] for _ in range(300)]
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.06)
    counts, p_value = rank_histogram(rng.beta(2, 2, 2000))
    assert counts.sum() == 2000
    assert p_value < 1e-6
    assert np.isnan(rank_histogram(np.array([np.nan]))[1])


def test_the_exact_posterior_is_calibrated(right: CalibrationResult) -> None:
    found = right.metrics
    assert tuple(found) == ("logg", "mh", "joint")
    for of in (found["logg"], found["mh"], found["joint"]):
        for level in LEVELS:
            for kind in ("coverage", "hdi", "tarp"):
                key = f"{kind}{round(100 * level)}"
                if key in of:
                    assert abs(of[key] - level) < 4 * of[f"{key}_se"]
    assert min(found["logg"]["rank_p"], found["mh"]["rank_p"], found["joint"]["tarp_p"]) > 1e-3
    for name in ("logg", "mh"):
        assert abs(found[name]["rank_mean"] - 0.5) < 4 * found[name]["rank_mean_se"]
        assert 0 < found[name]["width"] < 1
        assert 0 < found[name]["width_se"] < 0.05
        assert found[name]["unanswered"] == 0
    assert "hdi68" in found["joint"]
    assert "tarp95" in found["joint"]


def test_width_is_the_closed_form(gaussian) -> None:
    theta, obs = gaussian.simulate(4000, seed=9)
    result = calibrate(gaussian(), (theta, obs), draws=400)
    _, root = gaussian()._moments(obs)
    sigma = (root @ root.mT).diagonal(dim1=1, dim2=2).sqrt()
    expected = (sigma / torch.tensor([0.4, 0.3])).median(dim=0).values
    found = [result.metrics[name]["width"] for name in ("logg", "mh")]
    np.testing.assert_allclose(found, expected, rtol=0.05)


@pytest.mark.parametrize(
    ("wrong", "sign"), [({"width": 0.7}, -1), ({"width": 1.5}, 1), ({"bias": 0.8}, -1)]
)
def test_wrong_posteriors_are_found_out(gaussian, wrong: dict[str, float], sign: int) -> None:
    found = calibrate(gaussian(**wrong), gaussian.simulate(STARS, seed=7), draws=100).metrics
    for name in ("logg", "mh"):
        assert found[name]["rank_p"] < 1e-6
        excess = found[name]["coverage68"] - 0.68
        assert np.sign(excess) == sign
        assert abs(excess) > 4 * found[name]["coverage68_se"]
        assert np.sign(found[name]["hdi68"] - 0.68) == sign
    assert np.sign(found["joint"]["hdi68"] - 0.68) == sign
    assert found["joint"]["tarp_p"] < 1e-3
    if "bias" in wrong:
        assert found["logg"]["rank_mean"] < 0.4


def test_the_same_seed_gives_the_same_answer(gaussian, right: CalibrationResult) -> None:
    again = calibrate(gaussian(), gaussian.simulate(STARS, seed=7), draws=100)
    assert again.metrics == right.metrics


def test_stars_without_an_answer_are_misses(gaussian) -> None:
    theta, obs = gaussian.simulate(400, seed=7)
    obs.kind[:100] = 0
    found = calibrate(gaussian(), (theta, obs), draws=50).metrics
    assert found["logg"]["unanswered"] == 100
    assert found["logg"]["coverage95"] < 0.76
    assert found["joint"]["tarp95"] < 0.76
    assert np.isfinite(found["logg"]["rank_p"])


def test_mistakes_are_told(gaussian) -> None:
    theta, obs = gaussian.simulate(5, seed=1)
    with pytest.raises(MauryError, match="20 draws"):
        calibrate(gaussian(), (theta, obs), draws=5)
    with pytest.raises(MauryError, match=r"\(4, 2\)"):
        calibrate(gaussian(), (theta[:4], obs))
    with pytest.raises(MauryError, match="at least one star"):
        calibrate(gaussian(), (theta[:0], obs[:0]))
