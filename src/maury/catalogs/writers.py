"""Write a catalogue in any supported format, whole or not at all."""

from __future__ import annotations

import gzip
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet
from astropy.io import fits
from astropy.io.votable import from_table as votable_from_table
from astropy.io.votable.tree import Info
from astropy.table import Column, MaskedColumn, Table

from maury.catalogs.arrow import plain_columns, to_arrow
from maury.catalogs.formats import Format, format_of
from maury.errors import MauryError

__all__ = ["atomic", "check_destination", "check_folder", "write_table"]


def check_destination(path: str | Path) -> Path:
    """Refuse an output that could not be written, before any work is done for it.

    Raises
    ------
    MauryError
        If the suffix is unknown, the folder is missing or not writable, or the path is a folder.
    """
    path = Path(path)
    format_of(path)
    if path.is_dir():
        raise MauryError(f"{path}: this is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise MauryError(f"{path}: there is no folder {path.parent}; create it first")
    if not os.access(path.parent, os.W_OK):
        raise MauryError(f"{path}: the folder {path.parent} cannot be written to")
    return path


def check_folder(path: str | Path) -> Path:
    """Refuse a folder that could not be made or written to, before any work is done for it.

    Raises
    ------
    MauryError
        If it, or the nearest folder above it that exists, is a file or not writable.
    """
    path = Path(path)
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise MauryError(f"{path}: {nearest} is a file; give the name of a folder")
    if not os.access(nearest, os.W_OK):
        raise MauryError(f"{path}: the folder {nearest} cannot be written to")
    return path


def write_table(table: Table, path: str | Path) -> None:
    """Write a table by the suffix of ``path``, replacing what is there.

    Units, descriptions and UCDs (``column.meta["ucd"]``) and the table's ``meta`` go along,
    except into CSV, which has no place for them.

    Raises
    ------
    MauryError
        If the destination is impossible or a column cannot be stored in that format.
    """
    path = check_destination(path)
    kind = format_of(path)
    with atomic(path) as partial:
        try:
            _WRITERS[kind](table, partial)
        except MauryError:
            raise
        except (ValueError, TypeError, AttributeError, pa.ArrowException) as problem:
            raise MauryError(f"{path}: cannot store this table as {kind}: {problem}") from None


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``; on success the file takes its place in one step."""
    # The suffix stays in front: some writers look at it.
    suffixes = "".join(path.suffixes)
    partial = path.with_name(f".{path.name.removesuffix(suffixes)}-{uuid4().hex[:8]}{suffixes}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_fits(table: Table, path: Path) -> None:
    columns = plain_columns(table)
    bare = Table()
    for name, column in columns.items():
        if column.dtype.kind == "O":
            column = _text_of(column, name)
        if column.dtype.kind == "U":
            column = _utf8(column)
        bare[name] = column.copy()
        bare[name].unit, bare[name].description, bare[name].meta = None, None, {}
    hdu = fits.table_to_hdu(bare, character_as_bytes=True)
    for number, column in enumerate(columns.values(), start=1):
        if column.unit:
            # Written by hand: astropy drops units such as dex that FITS does not list.
            hdu.header[f"TUNIT{number}"] = _ascii(column.unit)
        if column.description:
            hdu.header[f"TCOMM{number}"] = _ascii(column.description)
        if column.meta.get("ucd"):
            hdu.header[f"TUCD{number}"] = _ascii(column.meta["ucd"])
    for key, value in table.meta.items():
        hdu.header.add_comment(_ascii(f"{key}: {value}"))
    hdu.writeto(path)


def _utf8(column: Column) -> Column:
    """FITS knows bytes only: `maury.catalogs.readers` and TOPCAT take them as UTF-8."""
    encoded = np.char.encode(np.ma.getdata(column).astype(np.str_), "utf-8")
    mask = np.ma.getmaskarray(column)
    return MaskedColumn(encoded, mask=mask) if mask.any() else Column(encoded)


def _ascii(text: object) -> str:
    """For FITS headers, which allow printable ASCII and nothing else."""
    return " ".join(str(text).encode("ascii", "replace").decode().split())


def _text_of(column: Column, name: str) -> Column:
    """Mixed cells as text; None becomes empty."""
    if any(isinstance(cell, list | dict | np.ndarray) for cell in column):
        raise MauryError(
            f"column {name!r} holds lists, which FITS tables cannot: write ECSV or Parquet"
        )
    text = np.array(["" if cell is None else str(cell) for cell in column], dtype=np.str_)
    return Column(text)


def _write_votable(table: Table, path: Path) -> None:
    plain = Table(plain_columns(table), copy=False)
    for name in plain.colnames:
        if plain[name].dtype.kind == "O":
            plain[name] = _text_of(plain[name], name)
    with warnings.catch_warnings():
        # VOTable 1.4 knows no dex: astropy writes the unit as text and complains of it.
        warnings.simplefilter("ignore")
        file = votable_from_table(plain)
        element = file.get_first_table()
        for key, value in table.meta.items():
            element.infos.append(Info(name=str(key), value=str(value)))
        file.to_xml(str(path), compressed=path.suffix == ".gz")


def _write_ecsv(table: Table, path: Path) -> None:
    table.write(path, format="ascii.ecsv")


def _write_csv(table: Table, path: Path) -> None:
    arrow = to_arrow(table)
    for index, field in enumerate(arrow.schema):
        if pa.types.is_nested(field.type):
            raise MauryError(
                f"column {field.name!r} holds arrays, which CSV cannot: write FITS or Parquet"
            )
        if pa.types.is_floating(field.type):
            column = arrow.column(index)
            empty = pa.compute.if_else(
                pa.compute.is_nan(column), pa.scalar(None, field.type), column
            )
            arrow = arrow.set_column(index, field.name, empty)
    if path.suffix == ".gz":
        with gzip.open(path, "wb") as file:
            pa.csv.write_csv(arrow, file)
    else:
        pa.csv.write_csv(arrow, path)


def _write_parquet(table: Table, path: Path) -> None:
    pa.parquet.write_table(to_arrow(table), path)


_WRITERS: dict[Format, Callable[[Table, Path], None]] = {
    "fits": _write_fits,
    "votable": _write_votable,
    "ecsv": _write_ecsv,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
