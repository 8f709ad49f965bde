"""Output files of PARSEC's web interface, CMD 3 (Bressan et al. 2012, MNRAS 427, 127).

Each isochrone is a block of rows of growing initial mass below a comment that names the columns.
``label`` is the stage of life: 0 pre-main sequence, 1 main sequence, 2 subgiant, 3 red giant,
4 to 6 core helium burning (5 and 6 the Cepheid loop), 7 early and 8 thermally pulsing asymptotic
giant branch, 9 what follows.

These files have no equivalent evolutionary phases. In their place each stretch of stages is
measured by its path in the plane of (4 log Teff, log L), from 0 at its first star to 1 at the
first of the next, and given the numbers that MIST's EEPs have there. So the phase coordinate is
alike in neighbouring isochrones but is no EEP of MIST's. No star is put between the tip of the
red giants and core helium burning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maury.errors import MauryError
from maury.sky.isochrones.assembly import Points, to_isochrones
from maury.sky.isochrones.grid import Isochrones
from maury.sky.isochrones.phases import Phase

__all__ = ["read_parsec"]

AXES = ("MH", "logAge")
COLUMNS = {"Mini": "mass", "logTe": "log_teff", "logg": "logg", "logL": "log_lum"}
PHASES = (
    Phase.PRE_MAIN_SEQUENCE,
    Phase.MAIN_SEQUENCE,
    Phase.GIANT_BRANCH,
    Phase.GIANT_BRANCH,
    Phase.CORE_HELIUM,
    Phase.CORE_HELIUM,
    Phase.CORE_HELIUM,
    Phase.EARLY_AGB,
    Phase.THERMAL_PULSES,
)


@dataclass(frozen=True)
class Stretch:
    """Stages that follow each other, and the numbers of its nodes.

    One that is ``joined`` ends at the first star of the next stretch, else at its own last.
    """

    labels: tuple[int, ...]
    first: int
    last: int
    step: int
    joined: bool = True


STRETCHES = (
    Stretch((0, 1), 202, 454, 1),
    Stretch((2,), 454, 500, 2),
    Stretch((3,), 500, 605, 3, joined=False),
    Stretch((4, 5, 6), 631, 707, 2),
    Stretch((7,), 707, 808, 4),
    Stretch((8,), 808, 1408, 12, joined=False),
)
APART = 618.0
"""A node without stars, between the tip of the red giants and core helium burning."""


def read_parsec(paths: Sequence[Path]) -> Isochrones:
    """Read a set from one or more files; together they must cover a grid of [M/H] and age.

    Raises
    ------
    MauryError
        Where a column is missing or unreadable, or no file was given.
    """
    if not paths:
        raise MauryError("no PARSEC files given: name the output files of CMD 3")
    tables = [_read_file(Path(path)) for path in paths]
    rows = {name: np.concatenate([t[name] for t in tables]) for name in (*AXES, *COLUMNS, "label")}
    mh, age = (np.round(rows[name], 3) for name in AXES)
    axes = [np.unique(mh), np.unique(age)]
    nodes = [np.arange(s.first, s.last + 1, s.step, dtype=float) for s in STRETCHES]
    eep = np.unique(np.concatenate([*nodes, [s.last for s in STRETCHES], [APART]]))
    columns = {name: np.full((len(axes[0]), len(axes[1]), len(eep)), np.nan) for name in NAMES}
    for m, metal in enumerate(axes[0]):
        for a, when in enumerate(axes[1]):
            chosen = (mh == metal) & (age == when)
            curve = {name: rows[name][chosen] for name in (*COLUMNS, "label")}
            for stretch in STRETCHES:
                _place(curve, stretch, eep, {name: v[m, a] for name, v in columns.items()})
    columns["phase"] = np.nan_to_num(columns["phase"], nan=int(Phase.ABSENT))
    # The grid's own lightest star differs a little from isochrone to isochrone.
    lowest = np.nanmax(columns["mass"][..., 0]) if np.isfinite(columns["mass"][..., 0]).any() else 0
    points = Points(axes[0], axes[1], eep, **columns)
    return to_isochrones("parsec", points, lowest_mass=float(lowest))


NAMES = (*COLUMNS.values(), "phase")


def _place(
    curve: dict[str, np.ndarray], stretch: Stretch, eep: np.ndarray, into: dict[str, np.ndarray]
) -> None:
    """Put one stretch of one isochrone onto the nodes of the phase coordinate."""
    rows = np.flatnonzero(np.isin(curve["label"], stretch.labels))
    if len(rows) < 2:
        return
    rows = np.arange(rows[0], rows[-1] + 1)
    if stretch.joined and rows[-1] + 1 < len(curve["label"]):
        rows = np.append(rows, rows[-1] + 1)
    part = {name: values[rows] for name, values in curve.items()}
    log_mass = np.log10(part["Mini"])
    path = np.hypot(4 * np.diff(part["logTe"]), np.diff(part["logL"])) + 1e-9
    share = np.concatenate([[0.0], np.cumsum(path)])
    share /= share[-1]
    chosen = (eep >= stretch.first) & (eep <= stretch.last)
    at = (eep[chosen] - stretch.first) / (stretch.last - stretch.first)
    for name, ours in COLUMNS.items():
        values = log_mass if name == "Mini" else part[name]
        placed = np.interp(at, share, values)
        into[ours][chosen] = 10**placed if name == "Mini" else placed
    before = np.clip(np.searchsorted(share, at, side="right") - 1, 0, len(rows) - 1)
    labels = np.clip(part["label"][before].astype(int), min(stretch.labels), max(stretch.labels))
    into["phase"][chosen] = np.array(PHASES)[labels]


def _read_file(path: Path) -> dict[str, np.ndarray]:
    """Every row of the file by column, post-AGB stars left out, in order of mass."""
    names: list[str] = []
    rows = []
    for line in path.read_text().splitlines():
        words = line.lstrip("#").split()
        if not line.startswith("#"):
            rows += [words] if words else []
        elif "Mini" in words:
            names = words
    needed = (*AXES, *COLUMNS, "label")
    if missing := [name for name in needed if name not in names]:
        raise MauryError(
            f"{path}: lacks the columns {', '.join(missing)}; "
            "is it an isochrone table of CMD 3 (stev.oapd.inaf.it/cmd)?"
        )
    try:
        values = np.array([row[: len(names)] for row in rows], dtype=np.float64)
        table = {name: values[:, names.index(name)] for name in needed}
    except (ValueError, IndexError) as error:
        raise MauryError(f"{path}: a row does not fit the columns: {error}") from error
    use = (table["label"] < len(PHASES)) & (table["logL"] > -9.0)
    order = np.flatnonzero(use)
    order = order[np.argsort(table["Mini"][order], kind="stable")]
    return {name: column[order] for name, column in table.items()}
