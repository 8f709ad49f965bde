"""Populations: systems per second, and the Milky Way's counts held against quadrature.

    python benchmarks/populations.py [--stars 50000] [--threads 1] [--counts] [--brutus]

Rates are per second of processor time, since other programs may share the machine, beside the
share of all systems in the view that are seen: sampling all and keeping those would be slower by
about that factor. With `--counts` samples towards the Galactic pole, the anticentre and Baade's
window are held against `star_counts`, and the whole sky against catalogues; with `--brutus` (and
brutus 1.2) the densities against its galactic prior.
"""

from __future__ import annotations

import argparse
import math
import time

import torch
from rich.console import Console
from rich.table import Table

from maury.sky.photometry import cached_table
from maury.sky.populations.milky_way import (
    BLAND_HAWTHORN_2016,
    ROBIN_2003,
    Footprint,
    MilkyWay,
    View,
    star_counts,
)

BAND = "GAIA/GAIA3.G"
VIEWS = {
    "whole sky, G < 12": (Footprint(), 12.0),
    "whole sky, G < 17": (Footprint(), 17.0),
    "Galactic pole, 5 deg, G < 18": (Footprint(0.0, 90.0, 5.0), 18.0),
    "Baade's window, 0.1 deg, G < 18": (Footprint(1.0, -3.9, 0.1), 18.0),
    "Baade's window, 0.1 deg, all": (Footprint(1.0, -3.9, 0.1), None),
}
DIRECTIONS = {
    "Galactic pole": (0.0, 90.0),
    "anticentre": (180.0, 0.0),
    "Baade's window": (1.0, -3.9),
}
OBSERVED = {10.0: 382_925, 11.0: 1_048_084, 12.0: 2_955_951}
"""Stars of Tycho-2 and UCAC4 down to a magnitude, whole sky: hnsky.com/star_count.htm."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stars", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--counts", action="store_true")
    parser.add_argument("--brutus", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console, model = Console(width=110), MilkyWay()
    report_speed(console, model, options.stars)
    if options.counts:
        report_counts(console, model)
        report_catalogues(console, model)
    if options.brutus:
        report_brutus(console)


def report_speed(console: Console, model: MilkyWay, count: int) -> None:
    """Time to make views of the Milky Way and to sample them."""
    table = Table("view", "systems in it", "to make, s", "sampled /s", "share seen of all")
    assert model.born.numel()  # what all views share is made before any is timed
    for name, (footprint, faintest) in VIEWS.items():
        began = time.process_time()
        view = look(model, footprint, faintest)
        made = time.process_time() - began
        every = view if faintest is None else look(model, footprint, None)
        view.sample(1000, torch.Generator().manual_seed(0))
        began = time.process_time()
        view.sample(count, torch.Generator().manual_seed(1))
        rate = count / (time.process_time() - began)
        share = view.expected_count / every.expected_count
        cells = (f"{view.expected_count:.3g}", f"{made:.1f}", f"{rate:,.0f}", f"{share:.1e}")
        table.add_row(name, *cells)
    console.print(table)


def look(model: MilkyWay, footprint: Footprint, faintest: float | None) -> View:
    """A view down to a magnitude in G, or of all."""
    if faintest is None:
        return model.view(footprint)
    return model.view(footprint, band=BAND, faintest=faintest, table=table_of_band())


def table_of_band():  # type: ignore[no-untyped-def]
    return cached_table("phoenix-kurucz", [BAND])


def report_counts(console: Console, model: MilkyWay) -> None:
    """Systems per square degree: sampled, and by quadrature."""
    table = Table("towards", "G <", "sampled /deg2", "quadrature /deg2", "ratio", "its error")
    for name, (lon, lat) in DIRECTIONS.items():
        for faintest in (15.0, 18.0):
            view = look(model, Footprint(lon, lat, 0.1), faintest)
            assert view.limit is not None
            sampled = view.expected_count / view.footprint.square_degrees
            counted = star_counts(model, lon, lat, limit=view.limit).total.item()
            cells = (f"{sampled:.4g}", f"{counted:.4g}", f"{sampled / counted:.4f}")
            table.add_row(name, f"{faintest:g}", *cells, f"{view.count_error:.4f}")
    console.print(table)


def report_catalogues(console: Console, model: MilkyWay) -> None:
    """Systems of the whole sky beside what catalogues hold."""
    table = Table("whole sky, G <", "sampled", "Tycho-2 and UCAC4", "ratio")
    for faintest, observed in OBSERVED.items():
        number = look(model, Footprint(), faintest).expected_count
        table.add_row(
            f"{faintest:g}", f"{number:.3g}", f"{observed:.3g}", f"{number / observed:.2f}"
        )
    console.print(table)


def report_brutus(console: Console) -> None:
    """Densities of each component along random sight lines, against brutus' galactic prior."""
    import numpy as np
    from brutus.priors.galactic import logp_galactic_structure

    generator = torch.Generator().manual_seed(0)
    u, v, w = torch.rand(3, 20_000, generator=generator, dtype=torch.float64)
    lon, lat, distance = 360 * u, 180 * v - 90, 10 ** (1.5 + 3 * w)
    _, parts = logp_galactic_structure(
        distance.numpy() / 1000, (lon.numpy(), lat.numpy()), return_components=True
    )
    theirs = np.exp(np.stack(parts["number_density"], -1)) / distance.numpy()[:, None] ** 2
    table = Table("galaxy", "component", "median ratio", "5% to 95%", "greatest departure")
    for galaxy, names in (
        (BLAND_HAWTHORN_2016, ("thin disc", "thick disc", "halo")),
        (ROBIN_2003, ("thin disc 7-10 Gyr", "thick disc", "halo")),
    ):
        for index, name in enumerate(names):
            part = galaxy.component(name)
            ratio = part(galaxy.sun.galactocentric(lon, lat, distance), galaxy.sun).numpy()
            ratio = ratio / theirs[:, index]
            # One factor is free: brutus counts in units of its thin disc at the Sun.
            at_sun = part.density / (1.0, 0.04, 0.005)[index]
            low, middle, high = np.quantile(ratio / at_sun, (0.05, 0.5, 0.95))
            most = np.abs(np.log(ratio / at_sun)).max()
            cells = (f"{middle:.3f}", f"{low:.2f} to {high:.2f}", f"{math.expm1(most):.1e}")
            table.add_row(galaxy.name, name, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
