"""Read a catalogue of any supported format as an astropy table, at once or in batches."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from astropy.io import fits
from astropy.io.votable import parse as parse_votable
from astropy.table import Table
from astropy.units import UnitsWarning

from maury.catalogs.arrow import from_arrow
from maury.catalogs.formats import Format, format_of
from maury.errors import MauryError

__all__ = ["iter_batches", "read_table"]

_EXPECTED: dict[Format, str] = {
    "fits": "a FITS file with a table",
    "votable": "a VOTable",
    "ecsv": "an ECSV table",
    "csv": "text in UTF-8 with a header line and commas",
    "parquet": "a Parquet file",
}
_LARGEST_BLOCK = 2**31 - 1


def read_table(path: str | Path) -> Table:
    """Read a whole catalogue.

    Parameters
    ----------
    path : str or Path
        FITS (the first table in it), VOTable (likewise), ECSV, CSV or Parquet, by suffix.

    Returns
    -------
    Table
        Missing cells are masked or NaN; units, descriptions and UCDs are kept where the format
        has them. An empty catalogue is an empty table.

    Raises
    ------
    MauryError
        If the file is missing, is not what its name promises, or two columns share a name.
    """
    path, kind = _checked(path)
    with _blaming(path, kind):
        return _READERS[kind](path)


def iter_batches(path: str | Path, *, rows: int = 100_000) -> Iterator[Table]:
    """Read a catalogue as tables of at most ``rows`` rows, in order, and at least one.

    Parquet is streamed; other formats are loaded whole and cut.

    Raises
    ------
    MauryError
        As `read_table`, also midway through a damaged file.
    """
    path, kind = _checked(path)
    if kind == "parquet":
        yield from _parquet_batches(path, rows)
        return
    table = read_table(path)
    for start in range(0, max(len(table), 1), rows):
        yield table[start : start + rows]


def _checked(path: str | Path) -> tuple[Path, Format]:
    path = Path(path)
    kind = format_of(path)
    if path.is_dir():
        raise MauryError(f"{path}: this is a folder; {_EXPECTED[kind]} is expected")
    if not path.exists():
        raise MauryError(f"{path}: no such file")
    return path, kind


@contextmanager
def _blaming(path: Path, kind: Format) -> Iterator[None]:
    """Turn whatever a format's library raises on a bad file into one line about that file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)
            yield
    except (MauryError, MemoryError):
        raise
    except Exception as problem:
        # The libraries raise anything from OSError to IndexError on damaged files.
        reason = next(iter(str(problem).strip().splitlines()), type(problem).__name__)
        raise MauryError(
            f"{path}: cannot read this; {_EXPECTED[kind]} is expected ({reason})"
        ) from None


def _refuse_duplicates(names: Sequence[str], path: Path) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise MauryError(f"{path}: two columns are called {name!r}; names must be distinct")
        seen.add(name)


def _read_fits(path: Path) -> Table:
    with fits.open(path, memmap=False) as file:
        tables = [hdu for hdu in file if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise MauryError(f"{path}: this FITS file holds no table, only images")
        hdu = tables[0]
        _refuse_duplicates(hdu.columns.names, path)
        table = Table.read(hdu, format="fits")
        table.convert_bytestring_to_unicode()
        for name in table.colnames:
            if not table[name].dtype.isnative:
                # FITS is big-endian, which pandas and torch do not take.
                table[name] = table[name].astype(table[name].dtype.newbyteorder("="))
        for number, name in enumerate(hdu.columns.names, start=1):
            # TCOMM and TUCD are the convention of TOPCAT and of the VO's FITS files.
            if f"TCOMM{number}" in hdu.header and name in table.colnames:
                table[name].description = hdu.header[f"TCOMM{number}"]
            if f"TUCD{number}" in hdu.header and name in table.colnames:
                table[name].meta["ucd"] = hdu.header[f"TUCD{number}"]
    return table


def _read_votable(path: Path) -> Table:
    with warnings.catch_warnings():
        # Archives' files break the standard in harmless ways, and astropy tells of each.
        warnings.simplefilter("ignore")
        found = parse_votable(path, verify="ignore").get_first_table()
        _refuse_duplicates([field.name for field in found.fields], path)
        table = found.to_table(use_names_over_ids=True)
    for name in table.colnames:
        if table[name].description:
            table[name].description = " ".join(table[name].description.split())
    return table


def _read_ecsv(path: Path) -> Table:
    return _parse_ecsv(path.read_bytes(), path)


def _parse_ecsv(raw: bytes, path: Path) -> Table:
    lines = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8")
    delimiter = " "
    for line in lines:
        if line.startswith("# delimiter: "):
            delimiter = line.removeprefix("# delimiter: ").strip().strip("'\"")
        if not line.startswith("#"):
            # Looked at here because astropy would quietly rename the second of two namesakes.
            _refuse_duplicates(next(csv.reader([line], delimiter=delimiter or " ")), path)
            break
    return Table.read(io.BytesIO(raw), format="ascii.ecsv")


def _read_csv(path: Path) -> Table:
    raw = path.read_bytes()
    if path.suffix.lower() == ".gz":
        raw = gzip.decompress(raw)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if raw.startswith(b"# %ECSV"):
        return _parse_ecsv(raw, path)
    if b"\0" in raw:
        raise ValueError("it holds binary data")
    skipped = 0
    for line in io.BytesIO(raw):
        if not line.startswith(b"#") and line.strip():
            break
        skipped += 1
    # One block for the whole file, so that a column's type is judged by all of its cells: a word
    # in row ten million makes that column text instead of breaking the job.
    block = min(len(raw) + 1, _LARGEST_BLOCK)
    table = pa.csv.read_csv(
        pa.BufferReader(raw),
        read_options=pa.csv.ReadOptions(block_size=block, skip_rows=skipped, use_threads=False),
    )
    for field in table.schema:
        if pa.types.is_binary(field.type):
            # What Arrow makes of bytes that are no UTF-8, and what no format can take from us.
            raise ValueError(f"column {field.name!r} is in another encoding")
    names = [name.strip() for name in table.column_names]
    _refuse_duplicates(names, path)
    separator = next((s for s in ";\t| " if len(names) == 1 and s in names[0]), None)
    if separator is not None:
        raise MauryError(
            f"{path}: its header {names[0][:60]!r} holds no comma: separate the columns by commas, "
            f"not by {separator!r}"
        )
    return from_arrow(table.rename_columns(names))


def _read_parquet(path: Path) -> Table:
    with pa.parquet.ParquetFile(path) as file:
        _refuse_duplicates(file.schema_arrow.names, path)
        return from_arrow(file.read())


def _parquet_batches(path: Path, rows: int) -> Iterator[Table]:
    with _blaming(path, "parquet"):
        file = pa.parquet.ParquetFile(path)
        _refuse_duplicates(file.schema_arrow.names, path)
    with file:
        schema = file.schema_arrow
        batches = file.iter_batches(batch_size=rows)
        count = 0
        while True:
            with _blaming(path, "parquet"):
                batch = next(batches, None)
                if batch is None:
                    break
                table = from_arrow(pa.Table.from_batches([batch], schema=schema))
            count += 1
            yield table
        if count == 0:
            yield from_arrow(schema.empty_table())


_READERS = {
    "fits": _read_fits,
    "votable": _read_votable,
    "ecsv": _read_ecsv,
    "csv": _read_csv,
    "parquet": _read_parquet,
}
