"""Isochrones of the package lachesis-grids: HDF5, sparse, one file per set.

A file has axes ``feh_values``, ``age_values`` (log10 years) and ``eep_values``, and one table of
``values`` whose rows lie one isochrone after another: where an isochrone's rows end is the
cumulative sum of ``lengths`` (``offsets`` is no place in the table but the index of the first EEP).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from maury.errors import MauryError
from maury.sky.isochrones.assembly import Points
from maury.sky.isochrones.phases import Phase

__all__ = ["read_lachesis"]

COLUMNS = {
    "initial_mass": "mass",
    "log_Teff": "log_teff",
    "log_g": "logg",
    "log_L": "log_lum",
    "phase": "phase",
}


def read_lachesis(file: Path | BinaryIO) -> Points:
    """Read one set as it is, phases as the file codes them.

    Raises
    ------
    MauryError
        Where h5py is not installed, or the file is not of this format.
    """
    try:
        import h5py
    except ImportError as error:
        raise MauryError("reading HDF5 isochrones needs h5py: pip install h5py") from error
    try:
        with h5py.File(file, "r") as held:
            return _points(held)
    except (OSError, KeyError) as error:
        raise MauryError(f"{file}: not isochrones of lachesis-grids: {error}") from error


def _points(held: Any) -> Points:
    names = [name if isinstance(name, str) else name.decode() for name in held.attrs["columns"]]
    axes = [held[key][:] for key in ("feh_values", "age_values", "eep_values")]
    lengths, first, rows = held["lengths"][:], held["offsets"][:], held["values"][:]
    if lengths.sum() != len(rows):
        raise KeyError(f"{lengths.sum()} rows announced, {len(rows)} found")
    within = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = np.repeat(np.arange(len(lengths)), lengths), np.repeat(first, lengths) + within
    columns = {}
    for name, ours in COLUMNS.items():
        dense = np.full((len(lengths), len(axes[2])), np.nan)
        dense[place] = rows[:, names.index(name)]
        columns[ours] = dense.reshape(*(len(axis) for axis in axes))
    columns["phase"] = np.nan_to_num(columns["phase"], nan=int(Phase.ABSENT))
    return Points(axes[0], axes[1], axes[2], **columns)
