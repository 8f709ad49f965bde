"""Isochrones in one small file: the packaged set, and sets that the user built.

An npz archive: axes and ``lowest_mass``, initial mass as float32, the other columns as steps of
`STEP` above `FLOOR` in uint16 (0: absent), phases as int8.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch

from maury.errors import MauryError
from maury.sky.isochrones.grid import Isochrones

__all__ = ["read_isochrones", "write_isochrones"]

FLOOR = {"log_teff": 3.0, "logg": -3.0, "log_lum": -6.5}
STEP = {"log_teff": 5e-5, "logg": 2e-4, "log_lum": 2.5e-4}
AXES = ("mh", "log_age", "eep")


def write_isochrones(isochrones: Isochrones, path: Path) -> None:
    """Write a set. Rounded are log Teff to 2.5e-5 dex, log g to 1e-4, log L to 1.25e-4.

    Raises
    ------
    MauryError
        Where a value is beyond what the file can hold.
    """
    held = {name: getattr(isochrones, name).numpy().astype(np.float64) for name in AXES}
    for name, step in STEP.items():
        steps = np.rint((getattr(isochrones, name).double().numpy() - FLOOR[name]) / step)
        if np.nanmin(steps) < 1 or np.nanmax(steps) > 65535:
            raise MauryError(f"isochrones {isochrones.name}: {name} is beyond what a file can hold")
        held[name] = np.nan_to_num(steps, nan=0).astype(np.uint16)
    np.savez_compressed(
        path,
        name=isochrones.name,
        lowest_mass=isochrones.lowest_mass,
        mass=isochrones.mass.numpy(),
        phase=isochrones.phase.numpy(),
        **held,
    )


def read_isochrones(path: Path) -> Isochrones:
    """Read what `write_isochrones` wrote.

    Raises
    ------
    MauryError
        Where the file is damaged or is not one of isochrones.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            held = {name: archive[name] for name in archive.files}
        columns = {}
        for name, step in STEP.items():
            steps = held[name].astype(np.float64)
            columns[name] = np.where(steps > 0, FLOOR[name] + step * steps, np.nan)
        real = {name: held[name] for name in (*AXES, "mass")} | columns
        return Isochrones(
            name=str(held["name"]),
            **{name: torch.from_numpy(value.astype(np.float32)) for name, value in real.items()},
            phase=torch.from_numpy(held["phase"]),
            lowest_mass=float(held["lowest_mass"]),
        )
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise MauryError(f"{path}: not a file of isochrones ({error}); build it anew") from error
