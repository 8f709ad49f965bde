"""Isochrones: from a star's initial mass, age and metallicity to its temperature and light."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from maury.errors import MauryError
from maury.sky.isochrones.grid import Isochrones, IsochroneStars
from maury.sky.isochrones.metallicity import overall_metallicity
from maury.sky.isochrones.observed import FITTED_TO_RED_DWARFS, SUN_AT_BIRTH, as_observed
from maury.sky.isochrones.phases import Phase
from maury.sky.isochrones.storage import read_isochrones
from maury.sky.photometry import cache_folder

__all__ = [
    "IsochroneStars",
    "Isochrones",
    "Phase",
    "as_observed",
    "built_folder",
    "isochrone_names",
    "load_isochrones",
    "overall_metallicity",
]

_PACKAGED = ("mist",)
_BUILT = ("parsec", "bhac15")


def isochrone_names() -> tuple[str, ...]:
    """Names that `load_isochrones` knows; all but 'mist' must be built first."""
    return (*_PACKAGED, *_BUILT)


def built_folder() -> Path:
    """Where ``scripts/build_isochrones.py`` puts sets that may not be packaged."""
    return cache_folder() / "isochrones"


def load_isochrones(name: str = "mist") -> Isochrones:
    """Load a set of isochrones by name; a second call returns the same object.

    'mist' comes with the package. 'parsec' and 'bhac15' may not be passed on with it: they are
    read from ``isochrones`` in the cache folder, where ``scripts/build_isochrones.py`` puts them.
    All are as observed (see `maury.sky.isochrones.observed`): [M/H] is relative to today's Sun, and
    red dwarfs are cooler and larger than the models', PARSEC's apart, which are so already.

    Raises
    ------
    MauryError
        If there is no set of this name, or it has not been built yet.
    """
    if name not in isochrone_names():
        raise MauryError(f"no isochrones {name!r}: there are {', '.join(isochrone_names())}")
    return _load(name)


@cache
def _load(name: str) -> Isochrones:
    if name in _PACKAGED:
        with as_file(files("maury.sky.isochrones") / f"data/{name}.npz") as path:
            return _as_observed(read_isochrones(path), name)
    path = built_folder() / f"{name}.npz"
    if not path.is_file():
        raise MauryError(
            f"the isochrones {name!r} are not in {path.parent}; build them once, in a checkout of "
            f"maury with h5py installed: python scripts/build_isochrones.py {name} "
            "(downloads lachesis-grids from PyPI, 76 MB)"
        )
    return _as_observed(read_isochrones(path), name)


def _as_observed(isochrones: Isochrones, name: str) -> Isochrones:
    return as_observed(
        isochrones,
        sun_at_birth=SUN_AT_BIRTH[name],
        red_dwarfs=name not in FITTED_TO_RED_DWARFS,
    )
