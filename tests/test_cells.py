"""Bad cells cost a measurement, never a row."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units
from astropy.table import Column, MaskedColumn, QTable, Table
from hypothesis import given
from hypothesis import strategies as st

from maury.cells import DEFAULT_ERROR, dense_from_table
from maury.columns import ColumnWarning
from maury.errors import MauryError
from maury.measurements import Kind, Measurements


def one(value: object, error: object, channel: str = "gaia_g") -> tuple[int, bool]:
    """Number of usable measurements and the mark, for one cell beside a good row."""
    frame = pd.DataFrame({channel: [12.0, value], f"{channel}_err": [0.02, error]})
    obs = Measurements.from_table(frame)
    assert obs.count[0] == 1
    assert not obs.rejected[0]
    return int(obs.count[1]), bool(obs.rejected[1])


@pytest.mark.parametrize(
    "value",
    [99.0, 99.99, -99.0, 999.0, -999.0, -9999.0, 9999.0, math.inf, -math.inf, 1e30, 41.0, -6.0],
)
def test_sentinels_and_infinities_are_marked(value: float) -> None:
    assert one(value, 0.02) == (0, True)


@pytest.mark.parametrize("error", [0.0, -0.02, -999.0, 0.51, 99.0, math.inf])
def test_impossible_errors_are_marked(error: float) -> None:
    assert one(13.0, error) == (0, True)
    # Without a value there is nothing to reject.
    assert one(math.nan, error) == (0, False)


def test_missing_values_and_missing_errors_are_not_marked() -> None:
    assert one(math.nan, 0.02) == (0, False)
    assert one(13.0, math.nan) == (0, False)
    assert one(None, None) == (0, False)


@pytest.mark.parametrize("word", ["", " ", "nan", "NaN", "null", "N/A", "--", None])
def test_words_for_nothing_are_missing(word: object) -> None:
    assert one(word, 0.02) == (0, False)


@pytest.mark.parametrize("word", ["oops", "12,5", "<12", "1 2"])
def test_a_single_word_is_marked(word: str) -> None:
    assert one(word, 0.02) == (0, True)
    assert one(13.0, word) == (0, True)


def test_numbers_written_as_text_are_read() -> None:
    assert one(" 13.5 ", "0.02") == (1, False)
    assert one(b"13.5", b"0.02") == (1, False)
    assert one("inf", "0.02") == (0, True)


@given(
    value=st.floats(allow_nan=True, allow_infinity=True),
    error=st.floats(allow_nan=True, allow_infinity=True),
)
def test_only_sane_pairs_are_used(value: float, error: float) -> None:
    cells = dense_from_table(pd.DataFrame({"gaia_g": [value], "gaia_g_err": [error]}))
    usable = -5 <= value <= 40 and 0 < error <= 0.5
    assert np.isfinite(cells.value[0, 0]) == usable
    if usable:
        assert (cells.value[0, 0], cells.sigma[0, 0]) == (value, error)
    if cells.rejected[0]:
        assert not usable
        assert not math.isnan(value)


@pytest.mark.parametrize("column", ["gaia_g", "gaia_g_err"])
def test_a_column_of_words_is_refused_by_name(column: str) -> None:
    frame = pd.DataFrame({"gaia_g": [12.0, 13.0], "gaia_g_err": [0.1, 0.1]})
    frame[column] = ["bright", None]
    with pytest.raises(MauryError, match=f"'{column}'.*'bright'"):
        Measurements.from_table(frame)
    frame[column] = [True, False]
    with pytest.raises(MauryError, match=f"'{column}'.*bool"):
        Measurements.from_table(frame)


def test_an_empty_text_column_is_only_missing() -> None:
    obs = Measurements.from_table(pd.DataFrame({"gaia_g": [None, ""], "gaia_g_err": [0.1, 0.1]}))
    assert obs.count.tolist() == [0, 0]


def test_a_column_of_arrays_is_refused_by_name() -> None:
    with pytest.raises(MauryError, match=r"'gaia_g'.*arrays"):
        Measurements.from_table(Table({"gaia_g": np.zeros((2, 3)), "gaia_g_err": [0.1, 0.1]}))


def test_a_lost_error_column_is_replaced_and_told_once() -> None:
    with pytest.warns(ColumnWarning, match=r"gaia_g, tmass_j: 0\.05 mag") as told:
        obs = Measurements.from_table(pd.DataFrame({"gaia_g": [12.0], "tmass_j": [11.0]}))
    assert len(told) == 1
    assert obs.sigma.tolist() == [[pytest.approx(DEFAULT_ERROR)] * 2]
    with pytest.warns(ColumnWarning, match="'parallax'.*ignored"):
        obs = Measurements.from_table(pd.DataFrame({"parallax": [1.0]}))
    assert obs.channels == ()


def test_an_empty_error_column_is_told() -> None:
    frame = pd.DataFrame({"gaia_g": [12.0, 13.0], "gaia_g_err": [np.nan, np.nan]})
    with pytest.warns(ColumnWarning, match="every error of gaia_g is missing"):
        obs = Measurements.from_table(frame)
    assert obs.count.tolist() == [0, 0]
    assert not obs.rejected.any()


def test_errors_from_flux_ratios() -> None:
    frame = pd.DataFrame(
        {
            "phot_g_mean_mag": [12.0, 12.0, 12.0],
            "phot_g_mean_flux_over_error": [100.0, 0.0, np.nan],
            "parallax": [-2.0, 3.0, 1.0],
            "parallax_over_error": [-10.0, 30.0, 5.0],
            "parallax_zero_point": 0.0,
        }
    )
    cells = dense_from_table(frame)
    # sigma_m = 2.5 / ln 10 / (F / sigma_F)
    np.testing.assert_allclose(cells.sigma[:, 0], [0.0108574, np.nan, np.nan], rtol=1e-5)
    np.testing.assert_allclose(cells.sigma[:, 1], [0.2, 0.1, 0.2])
    assert cells.rejected.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("value", "error", "usable"),
    [(-3.0, 0.5, 1), (768.0, 0.05, 1), (-999.0, 0.1, 0), (1.0, 0.0, 0), (9999.0, 0.1, 0)],
)
def test_parallaxes_may_be_negative(value: float, error: float, usable: int) -> None:
    assert one(value, error, "parallax")[0] == usable


def test_outside_knowledge_has_the_bounds_of_its_parameter() -> None:
    frame = pd.DataFrame({"prior_a_v": [-0.1, -99.0], "prior_a_v_err": [0.2, 0.2]})
    obs = Measurements.from_table(frame)
    assert obs.channels == ("prior_a_v",)
    assert obs.count.tolist() == [1, 0]
    assert obs.rejected.tolist() == [False, True]


def test_the_release_chooses_gaias_passbands_row_by_row() -> None:
    frame = pd.DataFrame(
        {
            "gaia_g": [10.0, 11.0, 12.0, 13.0, 14.0],
            "gaia_g_err": 0.01,
            "gaia_release": ["DR2", "DR2(Rev)", "EDR3 mags, EDR3 parallax", None, " dr2"],
        }
    )
    table = Measurements.from_table(frame).to_table()
    np.testing.assert_array_equal(table["GAIA/GAIA2r.G"], [10, 11, np.nan, np.nan, 14])
    np.testing.assert_array_equal(table["GAIA/GAIA3.G"], [np.nan, np.nan, 12, 13, np.nan])
    frame["gaia_release"] = "DR2"
    assert Measurements.from_table(frame).channels == ("GAIA/GAIA2r.G",)
    named = frame.rename(columns={"gaia_g": "GAIA/GAIA3.G", "gaia_g_err": "GAIA/GAIA3.G_err"})
    assert Measurements.from_table(named).channels == ("GAIA/GAIA3.G",)


def test_limits_are_read_in_vizier_manner() -> None:
    frame = pd.DataFrame(
        {"W1mag": [16.0, 17.0, 15.0], "e_W1mag": [0.1, np.nan, 0.1], "l_W1mag": ["", ">", "<"]}
    )
    obs = Measurements.from_table(frame)
    assert obs.kind.flatten().tolist() == [Kind.MEASURED, Kind.LOWER_LIMIT, Kind.UPPER_LIMIT]


def test_every_kind_of_table_says_the_same() -> None:
    value, error = np.array([12.0, 13.0, np.nan]), np.array([0.1, 0.2, 0.3])
    frame = pd.DataFrame({"gaia_g": value, "gaia_g_err": error})
    nullable = frame.convert_dtypes()
    masked = Table({"gaia_g": MaskedColumn(value, mask=np.isnan(value)), "gaia_g_err": error})
    big = Table({"gaia_g": value.astype(">f4"), "gaia_g_err": error.astype(">f8")})
    quantity = QTable({"gaia_g": value * units.mag, "gaia_g_err": error * units.mag})
    text = Table({"gaia_g": ["12", "13", ""], "gaia_g_err": [b"0.1", b"0.2", b"0.3"]})
    arrow = pa.table({"gaia_g": pa.array([12, 13, None]), "gaia_g_err": error})
    wanted = Measurements.from_table(frame).hash()
    for table in (nullable, masked, big, quantity, text, arrow):
        assert Measurements.from_table(table).hash().tolist() == wanted.tolist(), type(table)


def test_units_are_converted_or_refused() -> None:
    table = Table({"parallax": Column([0.001], unit="arcsec"), "parallax_err": [0.1]})
    table["parallax_zero_point"] = 0.0
    table["gaia_g"] = Column([12.0], unit="mag(AB)")
    table["gaia_g_err"] = Column([20.0], unit="mmag")
    obs = Measurements.from_table(table)
    np.testing.assert_allclose(obs.value[0], [1.0, 12.0])
    np.testing.assert_allclose(obs.sigma[0], [0.1, 0.02])
    table["gaia_g"].unit = "Jy"
    with pytest.raises(MauryError, match=r"'gaia_g' is in Jy.*mag"):
        Measurements.from_table(table)


def test_something_else_is_no_table() -> None:
    with pytest.raises(MauryError, match="list is no table"):
        Measurements.from_table([1, 2])


def test_an_empty_table_is_fine() -> None:
    for table in (
        pd.DataFrame({"gaia_g": [], "gaia_g_err": []}),
        Table(
            {"gaia_g": np.empty(0), "gaia_g_err": np.empty(0), "gaia_release": np.empty(0, "U3")}
        ),
        pa.table({"gaia_g": pa.array([], pa.float64()), "gaia_g_err": pa.array([], pa.string())}),
    ):
        assert len(Measurements.from_table(table)) == 0
