"""Parallaxes of a table lose the zero point of their release, and no other column changes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from astropy.table import Column, Table

from maury.cells import dense_from_table
from maury.columns import ColumnWarning, recognise
from maury.instruments.parallax_zero_point import (
    DR2_UNCERTAINTY,
    DR2_ZERO_POINT,
    dr3_zero_point,
    effective_wavenumber,
    sine_ecliptic_latitude,
)
from maury.measurements import Measurements


def stars(**columns: object) -> pd.DataFrame:
    """Two stars as Gaia has them, with other columns added or (None) taken away."""
    frame = {
        "gaia_g": [12.0, 16.0],
        "gaia_g_err": 0.01,
        "gaia_bp": [12.4, 16.9],
        "gaia_bp_err": 0.01,
        "gaia_rp": [11.5, 15.1],
        "gaia_rp_err": 0.01,
        "parallax": [2.0, np.nan],
        "parallax_err": [0.02, 0.1],
        "ra": [132.8, 132.9],
        "dec": [11.8, 11.9],
    } | columns
    return pd.DataFrame({k: v for k, v in frame.items() if v is not None}, index=range(2))


def first(frame: pd.DataFrame) -> tuple[float, float]:
    """The first star's parallax and error."""
    cells = dense_from_table(frame)
    place = cells.channels.index("parallax")
    return float(cells.value[0, place]), float(cells.sigma[0, place])


def test_dr3_takes_magnitude_colour_and_place() -> None:
    wanted = dr3_zero_point(
        [12.0], effective_wavenumber([0.9]), sine_ecliptic_latitude([132.8], [11.8])
    )
    value, sigma = first(stars())
    assert value == pytest.approx(2.0 - wanted.value[0])
    assert sigma == pytest.approx(np.hypot(0.02, wanted.uncertainty[0]))
    assert 0.005 < value - 2.0 < 0.05


@pytest.mark.parametrize("release", ["EDR3", "DR3", "EDR3 mags, EDR3 parallax", None])
def test_all_but_dr2_is_dr3(release: str | None) -> None:
    assert first(stars(gaia_release=[release, "DR2"])) == pytest.approx(first(stars()))


@pytest.mark.parametrize("release", ["DR2", "DR2(Rev)", " dr2"])
def test_the_release_chooses_the_zero_point_row_by_row(release: str) -> None:
    frame = stars(parallax=[2.0, 2.0], gaia_release=[release, "EDR3"])
    cells = dense_from_table(frame)
    place = cells.channels.index("parallax")
    assert cells.value[0, place] == pytest.approx(2.0 - DR2_ZERO_POINT)
    assert cells.sigma[0, place] == pytest.approx(np.hypot(0.02, DR2_UNCERTAINTY))
    alone = dense_from_table(stars(parallax=[2.0, 2.0]))
    assert cells.value[1, place] == alone.value[1, alone.channels.index("parallax")]


def test_without_a_place_the_error_grows() -> None:
    assert first(stars(ra=None))[1] > first(stars())[1]
    bare = Measurements.from_table(pd.DataFrame({"parallax": [1.0], "parallax_err": [0.01]}))
    assert 1.02 < float(bare.value[0, 0]) < 1.05
    assert 0.01 < float(bare.sigma[0, 0]) < 0.03


def test_archive_columns_take_precedence() -> None:
    sine = np.sin(np.deg2rad(-5.0))
    five = stars(ecl_lat=-5.0, nu_eff_used_in_astrometry=1.6, astrometric_params_solved=31)
    assert first(five)[0] == pytest.approx(2 - dr3_zero_point([12], [1.6], [sine]).value[0])
    six = stars(ELAT=-5.0, nueff=1.6, pscol=1.3, Solved=95)
    wanted = dr3_zero_point([12], [1.3], [sine], six_parameters=True)
    assert first(six)[0] == pytest.approx(2 - wanted.value[0])
    colour = stars(gaia_bp=None, gaia_bp_err=None, bp_rp=0.9)
    assert first(colour) == pytest.approx(first(stars()))


def test_a_zero_point_of_ones_own_is_believed_where_there_is_one() -> None:
    frame = stars(parallax_zero_point=[-0.1, np.nan])
    assert first(frame) == (pytest.approx(2.1), pytest.approx(0.02))
    assert first(stars(parallax_zero_point=np.nan)) == first(stars())
    assert "parallax_zero_point" in recognise(list(frame.columns)).columns
    assert not {"ra", "dec"} & recognise(list(frame.columns)).columns
    assert recognise(["ra", "dec", "parallax_zero_point"]).columns == frozenset()


def test_a_table_of_ours_is_not_corrected_again() -> None:
    obs = Measurements.from_table(stars())
    table = obs.to_table()
    again = Measurements.from_table(table)
    assert again.hash().tolist() == obs.hash().tolist()
    assert str(table["parallax_zero_point"].unit) == "mas"
    table.remove_column("parallax_zero_point")
    assert Measurements.from_table(table).hash().tolist() != obs.hash().tolist()


def test_units_of_the_place_are_heeded() -> None:
    table = Table.from_pandas(stars(ra=None))
    table["ra"] = Column(np.deg2rad([132.8, 132.9]), unit="rad")
    assert first(table) == pytest.approx(first(stars()))


def test_a_place_in_words_is_left_out_and_told() -> None:
    with pytest.warns(ColumnWarning, match=r"zero point.*'ra'.*08:51:11"):
        found = Measurements.from_table(stars(ra=["08:51:11", "08:51:36"]))
    assert float(found.value[0, 3]) == pytest.approx(first(stars(ra=None))[0])


def test_stars_beyond_the_recipe_are_told_only_where_they_have_a_parallax() -> None:
    with pytest.warns(ColumnWarning, match=r"1 of 2 stars lie outside G = 6 to 21"):
        Measurements.from_table(stars(gaia_g=[4.0, 5.0]))
    for frame in (stars(gaia_g=[7.0, 5.0]), stars(gaia_g=[4.0, 5.0], gaia_release="DR2")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Measurements.from_table(frame)


def test_nothing_but_the_parallax_changes() -> None:
    cells, plain = dense_from_table(stars()), dense_from_table(stars(parallax=None))
    assert cells.channels == (*plain.channels, "parallax")
    np.testing.assert_array_equal(cells.value[:, :-1], plain.value)
    np.testing.assert_array_equal(cells.sigma[:, :-1], plain.sigma)
    assert np.isnan(cells.value[1, -1])
    assert not cells.rejected.any()


def test_an_empty_table_stays_empty() -> None:
    assert len(Measurements.from_table(stars().iloc[:0])) == 0
