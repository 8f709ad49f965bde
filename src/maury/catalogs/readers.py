"""Read a catalogue of any supported format, whole or in pieces."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from astropy.table import Table, vstack
from astropy.units import UnitsWarning

from maury.catalogs.files import parquet
from maury.catalogs.files.contents import Contents
from maury.catalogs.formats import FORMATS, format_of
from maury.errors import MauryError

__all__ = ["Catalog", "open_catalog", "read_table"]

_HATS = ("collection.properties", "hats.properties")


def read_table(path: str | Path) -> Table:
    """Read a whole catalogue.

    Parameters
    ----------
    path : str or Path
        FITS (the first table in it), VOTable (likewise), ECSV, CSV or Parquet, by suffix; or a
        folder of Parquet files.

    Returns
    -------
    Table
        Missing cells are masked or NaN; units, descriptions and UCDs are kept where the format
        has them. An empty catalogue is an empty table.

    Raises
    ------
    MauryError
        If the file is missing, is not what its name promises, or two columns share a name.
    """
    path, kind = _checked(path)
    with _blaming(path, kind):
        return FORMATS[kind].read(path)


@dataclass(frozen=True)
class Catalog:
    """A catalogue that is read in pieces, and need not fit into memory.

    Parameters
    ----------
    path : Path
    kind : str
        Format.
    contents : Contents
    """

    path: Path
    kind: str
    contents: Contents

    @property
    def rows(self) -> int | None:
        """How many there are; None where only reading all of them would tell."""
        return self.contents.rows

    @property
    def files(self) -> list[Path]:
        """The file, or the files of the folder."""
        return parquet.files_of(self.path)

    def batches(self, size: int, *, skip: int = 0) -> Iterator[Table]:
        """Tables of ``size`` rows, the last of fewer, in order; at least one, which may be empty.

        Parameters
        ----------
        size : int
        skip : int
            Rows at the beginning that are left out.

        Raises
        ------
        MauryError
            As `read_table`, also midway through a damaged file.
        """
        waiting: list[Table] = []
        count = 0
        for piece in self._pieces(size, skip):
            waiting.append(piece)
            while sum(map(len, waiting)) >= size:
                joined = _joined(waiting)
                count += size
                yield joined[:size]
                waiting = [joined[size:]] if len(joined) > size else []
        if waiting and (count == 0 or any(map(len, waiting))):
            joined = _joined(waiting)
            count += len(joined)
            yield joined
        if self.rows is not None and count != max(self.rows - skip, 0):
            raise MauryError(
                f"{self.path}: it promises {self.rows:,} rows, but holds {skip + count:,}"
            )

    def _pieces(self, size: int, skip: int) -> Iterator[Table]:
        pieces = self.contents.pieces(size, skip)
        while True:
            with _blaming(self.path, self.kind):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece


def open_catalog(path: str | Path) -> Catalog:
    """Look at the head of a catalogue.

    Parameters
    ----------
    path : str or Path
        As for `read_table`.

    Raises
    ------
    MauryError
        As `read_table`.
    """
    path, kind = _checked(path)
    with _blaming(path, kind):
        return Catalog(path, kind, FORMATS[kind].open_contents(path))


def _joined(pieces: list[Table]) -> Table:
    return pieces[0] if len(pieces) == 1 else vstack(pieces, metadata_conflicts="silent")


def _checked(path: str | Path) -> tuple[Path, str]:
    path = Path(path)
    if path.is_dir():
        if any((path / name).exists() for name in _HATS):
            raise MauryError(f"{path}: this is a HATS catalogue; answer it with --engine dask")
        return path, "parquet"
    kind = format_of(path)
    if not path.exists():
        raise MauryError(f"{path}: no such file")
    return path, kind


@contextmanager
def _blaming(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a format's library raises on a bad file into one line about that file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnitsWarning)
            yield
    except (MauryError, MemoryError):
        raise
    except Exception as problem:
        # The libraries raise anything from OSError to IndexError on damaged files.
        reason = next(iter(str(problem).strip().splitlines()), type(problem).__name__)
        raise MauryError(
            f"{path}: cannot read this; {FORMATS[kind].EXPECTED} is expected ({reason})"
        ) from None
