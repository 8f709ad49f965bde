"""Isochrones: stars per second, and how far interpolation errs.

    python benchmarks/isochrones.py [--stars 1000000] [--threads 2] [--wheel lachesis_grids-....whl]

Speed is measured beside the way that most codes take: for each star in turn, interpolate its
isochrone and look the mass up. Where other programs share the machine the wall clock says little;
the rate per second of processor time is printed too. With the wheel (and h5py) the packaged nodes
are held against all that MIST has, and MIST against itself with every other age and metallicity
left out: the error of true intervals is about a quarter of the latter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from maury.sky.isochrones import Isochrones, Phase, load_isochrones

SLOW_STARS = 2000
PHASES = {
    "pre-main sequence": (Phase.PRE_MAIN_SEQUENCE, 1, 202),
    "main sequence": (Phase.MAIN_SEQUENCE, 202, 454),
    "subgiants": (Phase.GIANT_BRANCH, 454, 500),
    "red giants": (Phase.GIANT_BRANCH, 500, 606),
    "core helium": (Phase.CORE_HELIUM, 631, 707),
    "early AGB": (Phase.EARLY_AGB, 707, 808),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stars", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--wheel", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    isochrones = load_isochrones()
    report_speed(isochrones, options.stars)
    if options.wheel:
        report_accuracy(isochrones, options.wheel)


def report_speed(isochrones: Isochrones, count: int) -> None:
    """Print rates of `evolve` and `at`, and of doing it star by star."""
    generator = torch.Generator().manual_seed(0)
    draw = torch.rand(3, count, generator=generator)
    mh, log_age, mass = draw[0] * 2.5 - 2.0, 6.5 + 3.6 * draw[1], 0.1 * 30 ** draw[2]
    stars = isochrones.evolve(mass, log_age, mh)
    eep = stars.eep.nan_to_num(300.0)
    slow = rate(lambda: one_by_one(isochrones, mass, log_age, mh), SLOW_STARS)
    rows = {
        "evolve": rate(lambda: isochrones.evolve(mass, log_age, mh), count),
        "at": rate(lambda: isochrones.at(mh, log_age, eep), count),
        "star by star in Python": slow,
    }
    print(f"{'':24s} {'stars/s':>12s} {'per CPU s':>12s} {'ratio':>8s}")
    for name, (wall, cpu) in rows.items():
        print(f"{name:24s} {wall:12,.0f} {cpu:12,.0f} {cpu / slow[1]:8,.0f}")


def rate(work: Callable[[], object], count: int) -> tuple[float, float]:
    """Stars per second of the wall clock and of processor time, after one warm-up."""
    work()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return count / (time.perf_counter() - wall), count / (time.process_time() - cpu)


def one_by_one(
    isochrones: Isochrones, mass: torch.Tensor, log_age: torch.Tensor, mh: torch.Tensor
) -> list[float]:
    """Teff of the first stars, each from its own interpolated isochrone."""
    ages, metals = isochrones.log_age.numpy(), isochrones.mh.numpy()
    columns = [isochrones.mass.log10().numpy(), isochrones.log_teff.numpy()]
    found = []
    for star in range(SLOW_STARS):
        age, metal = float(log_age[star]), float(mh[star])
        a = int(np.searchsorted(ages, age, side="right")) - 1
        m = int(np.searchsorted(metals, metal, side="right")) - 1
        da = (age - ages[a]) / (ages[a + 1] - ages[a])
        dm = (metal - metals[m]) / (metals[m + 1] - metals[m])
        curve = [
            (1 - dm) * ((1 - da) * c[m, a] + da * c[m, a + 1])
            + dm * ((1 - da) * c[m + 1, a] + da * c[m + 1, a + 1])
            for c in columns
        ]
        known = np.isfinite(curve[0])
        found.append(
            float(np.interp(np.log10(float(mass[star])), curve[0][known], curve[1][known]))
        )
    return found


def report_accuracy(packaged: Isochrones, wheel: Path) -> None:
    """Print medians and 95th percentiles of absolute errors at fixed EEP, by phase."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
    from build_isochrones import full_mist
    from maury.sky.isochrones.assembly import select, to_isochrones

    points = full_mist(wheel)
    points = select(points, mh=points.mh >= -2.0, log_age=points.log_age >= 6.0)
    every = np.arange(len(points.log_age))
    compare("packaged EEPs against all", packaged, to_isochrones("full", points))
    coarse = to_isochrones("half", select(points, log_age=every % 2 == 0))
    compare(
        "every other age (0.1 dex)",
        coarse,
        to_isochrones("", select(points, log_age=every % 2 == 1)),
    )
    metals = np.arange(len(points.mh))
    coarse = to_isochrones("half", select(points, mh=metals % 2 == 0))
    compare(
        "every other [M/H] (0.5 dex)",
        coarse,
        to_isochrones("", select(points, mh=metals % 2 == 1)),
    )


def compare(title: str, coarse: Isochrones, truth: Isochrones) -> None:
    print(f"\n{title}: |error| at fixed EEP, median / 95%, and share not inside")
    print(f"{'':20s} {'mass %':>15s} {'Teff %':>15s} {'log g':>15s} {'log L':>15s}")
    for name, (phase, first, end) in PHASES.items():
        chosen = (truth.phase == int(phase)) & (truth.eep >= first) & (truth.eep < end)
        chosen &= (truth.mass >= 0.1) & (truth.mass < 8)
        place = torch.nonzero(chosen)[:: max(1, int(chosen.sum()) // 200_000)].T
        mh, log_age, eep = (
            axis[index]
            for axis, index in zip((truth.mh, truth.log_age, truth.eep), place, strict=True)
        )
        stars = coarse.at(mh, log_age, eep)
        at = tuple(place)
        errors = (
            100 * (stars.mass / truth.mass[at] - 1),
            100 * (stars.teff / 10 ** truth.log_teff[at] - 1),
            stars.logg - truth.logg[at],
            stars.log_lum - truth.log_lum[at],
        )
        cells = []
        for error in errors:
            middle, most = np.quantile(error[stars.inside].abs().numpy(), [0.5, 0.95])
            cells.append(f"{middle:7.4f}/{most:7.4f}")
        missing = 1 - float(stars.inside.float().mean())
        print(f"{name:20s} {' '.join(cells)} {missing:7.3f}")


if __name__ == "__main__":
    main()
