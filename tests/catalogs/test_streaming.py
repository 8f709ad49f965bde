"""A catalogue read in pieces is the catalogue, and written in parts is the file."""

import gzip
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Column, MaskedColumn, Table, vstack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.catalogs.test_files import ALL, assert_same

from maury.catalogs.arrow import to_arrow
from maury.catalogs.readers import open_catalog, read_table
from maury.catalogs.writers import write_parts, write_table
from maury.errors import MauryError

ROWS = 23


def stars(count: int = ROWS) -> Table:
    """Every kind of column; what is missing or long stands in the last rows only."""
    rng = np.random.default_rng(0)
    last = np.arange(count) == count - 1
    table = Table()
    table["source_id"] = 2**62 + np.arange(count)
    table["teff"] = Column(rng.normal(5000, 500, count), unit="K", description="temperature")
    table["neighbour"] = MaskedColumn(np.arange(count), mask=last)
    table["magnitude"] = np.where(last, np.nan, rng.normal(15, 1, count)).astype(np.float32)
    table["good"] = np.arange(count) % 3 == 0
    table["name"] = [f"star {i}" for i in range(count - 1)] + ["Ångström's, a longer one"]
    return table


@pytest.mark.parametrize("suffix", ALL)
@pytest.mark.parametrize(("size", "skip"), [(1, 0), (5, 0), (5, 7), (23, 0), (100, 22), (4, 23)])
def test_pieces_are_the_whole(tmp_path: Path, suffix: str, size: int, skip: int) -> None:
    path = tmp_path / f"stars.{suffix}"
    write_table(stars(), path)
    pieces = list(open_catalog(path).batches(size, skip=skip))
    lengths = [len(piece) for piece in pieces]
    assert sum(lengths) == ROWS - skip
    assert all(length == size for length in lengths[:-1])
    assert_same(vstack(pieces), read_table(path)[skip:])


@pytest.mark.parametrize("suffix", ALL)
@pytest.mark.parametrize("cuts", [[], [22], [1, 2, 20]])
def test_parts_join_to_the_file_of_the_whole(tmp_path: Path, suffix: str, cuts: list[int]) -> None:
    whole, joined = tmp_path / f"whole.{suffix}", tmp_path / f"joined.{suffix}"
    write_table(stars(), whole)
    edges = [0, *cuts, ROWS]
    parts = [to_arrow(stars()[a:b]) for a, b in itertools.pairwise(edges)]
    write_parts(lambda: iter(parts), joined)
    assert_same(read_table(joined), read_table(whole))
    assert str(read_table(joined)["teff"].unit) == str(read_table(whole)["teff"].unit)
    if suffix in ("fits", "csv", "ecsv", "vot"):
        assert joined.read_bytes() == whole.read_bytes()


def test_parts_whose_first_has_no_rows_join(tmp_path: Path) -> None:
    parts = [to_arrow(stars()[:0]), to_arrow(stars())]
    for suffix in ALL:
        write_parts(lambda: iter(parts), tmp_path / f"joined.{suffix}")
        assert len(read_table(tmp_path / f"joined.{suffix}")) == ROWS


def test_a_folder_of_parquet_is_one_catalogue(tmp_path: Path) -> None:
    folder = tmp_path / "stars"
    (folder / "south").mkdir(parents=True)
    write_table(stars()[:9], folder / "a.parquet")
    write_table(stars()[9:], folder / "south" / "b.parquet")
    write_table(stars(), folder / "_metadata.parquet")
    assert_same(read_table(folder), stars())
    for skip in (0, 3, 9, 10, 23):
        assert_same(vstack(list(open_catalog(folder).batches(4, skip=skip))), stars()[skip:])


def test_a_folder_of_different_columns_is_refused(tmp_path: Path) -> None:
    write_table(stars(), tmp_path / "a.parquet")
    write_table(stars()[["source_id", "name"]], tmp_path / "b.parquet")
    with pytest.raises(MauryError, match=r"b\.parquet.*columns.*a\.parquet.*good"):
        read_table(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MauryError, match="no Parquet file"):
        open_catalog(tmp_path / "empty")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(groups=st.lists(st.integers(1, 9), min_size=1, max_size=5), data=st.data())
def test_row_groups_of_any_size(tmp_path: Path, groups: list[int], data: st.DataObject) -> None:
    total = sum(groups)
    table = pa.table({"n": np.arange(total)})
    with pq.ParquetWriter(tmp_path / "t.parquet", table.schema) as writer:
        start = 0
        for length in groups:
            writer.write_table(table.slice(start, length))
            start += length
    size, skip = data.draw(st.integers(1, 12)), data.draw(st.integers(0, total))
    found = list(open_catalog(tmp_path / "t.parquet").batches(size, skip=skip))
    assert np.concatenate([piece["n"] for piece in found]).tolist() == list(range(skip, total))


def test_a_hats_catalogue_goes_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "hats.properties").touch()
    with pytest.raises(MauryError, match="--engine dask"):
        open_catalog(tmp_path)


CELLS = st.sampled_from(["", "1", "-2", "3.5", "1e3", "nan", "word", "true", "2001-01-01", "NA"])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(column=st.lists(CELLS, min_size=1, max_size=12))
def test_a_type_is_judged_by_all_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: list[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,x\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(column)))
    whole = read_table(path)
    with monkeypatch.context() as patched:
        patched.setattr("maury.catalogs.files.csv._BLOCK", 5)
        cut = vstack(list(open_catalog(path).batches(3)))
    if {"true", "2001-01-01"} & set(column):  # of these, the whole column must be made
        assert len(cut) == len(whole)
        return
    assert_same(cut, whole)


def test_comments_and_blank_lines_before_the_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf# made by hand\n\n# again\na,b\n1,x\n2,y")
    assert read_table(path)["a"].tolist() == [1, 2]
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert open_catalog(packed).rows == 2


VOTABLE = """<?xml version="1.0"?>
<vot:VOTABLE version="1.3" xmlns:vot="http://www.ivoa.net/xml/VOTable/v1.3">
<vot:RESOURCE type="results"><vot:INFO name="x" value="a &gt; b"/>
<vot:TABLE name="t" nrows="3"><vot:FIELD name="n" datatype="int"/>
<vot:FIELD name="s" datatype="char" arraysize="*"/>
<vot:DATA><vot:TABLEDATA>
<vot:TR><vot:TD>1</vot:TD><vot:TD>one</vot:TD></vot:TR>
<vot:TR><vot:TD>2</vot:TD><vot:TD/></vot:TR>
<vot:TR ><vot:TD>3</vot:TD><vot:TD>a &lt; b</vot:TD></vot:TR >
</vot:TABLEDATA></vot:DATA></vot:TABLE></vot:RESOURCE></vot:VOTABLE>
"""


@pytest.mark.parametrize("block", [7, 1 << 20])
def test_a_votable_with_prefixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("maury.catalogs.files.votable._BLOCK", block)
    path = tmp_path / "t.xml"
    path.write_text(VOTABLE)
    pieces = list(open_catalog(path).batches(2))
    assert [len(piece) for piece in pieces] == [2, 1]
    assert_same(vstack(pieces), read_table(path))


@pytest.mark.filterwarnings("ignore:File may have been truncated")
@pytest.mark.parametrize("suffix", ["fits", "vot"])
def test_a_file_cut_short_gives_what_it_has_before_the_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"stars.{suffix}"
    write_table(vstack([stars()] * 400), path)
    path.write_bytes(path.read_bytes()[: int(0.7 * path.stat().st_size)])
    batches = open_catalog(path).batches(100)
    assert sum(len(next(batches)) for _ in range(50)) == 5000
    with pytest.raises(MauryError, match=r"stars\..*breaks off"):
        list(batches)
