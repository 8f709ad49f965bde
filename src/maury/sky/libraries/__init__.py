"""Spectral libraries behind one small interface, a file per library."""

from functools import cache

from maury.errors import MauryError
from maury.sky.libraries.base import SpectralLibrary
from maury.sky.libraries.phoenix_kurucz import load_phoenix_kurucz

__all__ = ["SpectralLibrary", "library_names", "load_library"]

_LOADERS = {"phoenix-kurucz": load_phoenix_kurucz}


def library_names() -> tuple[str, ...]:
    """Names that `load_library` knows."""
    return tuple(_LOADERS)


def load_library(name: str = "phoenix-kurucz") -> SpectralLibrary:
    """Load a spectral library by name; a second call returns the same object.

    Raises
    ------
    MauryError
        If there is no library of this name.
    """
    if name not in _LOADERS:
        raise MauryError(f"no spectral library {name!r}: there are {', '.join(_LOADERS)}")
    return _load(name)


@cache
def _load(name: str) -> SpectralLibrary:
    return _LOADERS[name]()
