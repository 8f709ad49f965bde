"""CSV: UTF-8, a line of names, commas; lines that begin with # before it are skipped.

A column's type is judged by all of its cells: a word in row ten million makes that column text. So
a file is read twice, first for the types and the number of rows. Null-like words stand for missing
cells as Arrow has them, line breaks within cells are not understood.
"""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
from astropy.table import Table

from maury.catalogs.arrow import from_arrow
from maury.catalogs.files import ecsv
from maury.catalogs.files.contents import Contents, opened, whole
from maury.catalogs.layout import Layout
from maury.catalogs.names import distinct
from maury.errors import MauryError

__all__ = ["EXPECTED", "open_contents", "read", "write"]

EXPECTED = "text in UTF-8 with a header line and commas"

_BLOCK = 1 << 22
"""Bytes parsed at once."""

_EXACT = 2**53
"""Floating point holds smaller integers exactly."""

_LONG_INTEGER = r"^\s*[+-]?[0-9]{16,}\s*$"


@dataclass(frozen=True)
class _Head:
    """Names, and where the rows begin."""

    names: list[str]
    start: int


def read(path: Path) -> Table:
    """The whole table."""
    if _is_ecsv(path):
        return _read_ecsv(path)
    head = _head(path)
    types, _ = _types(path, head)
    return from_arrow(pa.concat_tables(_tables(path, head, types)))


def open_contents(path: Path) -> Contents:
    """Rows, after a first reading for types and number."""
    if _is_ecsv(path):
        return whole(_read_ecsv(path))
    head = _head(path)
    types, rows = _types(path, head)

    def pieces(size: int, skip: int) -> Iterator[Table]:
        for table in _tables(path, head, types):
            if skip < len(table) or len(table) == rows:
                yield from_arrow(table.slice(skip))
            skip = max(0, skip - len(table))

    return Contents(rows, pieces)


def write(parts: Iterable[pa.Table], path: Path, layout: Layout) -> None:
    """Join parts; NaN becomes an empty cell.

    Raises
    ------
    MauryError
        If a column holds arrays.
    """
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        for number, part in enumerate(parts):
            plain = _storable(layout.arrow(part))
            pcsv.write_csv(plain, file, pcsv.WriteOptions(include_header=number == 0))


def _is_ecsv(path: Path) -> bool:
    with opened(path) as file:
        return file.read(16).removeprefix(codecs.BOM_UTF8).startswith(b"# %ECSV")


def _read_ecsv(path: Path) -> Table:
    with opened(path) as file:
        return ecsv.parse(file.read().removeprefix(codecs.BOM_UTF8), path)


def _head(path: Path) -> _Head:
    with opened(path) as file:
        line = file.readline()
        while line and (line.startswith((b"#", codecs.BOM_UTF8 + b"#")) or not line.strip()):
            line = file.readline()
        start = file.tell()
    line = line.removeprefix(codecs.BOM_UTF8)
    if b"\0" in line:
        raise ValueError("it holds binary data")
    header = pcsv.read_csv(pa.BufferReader(line.rstrip(b"\r\n") + b"\n"))
    names = [name.strip() for name in header.column_names]
    distinct(names, path)
    separator = next((s for s in ";\t| " if len(names) == 1 and s in names[0]), None)
    if separator is not None:
        raise MauryError(
            f"{path}: its header {names[0][:60]!r} holds no comma: separate the columns by commas, "
            f"not by {separator!r}"
        )
    return _Head(names, start)


def _blocks(path: Path, head: _Head) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time."""
    with opened(path) as file:
        file.seek(head.start)
        rest = b""
        while block := file.read(_BLOCK):
            if b"\0" in block:
                raise ValueError("it holds binary data")
            end = block.rfind(b"\n") + 1
            if end == 0:
                rest += block
                continue
            yield rest + block[:end]
            rest = block[end:]
        if rest.strip():
            yield rest + b"\n"


def _tables(path: Path, head: _Head, types: pa.Schema | None) -> Iterator[pa.Table]:
    """The blocks' tables, at least one; each by its own types where none are told."""
    read = pcsv.ReadOptions(column_names=head.names, block_size=1 << 30, use_threads=False)
    convert = pcsv.ConvertOptions(column_types=types)
    count = 0
    for block in _blocks(path, head):
        if not block.strip():
            continue
        count += 1
        yield pcsv.read_csv(pa.BufferReader(block), read, convert_options=convert)
    if count == 0:
        empty = types or pa.schema([(name, pa.null()) for name in head.names])
        yield empty.empty_table()


def _types(path: Path, head: _Head) -> tuple[pa.Schema, int]:
    """One type for each column that holds all of its cells, and the number of rows."""
    kinds: dict[str, pa.DataType] = dict.fromkeys(head.names, pa.null())
    long: set[str] = set()
    rows = 0
    for table in _tables(path, head, None):
        rows += len(table)
        for field in table.schema:
            if pa.types.is_binary(field.type):
                # What Arrow makes of bytes that are no UTF-8, and no format can take from us.
                raise ValueError(f"column {field.name!r} is in another encoding")
            kinds[field.name] = _common(kinds[field.name], field.type)
            if _reaches(table[field.name], _EXACT):
                long.add(field.name)
    # One number that is no 64-bit integer must not round the identifiers beside it.
    candidates = [name for name in long if kinds[name] == pa.float64()]
    kinds |= dict.fromkeys(_with_long_integers(path, head, candidates), pa.string())
    return pa.schema(kinds.items()), rows


def _reaches(column: pa.ChunkedArray, bound: int) -> bool:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return False
    ends = pc.min_max(column).as_py().values()
    return any(end is not None and abs(end) >= bound for end in ends)


def _with_long_integers(path: Path, head: _Head, names: list[str]) -> set[str]:
    """Those of the columns in which an integer has more digits than floating point holds."""
    if not names:
        return set()
    texts = pa.schema([(name, pa.string()) for name in head.names])
    return {
        name
        for table in _tables(path, head, texts)
        for name in names
        if pc.any(pc.match_substring_regex(table[name], _LONG_INTEGER)).as_py()
    }


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    numbers = {pa.int64(), pa.float64()}
    return pa.float64() if {one, other} <= numbers else pa.string()


def _storable(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            raise MauryError(
                f"column {field.name!r} holds arrays, which CSV cannot: write FITS or Parquet"
            )
        if pa.types.is_floating(field.type):
            column = table.column(index)
            empty = pc.if_else(pc.is_nan(column), pa.scalar(None, field.type), column)
            table = table.set_column(index, field.name, empty)
    return table
