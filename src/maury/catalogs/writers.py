"""Write a catalogue in any supported format, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
from astropy.table import Table

from maury.catalogs.arrow import to_arrow
from maury.catalogs.formats import FORMATS, format_of
from maury.catalogs.layout import Layout
from maury.errors import MauryError

__all__ = ["atomic", "check_destination", "check_folder", "write_parts", "write_table"]


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
    arrow = to_arrow(table)
    write_parts(lambda: iter([arrow]), path)


def write_parts(parts: Callable[[], Iterator[pa.Table]], path: str | Path) -> None:
    """Join arrow tables of the same columns into one file, which need not fit into memory.

    Parameters
    ----------
    parts : callable
        Begins anew with the first of the tables, of which there is at least one.
    path : str or Path

    Raises
    ------
    MauryError
        As `write_table`.
    """
    path = check_destination(path)
    kind = format_of(path)
    layout = Layout.of(parts())
    with atomic(path) as partial:
        try:
            FORMATS[kind].write(parts(), partial, layout)
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
