"""Damage that a format's library would pass over: rows left out, columns shifted, digits lost."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from maury.catalogs.readers import open_catalog, read_table
from maury.errors import MauryError

STARS = Table({"id": 2**60 + np.arange(200), "g": np.linspace(10, 12, 200, dtype=np.float32)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "stars.fits"
    STARS.write(path)
    with fits.open(path) as file:
        file.writeto(tmp_path / "checked.fits", checksum=True)
    return path


def keyword(key: str, value: int) -> Callable[[bytes], bytes]:
    """Change a number in the table's header."""
    pattern = re.compile(rb"(XTENSION.*?%-8s= ) *\d+" % key.encode(), re.S)
    return lambda raw: pattern.sub(rb"\g<1>%20d" % value, raw)[: len(raw)]


def refuse(path: Path, message: str) -> None:
    for read in (read_table, lambda p: list(open_catalog(p).batches(50))):
        with pytest.raises(MauryError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (keyword("NAXIS2", 120), "more follows after the 120 rows"),
        (keyword("NAXIS2", 0), "more follows after the 0 rows"),
        (keyword("NAXIS1", 11), "do not fill rows of 11 bytes"),
        (keyword("TFIELDS", 1), "do not fill rows of 12 bytes"),
        (lambda raw: raw + b"x" * 100, "more follows after the 200 rows"),
    ],
)
def test_a_fits_header_that_leaves_something_out_is_refused(
    path: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    spoilt = spoil(path.read_bytes())
    assert spoilt != path.read_bytes()
    path.write_bytes(spoilt)
    refuse(path, message)


def test_fits_checksums_are_held_to(path: Path) -> None:
    checked = path.with_name("checked.fits")
    assert len(read_table(checked)) == len(STARS)
    raw = bytearray(checked.read_bytes())
    raw[-2880] ^= 1
    checked.write_bytes(raw)
    refuse(checked, "wrong CHECKSUM")


def test_compressed_fits_is_read_to_its_end(path: Path) -> None:
    packed = path.with_suffix(".fits.gz")
    STARS.write(packed)
    packed.write_bytes(packed.read_bytes()[:-6])
    refuse(packed, "ended before")


def test_another_table_or_zeros_may_follow(path: Path) -> None:
    with fits.open(path) as file:
        fits.HDUList([*file, file[1].copy()]).writeto(path.with_name("two.fits"))
    path.write_bytes(path.read_bytes() + bytes(2880))
    for name in ("two.fits", "stars.fits"):
        assert len(read_table(path.with_name(name))) == len(STARS)


@pytest.mark.parametrize("odd", ["18446744073709551615", "1.5", "11529215046068548951"])
def test_one_odd_number_does_not_round_the_identifiers_beside_it(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "stars.csv"
    path.write_text(f"id,lum\n1152921504606854895,1e33\n{odd},2\n")
    for table in (read_table(path), next(open_catalog(path).batches(50))):
        assert list(table["id"]) == ["1152921504606854895", odd]
        assert list(table["lum"]) == [1e33, 2.0]
