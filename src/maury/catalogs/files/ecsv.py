"""ECSV: text with a header that tells types, units and descriptions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from astropy.table import Table

from maury.catalogs.files.contents import Contents, whole
from maury.catalogs.layout import Layout
from maury.catalogs.names import distinct

__all__ = ["EXPECTED", "open_contents", "parse", "read", "write"]

EXPECTED = "an ECSV table"


def read(path: Path) -> Table:
    """The whole table."""
    return parse(path.read_bytes(), path)


def parse(raw: bytes, path: Path) -> Table:
    """The table of a text; ``path`` is for errors."""
    delimiter = " "
    for line in io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"):
        if line.startswith("# delimiter: "):
            delimiter = line.removeprefix("# delimiter: ").strip().strip("'\"")
        if not line.startswith("#"):
            # Looked at here because astropy would quietly rename the second of two namesakes.
            distinct(next(csv.reader([line], delimiter=delimiter or " ")), path)
            break
    return Table.read(io.BytesIO(raw), format="ascii.ecsv")


def open_contents(path: Path) -> Contents:
    """All at once: astropy reads this format only whole."""
    return whole(read(path))


def write(parts: Iterable[pa.Table], path: Path, layout: Layout) -> None:
    """Join parts: the head of the first, then all rows."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, part in enumerate(parts):
            lines = io.StringIO()
            layout.table(part).write(lines, format="ascii.ecsv")
            text = lines.getvalue()
            file.write(text if number == 0 else _without_head(text))


def _without_head(text: str) -> str:
    """Drop the comments and the line of names."""
    start = 0
    while text.startswith("#", start):
        start = text.index("\n", start) + 1
    return text[text.index("\n", start) + 1 :]
