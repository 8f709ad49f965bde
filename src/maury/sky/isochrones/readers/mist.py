"""MIST's own isochrone files (.iso), one per metallicity.

Format: comment lines that begin with ``#``, of which the one before each block of numbers names
the columns; the blocks of a file differ in age. [Fe/H] stands in the header, in the line below
the one with ``[Fe/H]`` in it. Any columns may be there beside those of `COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from maury.errors import MauryError
from maury.sky.isochrones.assembly import Points, fill_dwarfs, helium_flash, hide, to_isochrones
from maury.sky.isochrones.grid import Isochrones
from maury.sky.isochrones.phases import Phase

__all__ = ["mend_mist", "read_mist"]

PHASES = {
    -1: Phase.PRE_MAIN_SEQUENCE,
    0: Phase.MAIN_SEQUENCE,
    2: Phase.GIANT_BRANCH,
    3: Phase.CORE_HELIUM,
    4: Phase.EARLY_AGB,
    5: Phase.THERMAL_PULSES,
    6: Phase.POST_AGB,
    9: Phase.WOLF_RAYET,
}
TIP = 605
"""EEP of the tip of the red giant branch, which MIST counts as core helium burning."""

AGE = "log10_isochrone_age_yr"
COLUMNS = {
    "initial_mass": "mass",
    "log_Teff": "log_teff",
    "log_g": "logg",
    "log_L": "log_lum",
    "phase": "phase",
}


def read_mist(paths: Sequence[Path]) -> Isochrones:
    """Read a set from its files, one per [Fe/H], on the same ages.

    Parameters
    ----------
    paths : sequence of path
        ``MIST_..._basic.iso`` or ``..._full.iso`` with the ages as log10.

    Raises
    ------
    MauryError
        Where a file lacks a column or its [Fe/H], or two have the same [Fe/H].
    """
    if not paths:
        raise MauryError("no MIST files given: name one .iso file per [Fe/H]")
    tables: dict[float, dict[str, np.ndarray]] = {}
    for path in paths:
        feh, table = _read_file(Path(path))
        if feh in tables:
            raise MauryError(f"{path}: [Fe/H] = {feh:g} was already read from another file")
        tables[feh] = table
    metals = np.array(sorted(tables))
    ages = np.unique(np.concatenate([np.round(t[AGE], 4) for t in tables.values()]))
    last = max(t["EEP"].max() for t in tables.values())
    eep = np.arange(1.0, last + 1)
    columns = {
        ours: np.full((len(metals), len(ages), len(eep)), np.nan) for ours in COLUMNS.values()
    }
    for m, metal in enumerate(metals):
        table = tables[float(metal)]
        place = (np.searchsorted(ages, np.round(table[AGE], 4)), table["EEP"].astype(int) - 1)
        for name, ours in COLUMNS.items():
            columns[ours][m][place] = table[name]
    points = mend_mist(Points(metals, ages, eep, **columns))
    return to_isochrones("mist", points, lowest_mass=float(np.nanmin(points.mass)))


def mend_mist(points: Points) -> Points:
    """Translate MIST's phases, fill its gaps among dwarfs, and cut out the helium flash."""
    phase = np.full(points.mass.shape, int(Phase.ABSENT), dtype=np.int8)
    known = np.isfinite(points.mass)
    for code, ours in PHASES.items():
        phase[known & (points.phase == code)] = ours
    tip = (points.eep == TIP) & (phase == Phase.CORE_HELIUM)
    phase[tip] = Phase.GIANT_BRANCH
    points = hide(replace(points, phase=phase), phase == Phase.ABSENT)
    return hide(fill_dwarfs(points), helium_flash(points))


def _read_file(path: Path) -> tuple[float, dict[str, np.ndarray]]:
    """[Fe/H], and every row of the file by column."""
    feh: float | None = None
    place: int | None = None  # of [Fe/H] in the line that follows its name
    names: list[str] = []
    rows = []
    for line in path.read_text().splitlines():
        words = line.lstrip("#").split()
        if not line.startswith("#"):
            rows += [words] if words else []
        elif place is not None:
            feh, place = float(words[place]), None
        elif "[Fe/H]" in words:
            place = words.index("[Fe/H]")
        elif "EEP" in words and AGE in words:
            names = words
    missing = [name for name in ("EEP", AGE, *COLUMNS) if name not in names]
    if missing or feh is None:
        lacks = f"the columns {', '.join(missing)}" if missing else "a header with [Fe/H]"
        raise MauryError(f"{path}: lacks {lacks}; is it an isochrone file of MIST (.iso)?")
    try:
        values = np.array(rows, dtype=np.float64)
        return feh, {name: values[:, names.index(name)] for name in ("EEP", AGE, *COLUMNS)}
    except (ValueError, IndexError) as error:
        raise MauryError(f"{path}: a row does not fit the columns: {error}") from error
