"""Spectral libraries behind one small interface, a file per library."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from maury.errors import MauryError
from maury.sky.libraries.base import SpectralLibrary
from maury.sky.libraries.ck04 import read_ck04
from maury.sky.libraries.fetch import fetch_library, how_to_get, packed_path
from maury.sky.libraries.packed import read_packed
from maury.sky.libraries.phoenix_kurucz import load_phoenix_kurucz
from maury.sky.libraries.sources import SOURCES

__all__ = [
    "SpectralLibrary",
    "fetch_library",
    "library_names",
    "library_path",
    "load_library",
]

_PACKAGED: dict[str, Callable[[], SpectralLibrary]] = {"phoenix-kurucz": load_phoenix_kurucz}
_FILES: dict[str, Callable[[Path], SpectralLibrary]] = {
    ".safetensors": read_packed,
    ".npz": read_ck04,
}


def library_names() -> tuple[str, ...]:
    """Names that `load_library` knows; all but the packaged ones must have been fetched."""
    return (*_PACKAGED, *SOURCES)


def library_path(name: str) -> Path | None:
    """The file of a library that has been fetched; None where it has not been or is packaged."""
    path = packed_path(name)
    return path if name in SOURCES and path.is_file() else None


def load_library(name: str = "phoenix-kurucz") -> SpectralLibrary:
    """Load a spectral library; a second call returns the same object.

    Parameters
    ----------
    name
        One of `library_names`, or the path of a packed library (`.safetensors`, see
        `maury.sky.libraries.packed`) or of an `.npz` (see `maury.sky.libraries.ck04`).

    Raises
    ------
    MauryError
        If there is no library of this name, it has not been fetched, or its file is damaged.
    """
    if name in _PACKAGED:
        return _packaged(name)
    if name in SOURCES:
        path = packed_path(name)
        if not path.is_file():
            raise MauryError(f"library {name} is not on disk ({path}): run {how_to_get(name)}")
        return _read(path, path.stat().st_mtime_ns)
    path = Path(name)
    if path.suffix not in _FILES:
        raise MauryError(
            f"no spectral library {name!r}: there are {', '.join(library_names())}, and files "
            f"ending in {' or '.join(_FILES)}"
        )
    if not path.is_file():
        raise MauryError(f"{path}: there is no such library file")
    return _read(path, path.stat().st_mtime_ns)


@cache
def _packaged(name: str) -> SpectralLibrary:
    return _PACKAGED[name]()


@cache
def _read(path: Path, changed: int) -> SpectralLibrary:
    """Read a file; `changed`, its time, makes a file that was replaced be read anew."""
    return _FILES[path.suffix](path)
