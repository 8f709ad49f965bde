"""Real stars to try maury on."""

from __future__ import annotations

from importlib.resources import as_file, files

from astropy.table import Table

from maury.catalogs.readers import read_table

__all__ = ["example"]


def example() -> Table:
    """A hundred members of the open cluster NGC 2547, measured by Gaia and 2MASS.

    Returns
    -------
    Table
        Gaia DR3 ``source_id``, ``ra`` and ``dec`` (degrees, ICRS), six magnitudes with their
        errors, and a published temperature ``ref_teff`` with its error (K). README.md beside this
        file says whose measurements they are.
    """
    with as_file(files("maury.data") / "ngc2547.csv") as path:
        return read_table(path)
