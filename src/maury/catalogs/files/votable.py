"""VOTable: the first table of a file, as text (TABLEDATA) or binary.

A VOTable of text is read in pieces: the head, some rows, and the closing tags are a small VOTable.
"""

from __future__ import annotations

import gzip
import io
import re
import warnings
import xml.parsers.expat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
from astropy.io.votable import from_table
from astropy.io.votable import parse as parse_votable
from astropy.io.votable.tree import Info
from astropy.table import Table

from maury.catalogs.arrow import as_text
from maury.catalogs.files.contents import Contents, opened, whole
from maury.catalogs.layout import Layout
from maury.catalogs.names import distinct

__all__ = ["EXPECTED", "open_contents", "read", "write"]

EXPECTED = "a VOTable"

_BLOCK = 1 << 20
"""Bytes read at once."""

_LONGEST_HEAD = 1 << 24
"""A file that has no rows of text within so many bytes is loaded whole."""

_ROWS_BEGIN = re.compile(rb"<(?:[\w.-]+:)?TABLEDATA\s*>")
_ROWS_END = re.compile(rb"</(?:[\w.-]+:)?TABLEDATA\s*>")
_ROW_END = re.compile(rb"</(?:[\w.-]+:)?TR\s*>")
_ROW_COUNT = re.compile(rb"""(<(?:[\w.-]+:)?TABLE\b[^>]*?)\snrows\s*=\s*["']\d*["']""")


def read(path: Path) -> Table:
    """The whole table; descriptions lose their line breaks."""
    return _parsed(path, path)


def open_contents(path: Path) -> Contents:
    """Rows of text; binary data are loaded whole."""
    with opened(path) as file:
        head = _head(file)
    if head is None:
        return whole(read(path))

    def pieces(size: int, skip: int) -> Iterator[Table]:
        # What the file says of its number of rows does not hold for the pieces.
        start, end = _ROW_COUNT.sub(rb"\1", head), _closing(head)
        count = 0
        with opened(path) as file:
            file.seek(len(head))
            for rows in _rows(file, size, skip):
                count += 1
                yield _parsed(io.BytesIO(start + rows + end), path)
        if count == 0:
            yield _parsed(io.BytesIO(start + end), path)

    return Contents(None, pieces)


def write(parts: Iterable[pa.Table], path: Path, layout: Layout) -> None:
    """Join parts: the head of the first, all rows, the tail."""
    begun, tail = False, b""
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        for part in parts:
            document = _document(layout.table(part))
            begin, end = _ROWS_BEGIN.search(document), _ROWS_END.search(document)
            if begin is None or end is None:  # astropy leaves out the data of an empty table
                tail = tail or document
                continue
            stop = len(document[: end.start()].rstrip())
            file.write(document[begin.end() if begun else 0 : stop])
            begun, tail = True, document[stop:]
        file.write(tail)


def _parsed(source: Path | io.BytesIO, path: Path) -> Table:
    with warnings.catch_warnings():
        # Archives' files break the standard in harmless ways, and astropy tells of each.
        warnings.simplefilter("ignore")
        found = parse_votable(source, verify="ignore").get_first_table()
        distinct([field.name for field in found.fields], path)
        table = found.to_table(use_names_over_ids=True)
    for name in table.colnames:
        if table[name].description:
            table[name].description = " ".join(table[name].description.split())
    return table


def _head(file: IO[bytes]) -> bytes | None:
    """All before the first row; None where no row of text is found."""
    text = b""
    while block := file.read(_BLOCK):
        text += block
        begin = _ROWS_BEGIN.search(text)
        if begin is not None:
            return text[: begin.end()]
        if len(text) > _LONGEST_HEAD:
            break
    return None


def _closing(head: bytes) -> bytes:
    """Tags that close what the head leaves open."""
    stack: list[str] = []
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: stack.append(name)
    parser.EndElementHandler = lambda _: stack.pop()
    parser.Parse(head, False)
    return "".join(f"</{name}>" for name in reversed(stack)).encode()


def _rows(file: IO[bytes], size: int, skip: int) -> Iterator[bytes]:
    """Texts of ``size`` rows each, without the first ``skip``, up to the end of the table."""
    text, complete = b"", False
    while not complete:
        block = file.read(_BLOCK)
        if not block:
            raise ValueError("it breaks off within its rows")
        text += block
        last = _ROWS_END.search(text)
        if last is not None:
            text, complete = text[: last.start()], True
        ends = [found.end() for found in _ROW_END.finditer(text)]
        done = 0
        if skip:
            passed = min(skip, len(ends))
            skip -= passed
            done = ends[passed - 1] if passed else 0
            ends = ends[passed:]
        while len(ends) >= size or (complete and ends):
            stop = ends[min(size, len(ends)) - 1]
            yield text[done:stop]
            done, ends = stop, ends[size:]
        text = text[done:]


def _document(plain: Table) -> bytes:
    for name in plain.colnames:
        if plain[name].dtype.kind == "O":
            plain[name] = as_text(plain[name])
    document = io.BytesIO()
    with warnings.catch_warnings():
        # VOTable 1.4 knows no dex: astropy writes the unit as text and complains of it.
        warnings.simplefilter("ignore")
        file = from_table(plain)
        element = file.get_first_table()
        for key, value in plain.meta.items():
            element.infos.append(Info(name=key, value=value))
        file.to_xml(document)
    return document.getvalue()
