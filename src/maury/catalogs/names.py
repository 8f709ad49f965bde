"""Names of a catalogue's columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maury.errors import MauryError

__all__ = ["distinct"]


def distinct(names: Sequence[str], path: Path) -> None:
    """Refuse a file of which two columns share a name.

    Raises
    ------
    MauryError
        That names them.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise MauryError(f"{path}: two columns are called {name!r}; names must be distinct")
        seen.add(name)
