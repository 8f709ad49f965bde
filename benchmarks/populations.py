"""Populations: systems per second, and what it saves to propose only stars that are seen.

    python benchmarks/populations.py [--stars 20000] [--threads 1]

Rates are per second of processor time, since other programs may share the machine. For views of
the Milky Way down to a magnitude the other way is to sample all systems of the same sky and keep
those that are bright enough: its rate is that of the view of all, measured here too, times the
share of systems that are seen.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from maury.sky.photometry import cached_table
from maury.sky.populations import load_population
from maury.sky.populations.cluster import Cluster
from maury.sky.populations.milky_way import Footprint, MilkyWay, View
from maury.sky.populations.young import Young

BAND = "GAIA/GAIA3.G"
VIEWS = {
    "whole sky": (Footprint(), (12.0, 17.0)),
    "Galactic pole, 5 deg": (Footprint(0.0, 90.0, 5.0), (18.0,)),
    "Baade's window, 0.1 deg": (Footprint(1.0, -3.9, 0.1), (18.0,)),
}
CLUSTER = (8.6, 0.0, 10_000.0, 500.0, 0.3, 0.05)
"""log age, [Fe/H], Msun, pc, A_V and its spread: some 15,000 systems."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console(width=110)
    report_priors(console, options.stars)
    report_milky_way(console, options.stars)


def report_priors(console: Console, count: int) -> None:
    """Print the rates of the populations that have no view of the sky."""
    box, field, cluster, young = (
        load_population("box"),
        load_population("field"),
        Cluster(),
        Young(),
    )
    theta = torch.tensor(CLUSTER, dtype=torch.float64)
    many = 10 * count
    table = Table("population", "systems /s")
    for name, draw in {
        "box": lambda generator: len(box.sample(many, generator)),
        "field": lambda generator: len(field.sample(many, generator)),
        "cluster": lambda generator: len(cluster.sample(theta, generator)),
        "young": lambda generator: len(young.sample(count, generator).systems),
    }.items():
        table.add_row(name, f"{rate(draw):,.0f}")
    console.print(table)


def report_milky_way(console: Console, count: int) -> None:
    """Print what it takes to make views of the Milky Way and to sample them."""
    model = MilkyWay()
    assert model.born.numel()  # what all views share is made before any is timed
    columns = ("view", "G <", "systems in it", "to make, s", "systems /s", "keeping /s", "ratio")
    table = Table(*columns)
    for name, (footprint, limits) in VIEWS.items():
        made, every = timed(lambda: model.view(footprint))  # noqa: B023
        all_rate = rate(lambda generator: len(every.sample(count, generator)))  # noqa: B023
        table.add_row(
            name, "", f"{every.expected_count:.3g}", f"{made:.1f}", f"{all_rate:,.0f}", "", ""
        )
        for faintest in limits:
            made, view = timed(lambda: look(model, footprint, faintest))  # noqa: B023
            sampled = rate(lambda generator: len(view.sample(count, generator)))  # noqa: B023
            keeping = all_rate * view.expected_count / every.expected_count
            table.add_row(
                name,
                f"{faintest:g}",
                f"{view.expected_count:.3g}",
                f"{made:.1f}",
                f"{sampled:,.0f}",
                f"{keeping:,.1f}",
                f"{sampled / keeping:,.0f}",
            )
    console.print(table)


def look(model: MilkyWay, footprint: Footprint, faintest: float) -> View:
    """A view down to a magnitude in G."""
    table = cached_table("phoenix-kurucz", [BAND])
    return model.view(footprint, band=BAND, faintest=faintest, table=table)


def timed(make: Callable[[], View]) -> tuple[float, View]:
    """Seconds of processor time, and what was made."""
    began = time.process_time()
    view = make()
    return time.process_time() - began, view


def rate(draw: Callable[[torch.Generator], int]) -> float:
    """Systems per second of processor time, after one warm-up."""
    draw(torch.Generator().manual_seed(0))
    began = time.process_time()
    count = draw(torch.Generator().manual_seed(1))
    return count / (time.process_time() - began)


if __name__ == "__main__":
    main()
