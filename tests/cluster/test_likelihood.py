"""The shared errors' slopes and curvatures against finite differences, and other closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from maury.cluster.candidates import Candidates, read_candidates
from maury.cluster.field import FieldModel
from maury.cluster.likelihood import (
    ClusterLikelihood,
    Noise,
    _brightness,
)
from maury.cluster.mock import mock_cluster
from maury.cluster.pairs import _log_normal_mass
from maury.cluster.sequence import StellarModel
from maury.sky.isochrones import load_isochrones
from maury.sky.photometry import cached_table

BANDS = (*(f"GAIA/GAIA3.{b}" for b in ("G", "Gbp", "Grp")), "2MASS/2MASS.J", "2MASS/2MASS.Ks")
THETA = torch.tensor([8.5, 0.0, 250.0, 400.0, 0.3, 0.05])
TRUTH = (8.5, 0.0, 400.0, 0.3, 0.05)


@pytest.fixture(scope="module")
def likelihood() -> ClusterLikelihood:
    mock = mock_cluster(THETA, seed=4, bands=BANDS)
    stars = read_candidates(mock.measurements).spread_over_magnitudes(25)
    table = cached_table("phoenix-kurucz", BANDS)
    isochrones = load_isochrones()
    model = StellarModel(isochrones, table)
    return ClusterLikelihood(stars, model, FieldModel(isochrones, table), Noise())


def test_pieces_carry_all_stars_and_fall_in_brightness_with_dust(
    likelihood: ClusterLikelihood,
) -> None:
    pieces = likelihood.model.sequence(8.5, 0.0, 0.3)
    assert pieces is not None
    assert np.exp(pieces.log_weight).sum() == pytest.approx(1.0)
    assert np.all(pieces.dust > 0)
    pairs = np.exp(pieces.log_weight)[pieces.q > 0].sum()
    assert 0.1 < pairs < 0.4
    assert likelihood.model.sequence(2.0, 0.0, 0.3) is None


def test_slopes_and_curvatures_are_those_of_finite_differences(
    likelihood: ClusterLikelihood, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = likelihood(*TRUTH)
    # Pieces that drop out between two places would disturb the differences.
    monkeypatch.setattr("maury.cluster.pairs._NEGLIGIBLE", 0.0)
    whole = likelihood(*TRUTH)
    assert usual is not None
    assert whole is not None
    assert usual.log_likelihood == pytest.approx(whole.log_likelihood, abs=0.1)
    found = likelihood._prepare(*TRUTH)
    assert found is not None
    pairs = likelihood._pairs(found)
    rng = np.random.default_rng(0)
    mode = likelihood._marginalise(pairs).offset
    x = mode + 0.02 * likelihood.prior_sigma * rng.standard_normal(len(mode))
    state = pairs.at(x)
    sigma = likelihood.prior_sigma
    hessian = np.tril(state.factor[0]) @ np.tril(state.factor[0]).T * sigma * sigma[:, None]
    for index in range(len(x)):
        step = 1e-3 * sigma * (np.arange(len(x)) == index)
        up, down = pairs.at(x + step), pairs.at(x - step)
        slope = (up.value - down.value) / 2e-3
        assert slope == pytest.approx(sigma[index] * state.gradient[index], rel=0.01, abs=0.05)
        bend = -sigma * (up.gradient - down.gradient) / 2e-3
        np.testing.assert_allclose(bend, hessian[index], rtol=0.03, atol=0.03)


def test_the_truth_is_likelier_than_what_is_far_from_it(likelihood: ClusterLikelihood) -> None:
    best = likelihood(*TRUTH)
    assert best is not None
    for change in ((1.0, 0, 0, 0, 0), (0, 0, 150.0, 0, 0), (0, 0, 0, 1.0, 0), (0, -0.6, 0, 0, 0)):
        other = likelihood(*np.add(TRUTH, change))
        assert other is None or other.log_likelihood < best.log_likelihood - 3
    assert likelihood(2.0, 0.0, 400.0, 0.3, 0.05) is None


def test_ages_move_isochrone_points_past_red_dwarfs_without_jumps(
    likelihood: ClusterLikelihood,
) -> None:
    ages = TRUTH[0] + 0.004 * np.arange(12)
    found = [likelihood(age, *TRUTH[1:]) for age in ages]
    values = [evaluation.log_likelihood for evaluation in found if evaluation is not None]
    assert len(values) == len(ages)
    # The third differences of a parabola with noise of 1 have a variance of 20.
    assert np.sqrt(np.mean(np.diff(values, 3) ** 2) / 20) < 0.3


def test_coarse_models_carry_all_stars_on_fewer_pieces(likelihood: ClusterLikelihood) -> None:
    model = likelihood.model
    coarse = StellarModel(model.isochrones, model.table, coarse=True).sequence(8.5, 0.0, 0.3)
    fine = model.sequence(8.5, 0.0, 0.3)
    assert coarse is not None
    assert fine is not None
    assert np.exp(coarse.log_weight).sum() == pytest.approx(1.0)
    assert 6 * len(coarse.q) < len(fine.q)
    # No piece's model errors differ from its neighbour's by more than they may change along it.
    change = np.abs(np.diff(fine.band_shape[fine.q == 0], axis=0)).max(1)
    assert np.quantile(change, 0.95) < 0.06


def test_without_errors_of_models_only_zero_points_are_shared(
    likelihood: ClusterLikelihood,
) -> None:
    exact = ClusterLikelihood(
        likelihood.stars, likelihood.model, likelihood.field, Noise(models=0.0)
    )
    assert [channel for channel, _ in exact.errors] == [*BANDS, "parallax"]
    found = exact(*TRUTH)
    assert found is not None
    assert found.offset.shape == (len(BANDS) + 2,)


def test_what_a_stars_own_temperature_explains_is_no_residual(
    likelihood: ClusterLikelihood,
) -> None:
    stars = likelihood.stars
    found = likelihood._prepare(*TRUTH)
    assert found is not None
    offset = likelihood._marginalise(likelihood._pairs(found)).offset
    star = int(np.argmax(likelihood(*TRUTH).member))  # type: ignore[union-attr]
    pieces = found.pieces
    nearest = int(found.piece[found.star == star][0])
    value = stars.value.copy()
    value[star] += 2 * pieces.own[nearest] * pieces.warm[nearest]
    likelihood_of = ClusterLikelihood(
        replace(stars, value=value), likelihood.model, likelihood.field, likelihood.noise
    )
    likelihood_of.find_outliers(*TRUTH, known=offset)
    assert not likelihood_of.outlier[star].any()


@pytest.mark.parametrize("off", [1.0, 5.0])
def test_a_spoilt_band_of_one_star_is_found(likelihood: ClusterLikelihood, off: float) -> None:
    stars = likelihood.stars
    member = likelihood(*TRUTH).member  # type: ignore[union-attr]
    star = int(np.argmax(member))
    value = stars.value.copy()
    value[star, 3] += off
    names = ("bands", "sigma", "membership", "row", "rows", "reference")
    kept = {name: getattr(stars, name) for name in names}
    spoilt = ClusterLikelihood(
        Candidates(value=value, **kept), likelihood.model, likelihood.field, likelihood.noise
    )
    spoilt.find_outliers(*TRUTH)
    assert spoilt.outlier[star, 3] > 0
    assert spoilt.outlier[star, [0, 1, 2, 4]].max() == 0


def test_normal_mass_between_two_places_also_in_the_tails() -> None:
    low, high = np.array([-1.0, 3.0, 20.0, -25.0]), np.array([1.0, 4.0, 21.0, -24.0])
    expected = [
        *(np.log(norm.cdf(1) - norm.cdf(-1)), np.log(norm.sf(3) - norm.sf(4))),
        *(norm.logsf(20.0), norm.logcdf(-24.0)),
    ]
    np.testing.assert_allclose(_log_normal_mass(low, high), expected, rtol=1e-6)


def test_brightness_is_the_smoothed_density_of_the_pieces() -> None:
    start, step = np.array([10.0, 14.0]), np.array([2.0, -1.0])
    value = np.array([10.5, 13.5, 12.6, 20.0])
    density = np.exp(_brightness(start, step, np.array([0.6, 0.4]), value, 0.05))
    np.testing.assert_allclose(density, [0.301, 0.401, 0.001, 0.001], atol=2e-3)
