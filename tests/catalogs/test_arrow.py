"""Tables of any kind become astropy tables without loss."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.table import Table

from maury.catalogs.arrow import as_table
from maury.errors import MauryError


def test_identifiers_stay_exact_beside_nulls() -> None:
    ids = pa.array([2**62 + 1, None], pa.int64())
    for catalog in (
        pa.table({"id": ids}),
        pd.DataFrame({"id": pd.array([2**62 + 1, None], dtype="Int64")}),
    ):
        table = as_table(catalog)
        assert table["id"].dtype == np.int64
        assert table["id"][0] == 2**62 + 1
        assert table["id"].mask.tolist() == [False, True]


def test_a_named_index_is_a_column_and_a_range_is_not() -> None:
    frame = pd.DataFrame({"gaia_g": [12.0]}, index=pd.Index(["M67-1"], name="star"))
    assert set(as_table(frame).colnames) == {"gaia_g", "star"}
    assert as_table(frame.reset_index()).colnames == ["star", "gaia_g"]
    assert as_table(frame.reset_index(drop=True)).colnames == ["gaia_g"]


def test_astropy_tables_pass_through() -> None:
    table = Table({"x": [1]})
    assert as_table(table) is table


def test_words_categories_and_dates_become_text() -> None:
    frame = pd.DataFrame(
        {"kind": pd.Categorical(["a", "b"]), "day": pd.to_datetime(["2020-01-01", "2021-06-01"])}
    )
    table = as_table(frame)
    assert list(table["kind"]) == ["a", "b"]
    assert table["day"][0].startswith("2020-01-01")


def test_what_is_no_table_or_has_namesakes_is_told() -> None:
    with pytest.raises(MauryError, match="dict is no table"):
        as_table({"x": [1]})
    with pytest.raises(MauryError, match="'x'"):
        as_table(pa.table([[1], [2]], names=["x", "x"]))
    with pytest.raises(MauryError, match="x"):
        as_table(pd.DataFrame([[1, 2]], columns=["x", "x"]))
