"""The whole job: every row is answered, in order, whatever its neighbours are."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.table import Table

import maury
from maury.catalogs import job
from maury.catalogs.job import infer, infer_file
from maury.catalogs.mock import mock_catalog
from maury.catalogs.readers import read_table
from maury.catalogs.writers import write_table
from maury.columns import ColumnWarning
from maury.errors import MauryError
from maury.flags import Flag
from maury.inference.posterior import Posterior
from maury.sky.populations import STAR

BANDS = ("gaia_g", "gaia_bp", "gaia_rp", "tmass_j", "tmass_k")
ANSWERS = [p + s for p in STAR for s in ("", "_lo", "_hi", "_mean", "_std")]


@pytest.fixture(scope="module")
def post(tiny_folder: Path) -> Posterior:
    return Posterior.load(tiny_folder)


def catalog(count: int = 40) -> Table:
    """Stars of many colours, with ids and positions."""
    rng = np.random.default_rng(0)
    colour = rng.uniform(0, 1, count)[:, None] * [0.0, 0.5, -0.7, -1.4, -2.0]
    table = Table({"id": np.arange(count) + 10**15, "ra": rng.uniform(0, 360, count)})
    for name, column in zip(
        BANDS, (15 + colour + rng.normal(0, 0.02, colour.shape)).T, strict=True
    ):
        table[name] = column
        table[f"{name}_err"] = 0.02
    return table


def same(one: Table, other: Table) -> None:
    for name in ANSWERS:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-5)


def test_columns_of_the_output(post: Posterior) -> None:
    result = infer(catalog(), model=post)
    assert result.colnames == ["id", "ra", *ANSWERS, "flags"]
    assert result["id"].tolist() == catalog()["id"].tolist()
    assert str(result["teff_lo"].unit) == "K"
    assert result.meta["model"] == "tiny"
    for name in STAR:
        low, middle, high = (result[name + s] for s in ("_lo", "", "_hi"))
        assert ((low < middle) & (middle < high)).all()


def test_order_of_rows_changes_nothing(post: Posterior) -> None:
    table = catalog()
    shuffled = np.random.default_rng(1).permutation(len(table))
    one, other = infer(table, model=post), infer(table[shuffled], model=post)
    same(one[shuffled], other)
    assert other["id"].tolist() == table["id"][shuffled].tolist()


def test_order_of_columns_changes_nothing(post: Posterior) -> None:
    table = catalog()
    same(infer(table, model=post), infer(table[table.colnames[::-1]], model=post))


def test_parts_of_a_catalogue_join(post: Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = infer(catalog(), model=post)
    monkeypatch.setattr(job, "rows_at_once", lambda _: 7)
    same(whole, infer(catalog(), model=post))


def test_every_kind_of_table(post: Posterior) -> None:
    table = catalog(5)
    expected = infer(table, model=post)
    frame = table.to_pandas()
    same(infer(frame, model=post), expected)
    same(infer(pa.Table.from_pandas(frame), model=post), expected)
    assert maury.infer is infer


BAD_CELLS = [
    ("tmass_k", -999.0),
    ("tmass_k", 99.0),
    ("tmass_k", np.inf),
    ("tmass_k", -np.inf),
    ("tmass_k_err", 0.0),
    ("tmass_k_err", -0.1),
    ("tmass_k_err", np.inf),
    ("tmass_k_err", 3.0),
]


@pytest.mark.parametrize(("column", "value"), BAD_CELLS)
def test_a_bad_cell_costs_a_measurement_and_never_a_row(
    post: Posterior, column: str, value: float
) -> None:
    good, table = catalog(6), catalog(6)
    table[column][2] = value
    result, expected = infer(table, model=post), infer(good, model=post)
    others = [0, 1, 3, 4, 5]
    same(result[others], expected[others])
    assert result["flags"][others].tolist() == expected["flags"][others].tolist()
    without = catalog(6)
    without["tmass_k"][2] = np.nan
    assert result["flags"][2] & Flag.REJECTED_VALUE
    same(result, infer(without, model=post))


def test_a_row_without_data_is_nan_with_a_flag(post: Posterior) -> None:
    table = catalog(4)
    for name in BANDS:
        table[name][1] = np.nan
    result = infer(table, model=post)
    assert all(np.isnan(result[name][1]) for name in ANSWERS)
    assert all(np.isfinite(result[name][[0, 2, 3]]).all() for name in ANSWERS)
    assert result["flags"][1] == Flag.TOO_FEW
    same(result[[0, 2, 3]], infer(catalog(4), model=post)[[0, 2, 3]])


def test_a_table_of_rows_without_data(post: Posterior) -> None:
    table = catalog(3)
    for name in BANDS:
        table[name] = np.nan
    result = infer(table, model=post)
    assert result["flags"].tolist() == [int(Flag.TOO_FEW)] * 3
    assert np.isnan(result["teff"]).all()


def test_an_empty_table_is_an_empty_output(post: Posterior) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = infer(catalog()[:0], model=post)
    assert len(result) == 0
    assert result.colnames == ["id", "ra", *ANSWERS, "flags"]


def test_names_that_collide_are_kept(post: Posterior) -> None:
    table = catalog(3)
    table["teff"], table["flags"] = [1.0, 2.0, 3.0], ["a", "b", "c"]
    result = infer(table, model=post)
    assert result["input_teff"].tolist() == [1.0, 2.0, 3.0]
    assert result["input_flags"].tolist() == ["a", "b", "c"]
    same(result, infer(catalog(3), model=post))


def test_what_the_model_does_not_know_is_told_once(post: Posterior) -> None:
    table = catalog(3)
    for name in ("sdss_u", "parallax", "NEW/Survey.x"):
        table[name], table[f"{name}_err"] = 12.0, 0.1
    with pytest.warns(ColumnWarning) as caught:
        result = infer(table, model=post)
    assert len(caught) == 1
    for channel in ("SLOAN/SDSS.u", "parallax", "NEW/Survey.x"):
        assert channel in str(caught[0].message)
    same(result, infer(catalog(3), model=post))
    assert "sdss_u" not in result.colnames


def test_nothing_of_use_is_refused(post: Posterior) -> None:
    for table in (catalog()["id", "ra"], Table({"sdss_u": [12.0], "sdss_u_err": [0.1]})):
        with pytest.raises(MauryError, match="no column is of use to model 'tiny'"):
            infer(table, model=post)


def test_words_for_numbers_are_refused_by_name(post: Posterior) -> None:
    table = catalog(3)
    table["tmass_j"] = ["bright", "faint", "faint"]
    with pytest.raises(MauryError, match="'tmass_j' holds text"):
        infer(table, model=post)


def test_two_columns_of_one_name_are_refused(post: Posterior) -> None:
    frame = catalog(3).to_pandas()
    twice = pd.concat([frame, frame[["gaia_g"]]], axis=1)
    with pytest.raises(MauryError, match="'gaia_g'"):
        infer(twice, model=post)


def test_a_users_own_names(post: Posterior, tmp_path: Path) -> None:
    table = catalog(5)
    table.rename_columns(["tmass_k", "tmass_k_err"], ["my k", "my error"])
    result = infer(table, model=post, columns={"2MASS/2MASS.Ks": ["my k", "my error"]})
    same(result, infer(catalog(5), model=post))
    assert "my k" not in result.colnames
    (tmp_path / "map.toml").write_text('"2MASS/2MASS.Ks" = ["my k", "my error"]')
    same(result, infer(table, model=post, columns=tmp_path / "map.toml"))


def test_outside_knowledge_is_read(post: Posterior) -> None:
    known = catalog(10)
    known["prior_a_v"], known["prior_a_v_err"] = 2.0, 0.05
    more = infer(known, model=post, draws=200)
    less = infer(catalog(10), model=post, draws=200)
    assert np.median(more["a_v"] - less["a_v"]) > 0.5
    assert "prior_a_v" not in more.colnames


def test_old_gaia_magnitudes_are_translated_row_by_row(post: Posterior) -> None:
    table, mixed = catalog(4), catalog(4)
    mixed["gaia_release"] = ["DR2", "DR3", "EDR3", "DR2"]
    one, other = infer(table, model=post), infer(mixed, model=post)
    same(one[[1, 2]], other[[1, 2]])
    assert (one["teff"][[0, 3]] != other["teff"][[0, 3]]).all()
    assert other["gaia_release"].tolist() == ["DR2", "DR3", "EDR3", "DR2"]


# -- from file to file ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["fits", "vot", "ecsv", "csv", "parquet"])
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_every_format_in_and_out(
    post: Posterior, tiny_folder: Path, tmp_path: Path, suffix: str
) -> None:
    source, out = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    table = catalog(6)
    table["tmass_k"][2] = np.nan
    write_table(table, source)
    assert infer_file(source, out, model=str(tiny_folder)) == 6
    result = read_table(out)
    assert result["id"].tolist() == table["id"].tolist()
    same(result, infer(table, model=post))


def test_draws_go_to_their_own_file(post: Posterior, tiny_folder: Path, tmp_path: Path) -> None:
    table = catalog(3)
    for name in BANDS:
        table[name][1] = np.nan
    write_table(table, tmp_path / "in.fits")
    infer_file(
        tmp_path / "in.fits",
        tmp_path / "out.fits",
        model=str(tiny_folder),
        draws=9,
        save_draws=tmp_path / "draws.parquet",
    )
    draws, result = read_table(tmp_path / "draws.parquet"), read_table(tmp_path / "out.fits")
    assert draws.colnames == ["star", "draw", *STAR]
    assert len(draws) == 27
    for i in (0, 2):
        mine = draws[draws["star"] == i]
        assert mine["draw"].tolist() == list(range(9))
        assert np.median(mine["teff"]) == pytest.approx(result["teff"][i], rel=1e-5)
    assert np.isnan(np.ma.filled(draws[draws["star"] == 1]["teff"], np.nan)).all()
    with pytest.raises(MauryError, match="file of their own"):
        infer_file(
            tmp_path / "in.fits",
            tmp_path / "out.fits",
            model=str(tiny_folder),
            save_draws=tmp_path / "out.fits",
        )


def test_a_failed_job_leaves_the_old_output(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("old")
    (tmp_path / "in.csv").write_text("id,gaia_g,gaia_g_err\n1,bright,0.1\n")
    with pytest.raises(MauryError, match="'gaia_g'"):
        infer_file(tmp_path / "in.csv", tmp_path / "out.csv", model=str(tiny_folder))
    assert (tmp_path / "out.csv").read_text() == "old"


def test_mock_stars_are_answered(post: Posterior) -> None:
    mock = mock_catalog(post.config.simulator, 300, seed=4)
    result = infer(mock, model=post)
    assert len(result) == 300
    assert np.isfinite(result["teff"]).all()
    assert np.array_equal(result["ref_teff"], mock["ref_teff"])
    error = np.log10(result["teff"] / result["ref_teff"])
    guess = np.log10(np.median(mock["ref_teff"]) / mock["ref_teff"])
    assert np.median(np.abs(error)) < 0.7 * np.median(np.abs(guess))


def test_mock_stars_follow_the_seed(post: Posterior) -> None:
    one, same_seed, other = (
        mock_catalog(post.config.simulator, 20, seed=s)["ref_teff"] for s in (1, 1, 2)
    )
    assert np.array_equal(one, same_seed)
    assert not np.array_equal(one, other)


def test_mock_stars_without_knowledge_are_the_same_stars(post: Posterior) -> None:
    whole = mock_catalog(post.config.simulator, 50, seed=1)
    bare = mock_catalog(post.config.simulator, 50, seed=1, knowledge=False)
    left_out = set(whole.colnames) - set(bare.colnames)
    assert left_out
    assert all(name.startswith("prior_") for name in left_out)
    for name in bare.colnames:
        assert np.array_equal(bare[name], whole[name], equal_nan=True)
