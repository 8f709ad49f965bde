"""The file formats of catalogues, told by the suffix."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from astropy.table import Table

from maury.catalogs.files import csv, ecsv, fits, parquet, votable
from maury.catalogs.files.contents import Contents
from maury.catalogs.layout import Layout
from maury.errors import MauryError

__all__ = ["FORMATS", "SUFFIXES", "FileFormat", "format_of"]


class FileFormat(Protocol):
    """What a module of `maury.catalogs.files` offers."""

    @property
    def EXPECTED(self) -> str: ...
    def read(self, path: Path) -> Table: ...
    def open_contents(self, path: Path) -> Contents: ...
    def write(self, parts: Iterable[pa.Table], path: Path, layout: Layout) -> None: ...


FORMATS: dict[str, FileFormat] = {
    "fits": fits,
    "votable": votable,
    "ecsv": ecsv,
    "csv": csv,
    "parquet": parquet,
}

SUFFIXES = {
    ".fits": "fits",
    ".fit": "fits",
    ".fits.gz": "fits",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
    ".vot.gz": "votable",
    ".ecsv": "ecsv",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def format_of(path: str | Path) -> str:
    """The format (a key of `FORMATS`) that a file's name promises.

    Raises
    ------
    MauryError
        If the suffix is none of `SUFFIXES`.
    """
    name = Path(path).name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return SUFFIXES[suffix]
    raise MauryError(f"{path}: unknown kind of file; its name should end in {', '.join(SUFFIXES)}")
