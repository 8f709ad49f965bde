"""maury: calibrated posteriors of stellar parameters from any mix of surveys.

>>> import maury
>>> catalogue = maury.infer("stars.fits")
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maury.catalogs.job import infer
    from maury.data import example
    from maury.errors import MauryError
    from maury.flags import Flag
    from maury.inference.draws import Draws
    from maury.inference.posterior import Posterior
    from maury.measurements import Kind, Measurements

__all__ = ["Draws", "Flag", "Kind", "MauryError", "Measurements", "Posterior", "example", "infer"]

__version__ = version("maury")

_HOMES = {
    "Draws": "maury.inference.draws",
    "Flag": "maury.flags",
    "Kind": "maury.measurements",
    "MauryError": "maury.errors",
    "Measurements": "maury.measurements",
    "Posterior": "maury.inference.posterior",
    "example": "maury.data",
    "infer": "maury.catalogs.job",
}


def __getattr__(name: str) -> Any:
    # On first use: torch takes seconds to import, and 'maury --help' needs none of it.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'maury' has no attribute {name!r}")


def __dir__() -> list[str]:
    # So that completion offers what is not yet imported.
    return sorted({*globals(), *__all__})
