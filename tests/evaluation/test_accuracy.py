"""Metrics against closed forms, and labels read as the catalogues give them."""

from pathlib import Path

import numpy as np
import pyarrow
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.evaluation.accuracy import evaluate, label_columns, metrics

KEYS = ("n", "rms", "mad", "bias", "rank", "coverage68", "coverage95")


def test_keys_and_closed_forms() -> None:
    # Draws 1..99 about each median: the central 68% are ranks 16 to 84, half-width 34.
    draws = np.arange(1.0, 100.0)[:, None] + np.array([0.0, 100.0, 200.0, 300.0])
    truth = np.array([50.0, 150.0 + 33.0, 250.0 - 35.0, 350.0 + 60.0])
    found = metrics(draws, truth, None)
    assert tuple(found) == KEYS
    assert found["n"] == 4
    assert found["rms"] == pytest.approx(np.sqrt((33**2 + 35**2 + 60**2) / 4))
    assert found["mad"] == pytest.approx(34.0)
    assert found["bias"] == pytest.approx((0 - 33) / 2)
    assert found["rank"] == pytest.approx(1.0)
    assert found["coverage68"] == 0.5
    assert found["coverage95"] == 0.75


def test_label_errors_add_in_quadrature_to_the_half_width() -> None:
    draws = np.arange(1.0, 100.0)[:, None]  # half-widths 34 and 47.5 about 50
    z68 = np.sqrt(40.0**2 - 34.0**2)
    assert metrics(draws, [90.0], [z68 * 1.001])["coverage68"] == 1.0
    assert metrics(draws, [90.0], [z68 * 0.999])["coverage68"] == 0.0
    z95 = np.sqrt(60.0**2 - 47.5**2) / 1.96
    assert metrics(draws, [110.0], [z95 * 1.001])["coverage95"] == 1.0
    assert metrics(draws, [110.0], [z95 * 0.999])["coverage95"] == 0.0
    assert metrics(draws, [90.0], [np.nan]) == metrics(draws, [90.0], None) | {
        "rank": pytest.approx(np.nan, nan_ok=True)
    }


@pytest.mark.parametrize("unknown", [np.nan, -9999.0, -1.0, np.inf])
def test_an_unknown_label_error_widens_nothing(unknown: float) -> None:
    draws = np.arange(1.0, 100.0)[:, None]
    found = metrics(draws, [500.0], [unknown])
    assert found["coverage68"] == found["coverage95"] == 0.0


def test_a_right_posterior_with_noisy_labels_covers_as_it_says() -> None:
    rng = np.random.default_rng(0)
    centre = rng.normal(0, 3, 4000)
    error = rng.uniform(0.2, 1.5, 4000)
    label = centre + rng.normal(0, 1, 4000) + error * rng.normal(0, 1, 4000)
    found = metrics(centre + rng.normal(0, 1, (500, 4000)), label, error)
    # z = 1 is the 68.27% point of the label's error, hence a little more than 0.68.
    assert found["coverage68"] == pytest.approx(0.682, abs=0.025)
    assert found["coverage95"] == pytest.approx(0.95, abs=0.012)
    assert abs(found["bias"]) < 0.1


def test_stars_without_an_answer_are_misses() -> None:
    draws = np.arange(1.0, 100.0)[:, None] + np.zeros(5)
    truth = np.array([50.0, 52.0, 54.0, 50.0, np.nan])
    draws[:, 3] = np.nan
    found = metrics(draws, truth, None)
    assert found["n"] == 4
    assert found["coverage68"] == found["coverage95"] == 0.75
    assert found["mad"] == 3.0  # of 0, 2, 4 and infinity
    assert found["bias"] == -2.0
    assert found["rms"] == pytest.approx(np.sqrt(20 / 3))
    assert np.isnan(metrics(np.full((9, 3), np.nan), truth[:3], None)["mad"])


def test_what_cannot_be_said_is_nan() -> None:
    nothing = metrics(np.zeros((9, 2)), [np.nan, np.nan], None)
    assert nothing["n"] == 0
    assert all(np.isnan(nothing[key]) for key in KEYS[1:])
    assert np.isnan(metrics(np.random.default_rng(0).random((9, 3)), [1.0, 1, 1], None)["rank"])


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-50, 50))
def test_metrics_follow_a_change_of_unit(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    draws, truth, error = rng.normal(size=(40, 12)), rng.normal(size=12), rng.random(12)
    one = metrics(draws, truth, error)
    other = metrics(scale * draws + shift, scale * truth + shift, scale * error)
    for key in ("rms", "mad", "bias"):
        assert other[key] == pytest.approx(scale * one[key], rel=1e-6, abs=1e-9 * scale)
    for key in ("n", "rank", "coverage68", "coverage95"):
        assert other[key] == pytest.approx(one[key])


def test_labels_are_found_by_name() -> None:
    names = ["gaia_g", "ref_teff", "ref_av_approx", "ref_av", "ref_mass"]
    found = label_columns(names, ("teff", "logg", "a_v"))
    assert found == {"teff": "ref_teff", "a_v": "ref_av"}
    assert label_columns(["ref_av_approx"], ("a_v",)) == {"a_v": "ref_av_approx"}
    assert label_columns(["teff", "ref_logg_err"], ("teff", "logg")) == {}


def test_evaluate_recovers_the_gaussian_truth(gaussian) -> None:
    table, truth = gaussian.catalog(3000, seed=2)
    table["ref_logg"] = truth[:, 0]
    table["ref_mh"] = MaskedColumn(truth[:, 1], mask=np.arange(3000) % 3 == 0)
    table["ref_mh_err"] = 0.05
    result = evaluate(gaussian(), table, draws=200)
    assert result.parameters == ("logg", "mh")
    assert result.unanswered == 0
    found = result.metrics
    assert tuple(found["logg"]) == KEYS
    assert found["logg"]["n"] == 3000
    assert found["mh"]["n"] == 2000
    assert found["logg"]["coverage68"] == pytest.approx(0.68, abs=0.03)
    assert found["mh"]["coverage68"] > 0.69  # the label is exact, but says that it is not
    assert found["logg"]["rank"] > 0.8
    assert len(result[result.truth[:, 0] > 4.0]) == int((truth[:, 0] > 4.0).sum())


def test_evaluate_does_not_depend_on_batches(gaussian, monkeypatch: pytest.MonkeyPatch) -> None:
    table, truth = gaussian.catalog(50, seed=3)
    table["ref_logg"] = truth[:, 0]
    whole = evaluate(gaussian(), table, draws=100)
    monkeypatch.setattr("maury.evaluation.answers.DRAWN_NUMBERS", 100 * 2 * 7)
    np.testing.assert_allclose(evaluate(gaussian(), table, draws=100).quantiles, whole.quantiles)


def test_stars_without_measurements_or_labels(gaussian) -> None:
    table, truth = gaussian.catalog(10, seed=4)
    table["ref_logg"] = truth[:, 0]
    table["ref_logg"][3] = np.nan
    for column in table.colnames[:-1]:
        table[column][5] = np.nan
    result = evaluate(gaussian(), table, draws=30)
    assert 3 not in result.rows
    assert result.unanswered == 1
    assert result.metrics["logg"]["n"] == 9


def test_a_file_or_any_kind_of_table(gaussian, tmp_path: Path) -> None:
    table, truth = gaussian.catalog(20, seed=4)
    table["ref_logg"] = MaskedColumn(truth[:, 0], mask=np.arange(20) == 2)
    table.write(tmp_path / "stars.fits")
    frame = table.to_pandas()
    from_file = evaluate(gaussian(), tmp_path / "stars.fits", draws=30)
    assert from_file.rows.tolist() == [0, 1, *range(3, 20)]
    for other in (frame, pyarrow.Table.from_pandas(frame)):
        found = evaluate(gaussian(), other, draws=30)
        np.testing.assert_allclose(found.quantiles, from_file.quantiles)
        np.testing.assert_allclose(found.truth, from_file.truth)


def test_mistakes_are_told(gaussian) -> None:
    table, _ = gaussian.catalog(3, seed=1)
    with pytest.raises(MauryError, match="ref_logg"):
        evaluate(gaussian(), table)
    table["ref_logg"] = ["high", "low", "unknown"]
    with pytest.raises(MauryError, match="'ref_logg' does not hold numbers"):
        evaluate(gaussian(), Table(table))
