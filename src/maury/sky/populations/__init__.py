"""Priors over stars that one can sample and evaluate, a file per population."""

from collections.abc import Callable
from functools import cache

from maury.errors import MauryError
from maury.sky.libraries import load_library
from maury.sky.populations.base import STAR, Population
from maury.sky.populations.box import BoxPrior, Support
from maury.sky.populations.field import FieldPrior

__all__ = [
    "STAR",
    "BoxPrior",
    "FieldPrior",
    "Population",
    "Support",
    "load_population",
]

# The field's table was cut to the default library when it was built; the box is cut to any.
_MAKERS: dict[str, Callable[[str], Population]] = {
    "box": lambda library: BoxPrior(Support.from_library(load_library(library))),
    "field": lambda library: FieldPrior(),
}


@cache
def load_population(name: str, library: str = "phoenix-kurucz") -> Population:
    """Make a prior by name, over stars that a spectral library can show.

    Raises
    ------
    MauryError
        If there is no population, or no library, of this name.
    """
    if name not in _MAKERS:
        raise MauryError(f"no population {name!r}: there are {', '.join(_MAKERS)}")
    return _MAKERS[name](library)
