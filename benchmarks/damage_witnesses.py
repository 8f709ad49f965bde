"""What a catalogue's bytes say, read strictly and without maury or the libraries that it reads by.

Cells are the bytes or texts of the file. Parquet has no second reader: its cells are Arrow's.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["WITNESSES", "Content", "NotThisFormat"]

BLOCK, CARD = 2880, 80
WIDTHS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8}


class NotThisFormat(Exception):
    """The bytes break the format's rules."""


@dataclass(frozen=True)
class Content:
    """A catalogue.

    Parameters
    ----------
    head : object
        Names of columns, and whatever else the file says of them.
    rows : list of tuple
    """

    head: object
    rows: list[tuple[object, ...]]


def of_csv(raw: bytes) -> Content:
    """Text in UTF-8, as many cells in each line as names in the first, none of several lines."""
    return _of_text(raw, ",", head="")


def of_csv_gz(raw: bytes) -> Content:
    """The same, compressed."""
    try:
        return of_csv(gzip.decompress(raw))
    except (OSError, EOFError, zlib.error) as problem:
        raise NotThisFormat(f"gzip: {problem}") from None


def of_ecsv(raw: bytes) -> Content:
    """Lines that begin with # are the head."""
    lines = raw.split(b"\n")
    head = [line for line in lines if line.startswith(b"#")]
    rest = [line for line in lines if not line.startswith(b"#")]
    return _of_text(b"\n".join(rest), " ", head=b"\n".join(head).decode("latin-1"))


def _of_text(raw: bytes, delimiter: str, *, head: str) -> Content:
    try:
        text = raw.decode("utf-8")
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        names, *rows = (tuple(line) for line in lines if line)
    except (ValueError, csv.Error) as problem:
        raise NotThisFormat(str(problem)) from None
    for row in rows:
        if len(row) != len(names):
            raise NotThisFormat(f"a line of {len(row)} cells, not {len(names)}")
        if any("\n" in cell or "\r" in cell for cell in row):
            raise NotThisFormat("a quotation that does not end in its line")
    return Content((names, head), rows)


def of_votable(raw: bytes) -> Content:
    """XML whose first TABLE has nothing but rows of as many cells as there are fields."""
    try:
        root = ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError) as problem:
        raise NotThisFormat(f"XML: {problem}") from None
    table = next((e for e in root.iter() if _tag(e) == "TABLE"), None)
    data = next((e for e in root.iter() if _tag(e) == "TABLEDATA"), None)
    if table is None or data is None or _tag(root) != "VOTABLE":
        raise NotThisFormat("no table")
    head = [
        (_tag(e), tuple(sorted(e.attrib.items())), (e.text or "").strip())
        for e in table.iter()
        if _tag(e) not in ("TR", "TD")
    ]
    fields = [e for e in table if _tag(e) == "FIELD"]
    rows = []
    for row in data:
        if _tag(row) != "TR" or any(_tag(cell) != "TD" for cell in row):
            raise NotThisFormat("TABLEDATA holds more than rows, or rows more than cells")
        if len(row) != len(fields):
            raise NotThisFormat(f"a row of {len(row)} cells, not {len(fields)}")
        rows.append(tuple((cell.text or "").strip() for cell in row))
    return Content(tuple(head), rows)


def _tag(element: ElementTree.Element) -> str:
    return re.sub(r"^{.*}", "", element.tag)


def of_fits(raw: bytes) -> Content:
    """An empty primary HDU and a binary table, filled up with zeros, and nothing behind.

    Only fields of fixed width are known. Checksums are held to where they stand.
    """
    if len(raw) % BLOCK:
        raise NotThisFormat(f"{len(raw)} bytes are no whole blocks")
    primary, start = _header(raw, 0)
    if primary.get("SIMPLE") != "T" or primary.get("NAXIS") != "0":
        raise NotThisFormat("no empty primary HDU")
    header, data = _header(raw, start)
    wanted = {"XTENSION": "'BINTABLE'", "BITPIX": "8", "NAXIS": "2", "PCOUNT": "0", "GCOUNT": "1"}
    for key, value in wanted.items():
        if header.get(key) != value:
            raise NotThisFormat(f"{key} is {header.get(key)}")
    try:
        width, count, fields = (int(header[key]) for key in ("NAXIS1", "NAXIS2", "TFIELDS"))
        forms = [header[f"TFORM{n}"].strip("' ") for n in range(1, fields + 1)]
        names = [header[f"TTYPE{n}"] for n in range(1, fields + 1)]
        widths = [int(form[:-1] or 1) * WIDTHS[form[-1]] for form in forms]
    except (KeyError, ValueError, IndexError) as problem:
        raise NotThisFormat(f"header: {problem!r}") from None
    if f"TFORM{fields + 1}" in header or f"TTYPE{fields + 1}" in header:
        raise NotThisFormat("more fields than TFIELDS")
    end = data + width * count
    if sum(widths) != width or min(width, count) < 0 or len(raw) != end + -end % BLOCK:
        raise NotThisFormat("sizes disagree")
    if any(raw[end:]):
        raise NotThisFormat("something stands behind the rows")
    if ("DATASUM" in header and int(header["DATASUM"].strip("' ")) != _sum(raw[data:])) or (
        "CHECKSUM" in header and _sum(raw[start:]) != 0xFFFFFFFF
    ):
        raise NotThisFormat("checksum")
    described = {k: v for k, v in header.items() if re.fullmatch(r"[A-Z]+\d+", k)}
    rows = []
    for number in range(count):
        row, cells = raw[data + number * width :][:width], []
        for size in widths:
            cells.append(row[:size])
            row = row[size:]
        rows.append(tuple(cells))
    return Content((tuple(names), tuple(sorted(described.items()))), rows)


def _header(raw: bytes, start: int) -> tuple[dict[str, str], int]:
    """Cards of an HDU, the first of each keyword, and where its data begin."""
    cards: dict[str, str] = {}
    for place in range(start, len(raw), CARD):
        card = raw[place : place + CARD]
        if any(not 32 <= byte < 127 for byte in card):
            raise NotThisFormat("a header that is not printable ASCII")
        text = card.decode("ascii")
        key = text[:8].rstrip()
        if key == "END":
            if text.strip() != "END" or raw[place + CARD :][: -(place + CARD) % BLOCK].strip(b" "):
                raise NotThisFormat("something stands behind END")
            return cards, place + CARD + -(place + CARD) % BLOCK
        if text[8:10] == "= ":
            value = re.match(r" *('(?:[^']|'')*'|[^/]*)", text[10:])
            found = value[1].strip() if value else ""
            if found.startswith("'") and found.endswith("'"):
                found = f"'{found[1:-1].rstrip()}'"
            cards.setdefault(key, found)
    raise NotThisFormat("a header without END")


def _sum(data: bytes) -> int:
    """Sum of 32-bit words in ones' complement (FITS standard 4.0, appendix J)."""
    total = sum(int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def of_parquet(raw: bytes) -> Content:
    """As Arrow reads it, checksums of pages included where they stand."""
    try:
        table = pq.read_table(io.BytesIO(raw), page_checksum_verification=True)
        schema = [(f.name, str(f.type), str(f.metadata)) for f in table.schema]
        rows = list(zip(*(map(str, column.to_pylist()) for column in table.columns), strict=True))
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise NotThisFormat(str(problem)) from None
    return Content(tuple(schema), rows)


WITNESSES: dict[str, Callable[[bytes], Content]] = {
    "fits": of_fits,
    "vot": of_votable,
    "ecsv": of_ecsv,
    "csv": of_csv,
    "csv.gz": of_csv_gz,
    "parquet": of_parquet,
}
