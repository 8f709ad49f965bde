"""From published isochrones to a regular grid in which interpolation is safe.

Steps that the readers and build scripts share, each on whole arrays (M, A, E).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from maury.sky.isochrones.grid import Isochrones
from maury.sky.isochrones.phases import Phase

__all__ = [
    "COLUMNS",
    "FLASH",
    "Points",
    "continue_from_neighbour",
    "extend_below",
    "fill_dwarfs",
    "helium_flash",
    "hide",
    "not_rising",
    "select",
    "to_isochrones",
]

FLASH = (606, 630)
"""EEPs between the tip of the red giant branch (605) and settled helium burning (631)."""

ZERO_AGE = 202
"""EEP of the zero-age main sequence."""

DWARFS = {Phase.PRE_MAIN_SEQUENCE, Phase.MAIN_SEQUENCE}

COLUMNS = ("mass", "log_teff", "logg", "log_lum")


@dataclass(frozen=True)
class Points:
    """Isochrones as arrays: axes (M,), (A,), (E,), columns (M, A, E), NaN where absent.

    ``mass`` initial, solar; ``log_teff`` log10 K; ``logg`` cgs; ``log_lum`` log10 solar;
    ``phase`` codes, those of `Phase` once a reader has translated them.
    """

    mh: np.ndarray
    log_age: np.ndarray
    eep: np.ndarray
    mass: np.ndarray
    log_teff: np.ndarray
    logg: np.ndarray
    log_lum: np.ndarray
    phase: np.ndarray


def select(
    points: Points,
    *,
    mh: np.ndarray | None = None,
    log_age: np.ndarray | None = None,
    eep: np.ndarray | None = None,
) -> Points:
    """The part at chosen indices (or flags) along each axis."""
    chosen = [slice(None) if index is None else index for index in (mh, log_age, eep)]
    columns = {
        name: getattr(points, name)[chosen[0]][:, chosen[1]][:, :, chosen[2]]
        for name in (*COLUMNS, "phase")
    }
    axes = (points.mh[chosen[0]], points.log_age[chosen[1]], points.eep[chosen[2]])
    return Points(*axes, **columns)


def hide(points: Points, gone: np.ndarray) -> Points:
    """The same without the points flagged in ``gone`` (M, A, E)."""
    columns = {name: np.where(gone, np.nan, getattr(points, name)) for name in COLUMNS}
    return replace(points, **columns, phase=np.where(gone, int(Phase.ABSENT), points.phase))


def not_rising(mass: np.ndarray) -> np.ndarray:
    """Flags (M, A, E) of points whose mass is not above all that come before on the isochrone."""
    reached = np.fmax.accumulate(np.nan_to_num(mass, nan=-np.inf), axis=-1)
    return np.isnan(mass) | np.pad(mass[..., 1:] <= reached[..., :-1], [(0, 0), (0, 0), (1, 0)])


def fill_dwarfs(points: Points, *, most: float = 1.4) -> Points:
    """Interpolate short gaps among dwarfs and young stars, whose ends differ in mass by ``most``.

    MIST omits a few EEPs near 0.14 (metal-poor), 0.30 and 0.34 solar masses, where the order of
    its tracks is unsure, and more at [Fe/H] = -0.75 (0.13 to 0.17). Left open, such a gap would
    swallow every star of the neighbouring cells.
    """
    mass, phase = points.mass, points.phase.copy()
    columns = {name: getattr(points, name).copy() for name in COLUMNS}
    for curve in np.ndindex(mass.shape[:2]):
        known = np.flatnonzero(np.isfinite(mass[curve]))
        for place in np.flatnonzero(np.diff(known) > 1):
            low, high = known[place], known[place + 1]
            kinds = set(phase[curve][[low, high]].tolist())
            if not kinds <= DWARFS or mass[curve][high] > most * mass[curve][low]:
                continue
            share = np.arange(1, high - low) / (high - low)
            for values in columns.values():
                start, stop = values[curve][[low, high]]
                values[curve][low + 1 : high] = start + share * (stop - start)
            settled = points.eep[low + 1 : high] >= ZERO_AGE
            phase[curve][low + 1 : high] = np.where(
                settled, Phase.MAIN_SEQUENCE, Phase.PRE_MAIN_SEQUENCE
            )
    return replace(points, **columns, phase=phase)


def helium_flash(points: Points) -> np.ndarray:
    """Flags (M, A, E) of the EEPs at which a star falls from the giants' tip to the clump.

    Ignited in a degenerate core, helium burning begins with a leap that takes no time: nothing
    between the two ends is a star one meets. It shows as a fall of more than 0.3 dex in log L
    whose first ten EEPs pass within a hundred thousandth of the mass.
    """
    tip, settled = (np.flatnonzero(points.eep == e)[0] for e in (FLASH[0] - 1, FLASH[1] + 1))
    with np.errstate(invalid="ignore"):
        leaps = points.log_lum[..., tip] - points.log_lum[..., settled] > 0.3
        at_once = points.mass[..., tip + 10] < points.mass[..., tip] * (1 + 1e-5)
    inside = (points.eep >= FLASH[0]) & (points.eep <= FLASH[1])
    return (leaps & at_once)[..., None] & inside


def extend_below(points: Points, lowest: float, *, reach: float = 0.6) -> Points:
    """Continue isochrones that end at the mass ``lowest`` to ``reach`` times less.

    Isochrones of different age or metallicity end at different EEPs, so interpolated ones would
    end above the set's lowest mass and the faintest stars be lost. The line through the first
    node and the one of 1.6 times the mass mends that. No star below ``lowest`` is ever given: see
    `Isochrones.lowest_mass`.
    """
    columns = {name: getattr(points, name).copy() for name in COLUMNS}
    columns["mass"] = np.log10(columns["mass"])
    phase = points.phase.copy()
    for curve in np.ndindex(phase.shape[:2]):
        known = np.flatnonzero(np.isfinite(columns["mass"][curve]))
        if len(known) < 4 or points.mass[curve][known[0]] > 1.05 * lowest:
            continue
        first = known[0]
        log_mass = columns["mass"][curve]
        second = np.flatnonzero(log_mass >= np.log10(1.6 * lowest))[0]
        rise = (log_mass[second] - log_mass[first]) / (second - first)
        count = int(max(0.0, log_mass[first] - np.log10(reach * lowest)) / rise)
        steps = np.arange(first - 1, max(first - 1 - count, -1), -1)
        for values in columns.values():
            slope = (values[curve][second] - values[curve][first]) / (second - first)
            values[curve][steps] = values[curve][first] + (steps - first) * slope
        settled = points.eep[steps] >= ZERO_AGE
        phase[curve][steps] = np.where(settled, Phase.MAIN_SEQUENCE, Phase.PRE_MAIN_SEQUENCE)
    columns["mass"] = 10 ** columns["mass"]
    return replace(points, **columns, phase=phase)


def continue_from_neighbour(points: Points, lowest: float) -> Points:
    """Continue the last metallicity towards low mass like the one before it.

    MIST has no tracks below 0.5 solar masses at +0.5, which would leave metal-rich M dwarfs
    without models. From the first EEP of each isochrone down, it follows the isochrone of the
    neighbouring metallicity at a constant distance in every column.
    """
    columns = {name: getattr(points, name).copy() for name in COLUMNS}
    columns["mass"] = np.log10(columns["mass"])
    phase = points.phase.copy()
    for age in range(len(points.log_age)):
        end, other = (np.isfinite(columns["mass"][m, age]) for m in (-1, -2))
        joint = np.argmax(end & other)
        lent = np.flatnonzero(other[:joint])
        if not (end & other).any() or points.mass[-1, age, joint] > 6 * lowest or end[:joint].any():
            continue
        for values in columns.values():
            shift = values[-1, age, joint] - values[-2, age, joint]
            values[-1, age, lent] = values[-2, age, lent] + shift
        phase[-1, age, lent] = phase[-2, age, lent]
    columns["mass"] = 10 ** columns["mass"]
    return replace(points, **columns, phase=phase)


def to_isochrones(name: str, points: Points, *, lowest_mass: float = 0.0) -> Isochrones:
    """Make the set, float32."""
    real = {
        key: torch.from_numpy(np.ascontiguousarray(getattr(points, key), dtype=np.float32))
        for key in ("mh", "log_age", "eep", *COLUMNS)
    }
    phase = torch.from_numpy(np.ascontiguousarray(points.phase).astype(np.int8))
    return Isochrones(name=name, **real, phase=phase, lowest_mass=lowest_mass)
