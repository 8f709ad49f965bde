"""A file that can be read piece by piece, more than once."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from astropy.table import Table

__all__ = ["Contents", "opened", "whole"]


@dataclass(frozen=True)
class Contents:
    """What a look at a file's head tells.

    Parameters
    ----------
    rows : int or None
        How many there are; None where only reading all of them would tell.
    pieces : callable
        ``pieces(size, skip)`` yields tables of about ``size`` rows, in order, without the first
        ``skip`` rows; at least one table, which may be empty.
    """

    rows: int | None
    pieces: Callable[[int, int], Iterator[Table]]


def whole(table: Table) -> Contents:
    """Of a file that had to be loaded in one piece."""

    def pieces(size: int, skip: int) -> Iterator[Table]:
        for start in range(skip, max(len(table), skip + 1), size):
            yield table[start : start + size]

    return Contents(len(table), pieces)


def opened(path: Path) -> IO[bytes]:
    """A file for reading, unpacked if its name says that it is packed."""
    return cast(IO[bytes], gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")
