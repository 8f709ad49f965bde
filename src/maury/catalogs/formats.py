"""The file formats of catalogues, told by the suffix."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from maury.errors import MauryError

__all__ = ["SUFFIXES", "Format", "format_of"]

Format = Literal["fits", "votable", "ecsv", "csv", "parquet"]

SUFFIXES: dict[str, Format] = {
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


def format_of(path: str | Path) -> Format:
    """The format that a file's name promises.

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
