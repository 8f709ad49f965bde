"""The table of magnitudes against exact integration: error by band, and stars per second.

    python benchmarks/magnitude_table.py [--stars 20000] [--population field] [--threads 2]

Speed is measured beside the way that most codes take: star by star, interpolate the spectrum,
redden it wavelength by wavelength, and integrate each band in turn. Where other programs share
the machine the wall clock says little; the rate per second of processor time is printed too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.integrate import trapezoid

from maury.sky.bands import PAPER_BANDS, Band, band
from maury.sky.dust import extinction
from maury.sky.libraries import SpectralLibrary, load_library
from maury.sky.photometry import MagnitudeTable, exact_magnitudes
from maury.sky.populations import load_population

SPEED_BANDS = PAPER_BANDS[1:]  # 25
RANGES = ((2300, 3500), (3500, 5000), (5000, 8000), (8000, 50000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--population", default="field")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--law", default="G23")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    library = load_library()
    bands = [band(name) for name in PAPER_BANDS]
    start = time.perf_counter()
    table = MagnitudeTable.build(library, bands, options.law)
    size = table.table.numel() * table.table.element_size() / 1e6
    print(f"{len(bands)} bands, {options.law}: {size:.1f} MB", end=", ")
    print(f"built in {time.perf_counter() - start:.1f} s")

    generator = torch.Generator().manual_seed(0)
    theta = load_population(options.population).sample(options.stars, generator)
    theta = theta[theta[:, 3] <= 10]
    report_accuracy(table, library, bands, theta)
    report_speed(library, theta, options.law)


def report_accuracy(
    table: MagnitudeTable, library: SpectralLibrary, bands: Sequence[Band], theta: torch.Tensor
) -> None:
    """Print median / 99th percentile of the absolute error, in mmag, by band and temperature."""
    exact, covered = exact_magnitudes(library, bands, *theta.numpy().astype(float).T, law=table.law)
    with torch.no_grad():
        mags, inside = table(theta)
    print(f"{len(theta)} stars with A_V <= 10, {covered.mean():.1%} inside the library;", end=" ")
    print(f"{(inside.numpy() != covered).sum()} of them judged otherwise by the table")
    error = 1e3 * np.abs(mags.numpy() - exact)[covered]
    teff, a_v = theta[:, 0].numpy()[covered], theta[:, 3].numpy()[covered]
    heads = ["all", "A_V < 3", *(f"{low}-{high} K" for low, high in RANGES)]
    rows = [np.ones(len(teff), dtype=bool), a_v < 3]
    rows += [(teff >= low) & (teff < high) for low, high in RANGES]
    print("|error| in mmag: median / 99th percentile")
    print(f"{'':24s}" + "".join(f"{head:>16s}" for head in heads))
    for name, column in zip(table.bands, error.T, strict=True):
        print(f"{name:24s}" + "".join(f"{_spread(column[row]):>16s}" for row in rows))
    print(f"{'all bands':24s}" + "".join(f"{_spread(error[row].ravel()):>16s}" for row in rows))


def _spread(error: np.ndarray) -> str:
    if not len(error):
        return "-"
    return f"{np.median(error):.2f} /{np.percentile(error, 99):6.1f}"


def report_speed(library: SpectralLibrary, theta: torch.Tensor, law: str) -> None:
    """Print stars per second of the table, of exact integration and of the star-by-star way."""
    bands = [band(name) for name in SPEED_BANDS]
    table = MagnitudeTable.build(library, bands, law)
    many = theta.repeat(400_000 // len(theta) + 1, 1)[:400_000]
    some, few = theta[:2000].numpy().astype(float), theta[:50].numpy().astype(float)
    with torch.no_grad():
        fast = _rate(lambda: table(many), len(many), repeats=7)
    exact = _rate(lambda: exact_magnitudes(library, bands, *some.T, law=law), len(some))
    slow = _rate(lambda: [_star_by_star(library, bands, star, law) for star in few], len(few))
    print(f"{len(bands)} bands, {torch.get_num_threads()} threads: stars per second")
    print(f"{'':24s}{'wall clock':>16s}{'processor':>16s}{'ratio':>12s}")
    for name, rates in (("table", fast), ("exact, in chunks", exact), ("star by star", slow)):
        print(f"{name:24s}{rates[0]:16,.0f}{rates[1]:16,.0f}{rates[0] / slow[0]:12,.0f}")


def _rate(job: Callable[[], object], stars: int, repeats: int = 3) -> tuple[float, float]:
    """Best rates by the wall clock and by processor time."""
    wall, processor = [], []
    for _ in range(repeats):
        started = time.perf_counter(), time.process_time()
        job()
        wall.append(time.perf_counter() - started[0])
        processor.append(time.process_time() - started[1])
    return stars / min(wall), stars / min(processor)


def _star_by_star(
    library: SpectralLibrary, bands: Sequence[Band], star: np.ndarray, law: str
) -> list[float]:
    """Photon-counting AB magnitudes of one star, by the trapezium rule in each band."""
    teff, logg, mh, a_v, r_v = star
    flam = library.fluxes(teff, logg, mh)[0][0]
    flam = flam * 10 ** (-0.4 * a_v * extinction(law, library.wave, r_v))
    mags = []
    for one in bands:
        through = np.interp(library.wave, one.wave, one.throughput, left=0, right=0)
        light = trapezoid(flam * through * library.wave, library.wave)
        norm = trapezoid(through / library.wave, library.wave) * 2.99792458e18
        mags.append(float(-2.5 * np.log10(light / norm) - 48.60))
    return mags


if __name__ == "__main__":
    main()
