"""The output keeps the user's columns, adds ours, and says what its flags mean."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from maury.catalogs.output import describe, flag_legend, output_table
from maury.catalogs.readers import read_table
from maury.catalogs.writers import write_table
from maury.errors import MauryError
from maury.flags import Flag


def answers() -> Table:
    return Table({"teff": [5772.0, 4000.0], "teff_lo": [5700.0, 3900.0], "chi2": [1.0, 2.0]})


def test_columns_come_in_order_and_collisions_are_renamed() -> None:
    table = Table(
        {
            "id": [1, 2],
            "teff": [1.0, 2.0],
            "gaia_g": [10.0, 11.0],
            "gaia_g_err": [0.1, 0.1],
            "input_teff": [3.0, 4.0],
            "flags": ["a", "b"],
        }
    )
    out = output_table(table, answers(), [0, 16], measured={"gaia_g", "gaia_g_err"})
    assert out.colnames == [
        "id",
        "input_input_teff",
        "input_teff",
        "input_flags",
        "teff",
        "teff_lo",
        "chi2",
        "flags",
    ]
    assert list(out["input_input_teff"]) == [1.0, 2.0]
    assert list(out["input_teff"]) == [3.0, 4.0]
    assert list(out["flags"]) == [0, 16]
    assert out["flags"].dtype.kind == "i"
    assert table.colnames[1] == "teff"


def test_columns_are_described() -> None:
    table = describe(answers())
    assert str(table["teff"].unit) == "K"
    assert table["teff"].meta["ucd"] == "phys.temperature.effective;stat.median"
    assert "16th percentile" in table["teff_lo"].description
    assert answers()["teff"].unit is None


def test_the_legend_names_every_bit() -> None:
    for flag in Flag:
        assert f"{int(flag)} = " in flag_legend()


@pytest.mark.parametrize("suffix", ["fits", "vot", "ecsv", "parquet"])
def test_the_legend_travels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    out = output_table(
        Table({"id": [1, 2]}), answers(), [0, 1], measured=(), meta={"model": "iris-base"}
    )
    write_table(out, path)
    found = read_table(path)
    assert found["flags"].description == f"sum of bits: {flag_legend()}"
    assert found["teff"].meta["ucd"] == "phys.temperature.effective;stat.median"
    assert b"iris-base" in path.read_bytes()


def test_no_row_is_lost_in_silence() -> None:
    with pytest.raises(MauryError, match="2 rows came in"):
        output_table(Table({"id": [1, 2]}), answers()[:1], np.zeros(1, int), measured=())


def test_an_empty_table_gives_an_empty_output() -> None:
    out = output_table(Table({"id": np.empty(0, int)}), answers()[:0], [], measured=())
    assert len(out) == 0
    assert out.colnames == ["id", "teff", "teff_lo", "chi2", "flags"]
