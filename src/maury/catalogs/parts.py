"""A long job's finished parts, which survive whatever kills it.

They lie in a folder beside the output, each written whole or not at all, with a manifest of what
the job is. The same job takes up there; when all parts are there they are joined, and the folder
goes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from maury.catalogs.writers import atomic
from maury.errors import MauryError

__all__ = ["Parts"]

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Parts:
    """The parts of one job, each of one or more tables.

    Parameters
    ----------
    folder : Path
    names : tuple of str
        Of the tables.
    """

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def open(
        cls, out: Path, names: tuple[str, ...], manifest: Mapping[str, object], *, resume: bool
    ) -> Parts:
        """Begin a job, or take up one that was interrupted.

        Parameters
        ----------
        out : Path
            The output, beside which the folder is.
        names : tuple of str
        manifest : mapping
            All that the parts depend on.
        resume : bool
            Where there is nothing to take up, the job begins with the first row.

        Raises
        ------
        MauryError
            If there are parts and ``resume`` is not set, or they are another job's.
        """
        parts = cls(out.with_name(f"{out.name}.parts"), names)
        noted = json.dumps(manifest, indent=1, sort_keys=True)
        path = parts.folder / _MANIFEST
        if not path.exists():
            # Without a manifest there is nothing yet; a folder of that name is no job's.
            _make(parts.folder)
            with atomic(path) as partial:
                partial.write_text(noted, encoding="utf-8")
        elif not resume:
            raise MauryError(
                f"{parts.folder}: holds an unfinished run; go on with --resume, or delete that "
                "folder to begin anew"
            )
        else:
            _refuse_another(path, json.loads(noted))
        return parts

    def rows(self) -> list[int]:
        """The number of rows of each finished part, up to the first that is not there."""
        lengths: list[int] = []
        while (length := self._length(len(lengths))) is not None:
            lengths.append(length)
        return lengths

    def write(self, number: int, tables: Mapping[str, pa.Table]) -> None:
        """Write a part, its tables in the order of the names."""
        for name in self.names:
            with atomic(self._path(name, number)) as partial:
                pq.write_table(tables[name], partial, write_page_checksum=True)

    def tables(self, name: str) -> Iterator[pa.Table]:
        """One table of each part.

        Raises
        ------
        MauryError
            If a part was damaged since it was written.
        """
        for number in range(len(self.rows())):
            path = self._path(name, number)
            try:
                yield pq.read_table(path, page_checksum_verification=True)
            except (pa.ArrowException, OSError) as problem:
                raise MauryError(
                    f"{path}: damaged ({problem}); delete this file and go on with --resume"
                ) from None

    def remove(self) -> None:
        """Delete the folder; the manifest last, so that no half of it looks like a job."""
        for path in self.folder.glob("*.parquet"):
            path.unlink()
        shutil.rmtree(self.folder)

    def _path(self, name: str, number: int) -> Path:
        return self.folder / f"{name}-{number:06d}.parquet"

    def _length(self, number: int) -> int | None:
        """Rows of a part; None where it is not, or not wholly, there."""
        lengths = set()
        for name in self.names[:1]:
            try:
                lengths.add(pq.read_metadata(self._path(name, number)).num_rows)
            except (OSError, pa.ArrowException):
                return None
        present = all(self._path(name, number).exists() for name in self.names)
        return lengths.pop() if present else None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
        if any(folder.iterdir()):
            raise MauryError(f"{folder}: is in the way; rename or delete it")
        os.fsync(os.open(folder.parent, os.O_RDONLY))
    except NotADirectoryError:
        raise MauryError(f"{folder}: is in the way; rename or delete it") from None


def _refuse_another(path: Path, wanted: dict[str, object]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise MauryError(f"{path}: damaged; delete {path.parent} and begin anew") from None
    differ = [key for key in wanted if found.get(key) != wanted[key]]
    if differ:
        told = "; ".join(f"{key} was {found.get(key)!r}, now {wanted[key]!r}" for key in differ)
        raise MauryError(
            f"{path.parent}: belongs to another run ({told}); give that run's options, or delete "
            "the folder to begin anew"
        )
