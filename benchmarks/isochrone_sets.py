"""How far sets of isochrones differ along the dwarfs' sequence, in temperature at one luminosity.

    python benchmarks/isochrone_sets.py [--other parsec]

The other set must have been built (scripts/build_isochrones.py). Both are as observed
(`maury.sky.isochrones.observed`). Printed is ln Teff of the other less that of MIST, in percent, at
[M/H] = 0: `maury.cluster.model_errors` takes its widths from it.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from maury.sky.isochrones import Isochrones, Phase, load_isochrones

MASSES = (0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 1.8, 2.2, 3.0)
AGES = (7.5, 8.0, 8.85, 9.6)


def dwarfs(isochrones: Isochrones, log_age: float) -> tuple[np.ndarray, np.ndarray]:
    """Rising log luminosity (n,) and Teff (n,) of stars up to the end of the main sequence."""
    stars = isochrones.evolve(torch.linspace(0.1, 6.0, 5000), log_age, 0.0)
    young = stars.inside & (stars.phase <= int(Phase.MAIN_SEQUENCE))
    log_lum, teff = stars.log_lum[young].numpy(), stars.teff[young].numpy()
    order = np.argsort(log_lum)
    return log_lum[order], teff[order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", default="parsec")
    other = load_isochrones(parser.parse_args().other)
    ours = load_isochrones()
    print("mass, Teff of MIST and difference in percent, by log age")
    table = {}
    for log_age in AGES:
        stars = ours.evolve(torch.tensor(MASSES), log_age, 0.0)
        log_lum, teff = dwarfs(other, log_age)
        there = np.interp(stars.log_lum.numpy(), log_lum, teff, left=np.nan, right=np.nan)
        dwarf = (stars.phase <= int(Phase.MAIN_SEQUENCE)).numpy() & stars.inside.numpy()
        change = np.where(dwarf, 100 * np.log(there / stars.teff.numpy()), np.nan)
        table[log_age] = stars.teff.numpy(), change
    print("mass " + "".join(f"{log_age:>16}" for log_age in AGES))
    for i, mass in enumerate(MASSES):
        cells = [f"{teff[i]:8.0f} {change[i]:+7.1f}" for teff, change in table.values()]
        print(f"{mass:4.2f} " + "".join(cells))


if __name__ == "__main__":
    main()
