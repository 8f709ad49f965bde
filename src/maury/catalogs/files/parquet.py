"""Parquet: a file, or a folder of files of the same columns, which count in the order of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

from maury.catalogs.arrow import from_arrow
from maury.catalogs.files.contents import Contents
from maury.catalogs.layout import Layout
from maury.catalogs.names import distinct
from maury.errors import MauryError

__all__ = ["EXPECTED", "files_of", "open_contents", "read", "write"]

EXPECTED = "a Parquet file"

_BUFFER = 1 << 20
"""Bytes of a column that are read at once: whole row groups may be larger than memory."""


def files_of(path: Path) -> list[Path]:
    """The file itself, or the Parquet files of a folder and the folders in it.

    Names that begin with a dot or an underscore are not data, by custom.
    """
    if path.is_file():
        return [path]
    found = sorted(path.rglob("*.parquet"))
    return [f for f in found if not any(p[0] in "._" for p in f.relative_to(path).parts)]


def read(path: Path) -> Table:
    """The whole table; nulls are masked."""
    schema = _schema(path)
    tables = []
    for file in files_of(path):
        with _opened(file) as opened:
            tables.append(opened.read().cast(schema))
    return from_arrow(pa.concat_tables(tables))


def open_contents(path: Path) -> Contents:
    """Row groups, read column by column in small buffers."""
    schema = _schema(path)
    lengths = {file: pq.read_metadata(file).num_rows for file in files_of(path)}

    def pieces(size: int, skip: int) -> Iterator[Table]:
        count = 0
        for file, length in lengths.items():
            if skip < length:
                for batch in _batches(file, size, skip):
                    count += 1
                    yield from_arrow(pa.Table.from_batches([batch]).cast(schema))
            skip = max(0, skip - length)
        if count == 0:
            yield from_arrow(schema.empty_table())

    return Contents(sum(lengths.values()), pieces)


def write(parts: Iterable[pa.Table], path: Path, layout: Layout) -> None:
    """Join parts, one row group or more for each."""
    # Page checksums: a damaged file is then refused instead of read as other numbers.
    with pq.ParquetWriter(path, layout.schema, write_page_checksum=True) as writer:
        for part in parts:
            writer.write_table(layout.arrow(part))


def _opened(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(
        path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
    )


def _batches(path: Path, size: int, skip: int) -> Iterator[pa.RecordBatch]:
    with _opened(path) as file:
        lengths = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        first = 0
        while first < len(lengths) and skip >= lengths[first]:
            skip -= lengths[first]
            first += 1
        for batch in file.iter_batches(batch_size=size, row_groups=range(first, len(lengths))):
            if skip < len(batch):
                yield batch.slice(skip)
            skip = max(0, skip - len(batch))


def _schema(path: Path) -> pa.Schema:
    """The columns, which all files of a folder must share."""
    files = files_of(path)
    if not files:
        raise MauryError(f"{path}: there is no Parquet file in this folder")
    first: pa.Schema | None = None
    for file in files:
        schema = pq.read_schema(file)
        distinct(schema.names, file)
        if first is None:
            first = schema
        elif _columns(schema) != _columns(first):
            other = sorted(set(_columns(schema)) ^ set(_columns(first)))
            told = f"; they differ in {other[0][0]}" if other else ", or in another order"
            raise MauryError(f"{file}: its columns are not those of {files[0].name}{told}")
    assert first is not None
    return first


def _columns(schema: pa.Schema) -> list[tuple[str, str]]:
    return [(field.name, str(field.type)) for field in schema]
