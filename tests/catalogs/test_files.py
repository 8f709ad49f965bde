"""Catalogues go to files and come back the same, and bad files get one clear line."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table
from astropy.time import Time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from maury.catalogs.formats import SUFFIXES
from maury.catalogs.readers import open_catalog, read_table
from maury.catalogs.writers import atomic, check_destination, write_table
from maury.errors import MauryError

SELF_DESCRIBING = ("fits", "fits.gz", "vot", "vot.gz", "ecsv", "parquet")
ALL = (*SELF_DESCRIBING, "csv", "csv.gz")


def example() -> Table:
    """Four stars with everything that tends to get lost."""
    table = Table()
    table["source_id"] = np.array([2**62 + 1, 2**53 + 1, 3, 4], dtype=np.int64)
    table["neighbour"] = MaskedColumn([2**60 + 1, 0, 7, 0], mask=[False, True, False, True])
    table["name"] = ["alpha", "M 67, star 4", 'quote "x"', "Ångström"]
    table["good"] = [True, False, True, False]
    table["teff"] = Column(
        np.array([5772.0, np.nan, 3500.25, 9600.5], dtype=np.float32),
        unit="K",
        description="posterior median: effective temperature",
        meta={"ucd": "phys.temperature.effective;stat.median"},
    )
    table["logg"] = Column([4.44, 2.0, 5.0, 4.0], unit="dex(cm / s2)")
    return table


def assert_same(found: Table, wanted: Table) -> None:
    assert found.colnames == wanted.colnames
    for name in wanted.colnames:
        left, right = found[name], wanted[name]
        if right.dtype.kind == "f":
            left, right = (
                np.ma.filled(np.ma.asarray(c, dtype=float), np.nan) for c in (left, right)
            )
            np.testing.assert_array_equal(left, right)
        else:
            masks = [np.ma.getmaskarray(np.ma.asarray(c)) for c in (left, right)]
            np.testing.assert_array_equal(*masks)
            assert [str(x) for x in left[~masks[0]]] == [str(x) for x in right[~masks[1]]]


@pytest.mark.parametrize("suffix", ALL)
def test_a_table_survives_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"stars.{suffix}"
    write_table(example(), path)
    found = read_table(path)
    assert_same(found, example())
    assert found["source_id"].dtype == np.int64
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SELF_DESCRIBING)
def test_columns_keep_what_they_mean(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"stars.{suffix}"
    write_table(example(), path)
    found = read_table(path)
    assert str(found["teff"].unit) == "K"
    assert str(found["logg"].unit).replace(" ", "") == "dex(cm/s2)"
    assert found["teff"].description == "posterior median: effective temperature"
    assert found["teff"].meta["ucd"] == "phys.temperature.effective;stat.median"


@pytest.mark.parametrize("suffix", ALL)
def test_an_empty_table_stays_a_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"none.{suffix}"
    write_table(example()[:0], path)
    found = read_table(path)
    assert len(found) == 0
    assert found.colnames == example().colnames
    assert [len(batch) for batch in open_catalog(path).batches(100)] == [0]


@pytest.mark.parametrize("suffix", ALL)
def test_batches_join_to_the_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"stars.{suffix}"
    write_table(example(), path)
    batches = list(open_catalog(path).batches(3))
    assert [len(batch) for batch in batches] == [3, 1]
    assert [i for batch in batches for i in batch["source_id"]] == list(example()["source_id"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=npst.arrays(np.float64, st.integers(1, 6), elements=st.floats(allow_infinity=False)),
    suffix=st.sampled_from(["fits", "vot", "ecsv", "csv", "parquet"]),
)
def test_any_number_comes_back(tmp_path: Path, numbers: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"numbers.{suffix}"
    table = Table({"row": np.arange(len(numbers)), "x": numbers})
    write_table(table, path)
    assert_same(read_table(path), table)


@pytest.mark.parametrize("suffix", [s.lstrip(".") for s in SUFFIXES])
def test_garbage_gets_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bad.{suffix}"
    path.write_bytes(bytes(np.random.default_rng(1).integers(0, 256, 4000, dtype=np.uint8)))
    with pytest.raises(MauryError, match="bad") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(MauryError):
        list(open_catalog(path).batches(100))


@pytest.mark.parametrize("suffix", ["fits", "vot", "ecsv", "csv", "parquet"])
def test_a_file_without_a_byte_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty.{suffix}"
    path.touch()
    with pytest.raises(MauryError, match=r"empty.*expected"):
        read_table(path)


def test_missing_files_folders_and_strange_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(MauryError, match="no such file"):
        read_table(tmp_path / "nothing.csv")
    with pytest.raises(MauryError, match="unknown kind of file"):
        read_table(tmp_path / "stars.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(MauryError, match="folder"):
        read_table(tmp_path / "folder.csv")


def test_fits_without_a_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(path)
    with pytest.raises(MauryError, match="no table"):
        read_table(path)


def test_duplicated_columns_are_named(tmp_path: Path) -> None:
    csv = tmp_path / "twice.csv"
    csv.write_text("id,gaia_g,gaia_g\n1,12.0,13.0\n")
    parquet = tmp_path / "twice.parquet"
    table = pa.table([[1], [12.0], [13.0]], names=["id", "gaia_g", "gaia_g"])
    pyarrow.parquet.write_table(table, parquet)
    votable = tmp_path / "twice.vot"
    write_table(Table({"gaia_g": [12.0], "other": [13.0]}), votable)
    votable.write_text(votable.read_text().replace('"other"', '"gaia_g"'))
    ecsv = tmp_path / "twice.ecsv"
    write_table(Table({"gaia_g": [12.0], "other": [13.0]}), ecsv)
    ecsv.write_text(ecsv.read_text().replace("other", "gaia_g"))
    flexible = tmp_path / "twice.fits"
    write_table(Table({"gaia_g": [12.0], "other_": [13.0]}), flexible)
    flexible.write_bytes(flexible.read_bytes().replace(b"other_", b"gaia_g"))
    for path in (csv, parquet, votable, ecsv, flexible):
        with pytest.raises(MauryError, match="gaia_g"):
            read_table(path)


def test_csv_of_every_day(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_bytes(
        b"\xef\xbb\xbf# from the archive\n#\nid, gaia_g , when\n"
        b"1, 12.5,2020-01-01\n2,nan,\n3,inf,\n"
    )
    found = read_table(path)
    assert found.colnames == ["id", "gaia_g", "when"]
    np.testing.assert_array_equal(
        np.ma.filled(np.ma.asarray(found["gaia_g"]), np.nan), [12.5, np.nan, np.inf]
    )
    assert found["when"][0] == "2020-01-01"


def test_a_word_far_down_a_csv_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("gaia_g\n" + "12.0\n" * 300_000 + "oops\n")
    found = read_table(path)
    assert len(found) == 300_001
    assert found["gaia_g"][-1] == "oops"


@pytest.mark.parametrize("suffix", ALL)
def test_names_may_differ_by_case_alone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"stars.{suffix}"
    table = Table({"Gmag": [12.0, 12.5], "gmag": [13.0, 13.5]})
    write_table(table, path)
    assert_same(read_table(path), table)


def test_ecsv_under_another_name_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    example().write(path, format="ascii.ecsv")
    assert str(read_table(path)["teff"].unit) == "K"


def test_big_endian_and_archive_units_are_read(tmp_path: Path) -> None:
    path = tmp_path / "stars.fits"
    column = fits.Column("gaia_g", "D", unit="Vega", array=np.array([12.0]))
    fits.BinTableHDU.from_columns([column]).writeto(path)
    assert read_table(path)["gaia_g"][0] == 12.0


@pytest.mark.parametrize("suffix", ["fits", "vot", "csv", "parquet"])
def test_times_become_columns_that_any_format_holds(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"times.{suffix}"
    write_table(Table({"t": Time(["2020-01-01", "2021-01-01"])}), path)
    assert len(read_table(path)) == 2


def test_lists_live_in_parquet_but_not_in_csv(tmp_path: Path) -> None:
    table = Table({"id": [1, 2], "pair": [[1.0, 2.0], [3.0, 4.0]]})
    write_table(table, tmp_path / "pairs.parquet")
    assert list(read_table(tmp_path / "pairs.parquet")["pair"][1]) == [3.0, 4.0]
    with pytest.raises(MauryError, match=r"'pair'.*CSV"):
        write_table(table, tmp_path / "pairs.csv")
    assert not (tmp_path / "pairs.csv").exists()


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.parquet"
    write_table(example(), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(MauryError, match="Parquet"):
        list(open_catalog(path).batches(100))
    zipped = tmp_path / "cut.csv.gz"
    zipped.write_bytes(gzip.compress(b"a,b\n1,2\n" * 100)[:-9])
    with pytest.raises(MauryError, match="cut"):
        read_table(zipped)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def fail() -> None:
        with atomic(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_impossible_destinations_are_told_early(tmp_path: Path) -> None:
    with pytest.raises(MauryError, match="no folder"):
        check_destination(tmp_path / "nowhere" / "out.csv")
    with pytest.raises(MauryError, match="unknown kind"):
        check_destination(tmp_path / "out.txt")
    (tmp_path / "folder.fits").mkdir()
    with pytest.raises(MauryError, match="folder"):
        check_destination(tmp_path / "folder.fits")
