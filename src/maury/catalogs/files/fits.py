"""FITS: the first table of a file."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.table import Column, MaskedColumn, Table

from maury.catalogs.arrow import as_text
from maury.catalogs.files.contents import Contents, opened, whole
from maury.catalogs.layout import Layout
from maury.catalogs.names import distinct
from maury.errors import MauryError

__all__ = ["EXPECTED", "open_contents", "read", "write"]

EXPECTED = "a FITS file with a table"

_BLOCK = 2880
"""Headers and data are filled up to a multiple of so many bytes (FITS standard 4.0, 3.1)."""

_CHUNK = 1 << 20
"""Bytes read at once."""

_TableHDU: TypeAlias = fits.BinTableHDU | fits.TableHDU


def read(path: Path) -> Table:
    """The whole table; units, descriptions (TCOMM) and UCDs (TUCD) are kept."""
    with fits.open(path, memmap=False) as file:
        hdu = _first_table(file, path)
        _check(path, hdu)
        return _as_table(hdu)


def open_contents(path: Path) -> Contents:
    """Rows as they stand in the file; with cells of varying length all is loaded at once."""
    with fits.open(path, memmap=True) as file:
        hdu = _first_table(file, path)
        _check(path, hdu)
        header, kind, start = hdu.header.copy(), type(hdu), hdu.fileinfo()["datLoc"]
    width, rows = header["NAXIS1"], header["NAXIS2"]
    if header["PCOUNT"] > 0:
        return whole(read(path))

    def pieces(size: int, skip: int) -> Iterator[Table]:
        with opened(path) as file:
            file.seek(start + skip * width)
            for first in range(skip, max(rows, skip + 1), size):
                count = max(0, min(size, rows - first))
                data = file.read(count * width)
                if len(data) < count * width:
                    raise ValueError(f"it breaks off in row {first + len(data) // width + 1:,}")
                header["NAXIS2"] = count
                yield _as_table(kind.fromstring(header.tostring().encode("ascii") + _filled(data)))

    return Contents(rows, pieces)


def write(parts: Iterable[pa.Table], path: Path, layout: Layout) -> None:
    """Join parts; text is UTF-8, as this module and TOPCAT read it.

    Raises
    ------
    MauryError
        If a column holds lists.
    """
    head: fits.Header | None = None
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        for part in parts:
            hdu = _as_hdu(layout.table(part))
            header = hdu.header.copy()
            header["NAXIS2"] = layout.rows
            if head is None:
                head = header
                file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
                file.write(header.tostring().encode("ascii"))
            elif header.tostring() != head.tostring():
                raise ValueError("its parts differ in the form of their columns")
            file.write(_data(hdu))
        if head is not None:
            file.write(b"\0" * (-layout.rows * head["NAXIS1"] % _BLOCK))


def _first_table(file: fits.HDUList, path: Path) -> _TableHDU:
    for hdu in file:
        if isinstance(hdu, _TableHDU):
            distinct(hdu.columns.names, path)
            return hdu
    raise MauryError(f"{path}: this FITS file holds no table, only images")


def _check(path: Path, hdu: _TableHDU) -> None:
    """Refuse a table whose size or checksum is not what its header says.

    The standard has the last block of rows filled up with zeros, in text with blanks, and another
    HDU behind it, or nothing: anything else are rows that a damaged header leaves out.
    """
    header, place = hdu.header, hdu.fileinfo()
    size = header["NAXIS1"] * header["NAXIS2"] + header["PCOUNT"]
    if isinstance(hdu, fits.BinTableHDU) and hdu.columns.dtype.itemsize != header["NAXIS1"]:
        raise ValueError(f"its columns do not fill rows of {header['NAXIS1']} bytes")
    if header["NAXIS2"] < 0:
        raise ValueError(f"it has {header['NAXIS2']} rows")
    with opened(path) as file:
        file.seek(place["hdrLoc"])
        length = place["datLoc"] - place["hdrLoc"] + size
        if "CHECKSUM" in header and _ones_complement(file, length + -size % _BLOCK) != 0xFFFFFFFF:
            raise ValueError("wrong CHECKSUM, it is damaged")
        file.seek(place["datLoc"] + size)
        fill, behind = file.read(-size % _BLOCK), file.read(8)
        if fill.strip(b"\0 ") or (behind.strip(b"\0 ") and behind != b"XTENSION"):
            raise ValueError(f"more follows after the {header['NAXIS2']:,} rows of its header")
        if path.suffix.lower() == ".gz":
            while file.read(_CHUNK):  # gzip's own checksum is at the end
                pass


def _ones_complement(file: IO[bytes], length: int) -> int:
    """Sum of so many bytes as 32-bit numbers (FITS standard 4.0, appendix J)."""
    total = 0
    while length > 0 and (data := file.read(min(length, _CHUNK))):
        length -= len(data)
        total += int(np.frombuffer(data + bytes(-len(data) % 4), ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _filled(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _BLOCK)


def _as_table(hdu: _TableHDU) -> Table:
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


def _as_hdu(table: Table) -> fits.BinTableHDU:
    columns = table.columns.values()
    bare = Table()
    for column in columns:
        plain = as_text(column) if column.dtype.kind == "O" else column
        plain = _utf8(plain) if plain.dtype.kind == "U" else plain.copy()
        plain.unit, plain.description, plain.meta = None, None, {}
        bare[column.name] = plain
    hdu = fits.table_to_hdu(bare, character_as_bytes=True)
    for number, column in enumerate(columns, start=1):
        if column.unit:
            # Written by hand: astropy drops units such as dex that FITS does not list.
            hdu.header[f"TUNIT{number}"] = _ascii(column.unit)
        if column.description:
            hdu.header[f"TCOMM{number}"] = _ascii(column.description)
        if column.meta.get("ucd"):
            hdu.header[f"TUCD{number}"] = _ascii(column.meta["ucd"])
    for key, value in table.meta.items():
        hdu.header.add_comment(_ascii(f"{key}: {value}"))
    return hdu


def _data(hdu: fits.BinTableHDU) -> bytes:
    """The rows as they stand in a file."""
    document = io.BytesIO()
    hdu.writeto(document)
    size = hdu.header["NAXIS1"] * hdu.header["NAXIS2"]
    start = len(fits.PrimaryHDU().header.tostring()) + len(hdu.header.tostring())
    return document.getvalue()[start : start + size]


def _utf8(column: Column) -> Column:
    """Bytes, at least as wide as the text: that width is the same in all parts of a file."""
    encoded = np.char.encode(np.ma.getdata(column).astype(np.str_), "utf-8")
    width = max(1, encoded.dtype.itemsize, column.dtype.itemsize // 4)
    encoded = encoded.astype(f"S{width}")
    mask = np.ma.getmaskarray(column)
    return MaskedColumn(encoded, mask=mask) if mask.any() else Column(encoded)


def _ascii(text: object) -> str:
    """For FITS headers, which allow printable ASCII and nothing else."""
    return " ".join(str(text).encode("ascii", "replace").decode().split())
