"""Clusters whose truth is known, and what users get wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.table import Table

import maury.cluster
from maury.cluster.candidates import read_candidates
from maury.cluster.coordinates import PARAMETERS, Coordinates
from maury.cluster.field import FieldModel
from maury.cluster.likelihood import ClusterLikelihood
from maury.cluster.mock import MockCluster, mock_cluster
from maury.cluster.model_errors import BAND_RAMPS, TEMPERATURE_ERRORS
from maury.errors import MauryError
from maury.measurements import Measurements
from maury.sky.isochrones import load_isochrones
from maury.sky.populations.cluster_prior import ClusterPrior

THETA = torch.tensor([8.5, 0.0, 250.0, 400.0, 0.3, 0.05])
BANDS = (*(f"GAIA/GAIA3.{b}" for b in ("G", "Gbp", "Grp")), "2MASS/2MASS.J", "2MASS/2MASS.Ks")


@pytest.fixture(scope="module")
def mock() -> MockCluster:
    return mock_cluster(THETA, seed=3, bands=BANDS, non_members=0.1)


@pytest.fixture(scope="module")
def posterior(mock: MockCluster) -> maury.cluster.ClusterPosterior:
    return maury.cluster.infer(mock.measurements, stars=24, evaluations=180, effective=30)


def test_a_simulated_cluster_is_recovered(
    mock: MockCluster, posterior: maury.cluster.ClusterPosterior
) -> None:
    summary = posterior.summary()
    assert list(summary["parameter"]) == [*PARAMETERS, "distance_modulus"]
    for name in ("log_age", "mh", "distance", "a_v"):
        draws = posterior[name]
        pull = (np.mean(draws) - mock.theta[name]) / np.std(draws)
        assert abs(pull) < 3.5, (name, pull)
    assert np.std(posterior["log_age"]) < 0.25
    assert np.std(posterior["distance"]) < 0.05 * 400


def test_non_members_are_told_from_members(
    mock: MockCluster, posterior: maury.cluster.ClusterPosterior
) -> None:
    assert np.mean(posterior.membership[mock.member]) > 0.85
    assert np.mean(posterior.membership[~mock.member]) < 0.8
    # Some have the colours of members; none with another parallax may pass.
    parallax, sigma = mock.measurements.value[:, -1], mock.measurements.sigma[:, -1]
    elsewhere = (abs(parallax - 1000 / 400) > 20 * sigma).numpy()
    assert elsewhere.any()
    assert np.max(posterior.membership[elsewhere]) < 0.3
    assert posterior.used.sum() == 24


def test_shared_errors_come_with_their_priors(
    posterior: maury.cluster.ClusterPosterior, tmp_path: Path
) -> None:
    offsets = posterior.offsets
    zero_points = offsets[offsets["kind"] == "zero point"]
    assert list(zero_points["channel"]) == [*BANDS, "parallax"]
    assert len(offsets) == len(BANDS) * (1 + len(BAND_RAMPS)) + 1 + len(TEMPERATURE_ERRORS)
    assert np.all(offsets["std"] <= 1.2 * offsets["prior_std"])
    posterior.plot(tmp_path / "cluster.png")
    assert (tmp_path / "cluster.png").stat().st_size > 1000
    with pytest.raises(MauryError, match="no band"):
        posterior.plot(tmp_path / "cluster.png", blue="none")
    with pytest.raises(MauryError, match="no parameter"):
        posterior["teff"]


def test_an_offset_of_one_band_is_taken_up_by_the_shared_errors(
    posterior: maury.cluster.ClusterPosterior,
) -> None:
    theta = posterior.draws[:: len(posterior.draws) // 20]
    index = list(BANDS).index("2MASS/2MASS.J")
    log_likelihood = []
    for shift in (0.0, 0.03):
        value = posterior.stars.value.copy()
        value[:, index] += shift
        stars = replace(posterior.stars, value=value)
        field = FieldModel(load_isochrones(), posterior.model.table)
        likelihood = ClusterLikelihood(stars, posterior.model, field, maury.cluster.Noise())
        likelihood.find_outliers(*theta.mean(0))
        log_likelihood.append([likelihood(*place).log_likelihood for place in theta])  # type: ignore[union-attr]
    # Had the shared errors not taken it up, 24 stars of 0.02 mag would be off by thousands.
    change = np.subtract(*log_likelihood)
    assert np.std(change) < 3
    assert abs(np.mean(change)) < 20


def test_a_seed_gives_the_same_answer_again() -> None:
    few = mock_cluster(THETA, seed=3, bands=BANDS[:3], non_members=0.1).measurements
    first, second = (
        maury.cluster.infer(few, seed=5, stars=5, evaluations=8, effective=4) for _ in range(2)
    )
    assert np.array_equal(first.draws, second.draws)
    assert np.array_equal(first.membership, second.membership, equal_nan=True)


def test_coordinates_and_their_prior_agree_with_sampling() -> None:
    prior = ClusterPrior()
    coordinates = Coordinates(prior, (6.0, 0.5))
    rng = np.random.default_rng(0)
    z = coordinates.broad_sample(20_000, rng)
    theta = coordinates.theta(z)
    assert np.all((theta[:, 0] > prior.log_age[0]) & (theta[:, 0] < prior.log_age[1]))
    log_weight = coordinates.log_prior(z) - coordinates.broad_log_density(z)
    near = (theta[:, 2] > 300) & (theta[:, 2] < 500)
    share = np.exp(log_weight)[near].mean() * near.mean()
    low, high = prior.distance
    assert share == pytest.approx(np.log(500 / 300) / np.log(high / low), rel=0.05)


def test_stars_are_taken_evenly_over_magnitudes(mock: MockCluster) -> None:
    everyone = read_candidates(mock.measurements)
    few = everyone.spread_over_magnitudes(25)
    assert len(few) == 25
    magnitude = everyone.value[:, everyone.reference]
    assert few.value[:, few.reference].min() == magnitude.min()
    assert np.median(few.value[:, few.reference]) < np.median(magnitude)
    assert everyone.spread_over_magnitudes(10_000) is everyone


def test_models_end_at_fainter_stars_in_older_clusters(
    mock: MockCluster, posterior: maury.cluster.ClusterPosterior
) -> None:
    ends = [posterior.model.faintest(age, 0.0, 0.3, band=0) for age in (7.5, 8.5, 9.5)]
    assert np.all(np.diff(ends) > 0)
    everyone = read_candidates(mock.measurements)
    magnitude = everyone.value[:, everyone.reference]
    bright = everyone.brighter_than(float(np.median(magnitude)))
    assert len(bright) == (magnitude < np.median(magnitude)).sum()
    assert everyone.brighter_than(magnitude.min()) is everyone


def test_saturated_and_useless_measurements_are_left_out() -> None:
    rows = 6
    table = Table({f"gaia_{b}": np.full(rows, 12.0) for b in ("g", "bp", "rp")})
    for b in ("g", "bp", "rp"):
        table[f"gaia_{b}_err"] = 0.01
    table["ps1_i"], table["ps1_i_err"] = 11.0, 0.01
    table["tmass_j"], table["tmass_j_err"] = 10.0, 0.4
    stars = read_candidates(table)
    assert stars.bands == BANDS[:3]
    assert stars.channels[-1] == "parallax"
    assert not stars.present[:, -1].any()


@pytest.mark.parametrize(
    ("membership", "message"),
    [([0.5], "1 membership probabilities for"), ([2.0] * 6, "from 0 to 1")],
)
def test_impossible_memberships_are_refused(membership: list[float], message: str) -> None:
    table = Table({f"gaia_{b}": np.full(6, 12.0) for b in ("g", "bp", "rp")})
    with pytest.raises(MauryError, match=message):
        read_candidates(table, membership=membership)


def test_too_few_stars_and_no_bands_are_refused() -> None:
    table = Table({f"gaia_{b}": np.full(3, 12.0) for b in ("g", "bp", "rp")})
    with pytest.raises(MauryError, match="only 3 of 3 stars"):
        read_candidates(table)
    with pytest.raises(MauryError, match="no band that a cluster"):
        read_candidates(Measurements.from_dense(["parallax"], [[1.0]], [[0.1]]))
