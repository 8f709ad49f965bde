"""A comparison of two spectral libraries as files: a table and two pictures."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.table import Table
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable

from maury.evaluation.style import label, style
from maury.sky.bands import band
from maury.sky.libraries.compare import MH_RANGES, TEFF_RANGES, LibraryComparison

__all__ = ["comparison_table", "hr_diagrams", "median_map", "rich_medians", "write_comparison"]

_SHOWN = 0.3  # mag, where the colours end
_LINEAR = 0.02  # mag, within which colours are linear
_COLUMNS = 7
_DIVERGING = "RdBu_r"
_TICKS = (-0.3, -0.1, -0.03, -0.01, 0, 0.01, 0.03, 0.1, 0.3)


def write_comparison(comparison: LibraryComparison, folder: Path) -> None:
    """Write `differences.ecsv`, `medians.png` and `hr.png` into a folder, made where missing.

    Raises
    ------
    OSError
        Where the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    comparison_table(comparison).write(folder / "differences.ecsv", overwrite=True)
    for name, figure in (("medians", median_map(comparison)), ("hr", hr_diagrams(comparison))):
        with style():
            figure.savefig(folder / f"{name}.png")


def comparison_table(comparison: LibraryComparison) -> Table:
    """A row for each band, range of Teff and range of metallicity that holds a star."""
    rows = []
    for mh in _mh_ranges():
        medians, spreads = comparison.medians(mh), comparison.spreads(mh)
        counts = comparison.counts(mh)
        for i, name in enumerate(comparison.bands):
            for j in np.flatnonzero(counts):
                ends = (TEFF_RANGES[j], TEFF_RANGES[j + 1], *mh)
                rows.append((name, *ends, counts[j], medians[i, j], spreads[i, j]))
    names = ("band", "teff_from", "teff_to", "mh_from", "mh_to", "stars", "median", "spread")
    table = Table(rows=rows, names=names)
    for column in ("teff_from", "teff_to"):
        table[column].unit = "K"
    for column in ("median", "spread"):
        table[column].unit = "mag"
        table[column].info.format = ".4f"
    table.meta["difference"] = " minus ".join(comparison.names)
    table.meta["left_out"] = list(comparison.left_out)
    return table


def rich_medians(comparison: LibraryComparison) -> list[RichTable]:
    """Medians by band and Teff for the screen, a table for each range of metallicity."""
    tables = []
    for mh in _mh_ranges():
        counts, medians = comparison.counts(mh), comparison.medians(mh)
        used = np.flatnonzero(counts)
        if not len(used):
            continue
        title = f"{' minus '.join(comparison.names)}, [Fe/H] {mh[0]:g} to {mh[1]:g}: median, mag"
        table = RichTable(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("Teff, 1000 K", no_wrap=True)
        for j in used:
            ends = f"{TEFF_RANGES[j] / 1000:g}-{TEFF_RANGES[j + 1] / 1000:g}"
            table.add_column(ends, justify="right", no_wrap=True, min_width=7)
        for i in _by_wavelength(comparison):
            short = comparison.bands[i].partition("/")[2]
            table.add_row(short, *(f"{medians[i, j]:+.3f}" for j in used))
        table.add_section()
        table.add_row("stars", *(f"{counts[j]:,}" for j in used))
        tables.append(table)
    return tables


def median_map(comparison: LibraryComparison) -> Figure:
    """Median difference by band (rows, blue to red) and Teff, a panel for each metallicity."""
    order = _by_wavelength(comparison)
    ranges = [mh for mh in _mh_ranges() if comparison.counts(mh).any()]
    used = np.flatnonzero(comparison.counts())
    with style():
        size = (1.6 + 0.5 * len(used) * len(ranges) + 0.9, 0.9 + 0.155 * len(order))
        figure = Figure(figsize=size)
        panels = np.atleast_1d(figure.subplots(1, len(ranges), sharey=True))
        for ax, mh in zip(panels, ranges, strict=True):
            values = comparison.medians(mh)[order][:, used]
            image = ax.imshow(values, cmap=_DIVERGING, norm=_norm(), aspect="auto")
            ax.set_facecolor("0.8")
            ax.set_title(f"{label('mh', unit=False)} {mh[0]:g} to {mh[1]:g}")
            edges = [*TEFF_RANGES[used[0] : used[-1] + 2]]
            ax.set_xticks(np.arange(len(edges)) - 0.5, [f"{e / 1000:g}" for e in edges])
            ax.set_yticks(np.arange(len(order)), [comparison.bands[i] for i in order], fontsize=7)
            ax.tick_params(which="both", direction="out", top=False, right=False)
            ax.set_xlabel(f"{label('teff', unit=False)} [1000 K]")
        bar = figure.colorbar(image, ax=panels, ticks=_TICKS, extend="both", aspect=40)
        bar.set_label(f"{' minus '.join(comparison.names)} [mag]")
        bar.set_ticklabels([f"{tick:g}" for tick in _TICKS])
    return figure


def hr_diagrams(comparison: LibraryComparison) -> Figure:
    """Difference over (Teff, log g), the median over metallicity, a panel for each band."""
    order = _by_wavelength(comparison)
    stars, values = _over_metallicity(comparison)
    rows = -(-len(order) // _COLUMNS)
    with style():
        figure = Figure(figsize=(1.65 * _COLUMNS + 0.8, 1.5 * rows + 0.6))
        panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        for ax in panels.flat[len(order) :]:
            ax.set_axis_off()
        for ax, i in zip(panels.flat, order, strict=False):
            dots = ax.scatter(*stars.T, c=values[:, i], s=5, lw=0, cmap=_DIVERGING, norm=_norm())
            ax.set_title(comparison.bands[i].partition("/")[2], fontsize=8, pad=2)
            ax.set_facecolor("0.8")
        first = panels[0, 0]
        first.set_xscale("log")
        first.set_xlim(1.06 * stars[:, 0].max(), stars[:, 0].min() / 1.06)
        first.set_ylim(stars[:, 1].max() + 0.4, stars[:, 1].min() - 0.4)
        ticks = [t for t in (3000, 5000, 10000, 30000) if first.get_xlim()[1] < t]
        first.set_xticks(ticks, [f"{t / 1000:g}" for t in ticks])
        first.xaxis.set_minor_locator(NullLocator())
        figure.supxlabel(f"{label('teff', unit=False)} [1000 K]", fontsize=10)
        figure.supylabel(label("logg"), fontsize=10)
        bar = figure.colorbar(dots, ax=panels, ticks=_TICKS, extend="both", aspect=50)
        bar.set_label(f"{' minus '.join(comparison.names)} [mag]")
        bar.set_ticklabels([f"{tick:g}" for tick in _TICKS])
    return figure


def _over_metallicity(
    comparison: LibraryComparison,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (P, 2) of Teff and log g, and median differences (P, B) there."""
    stars = np.stack([comparison.teff, comparison.logg], axis=1)
    points, member = np.unique(stars, axis=0, return_inverse=True)
    member = member.ravel()
    values = [np.median(comparison.difference[member == p], axis=0) for p in range(len(points))]
    return points, np.stack(values)


def _by_wavelength(comparison: LibraryComparison) -> NDArray[np.int64]:
    return np.argsort([band(name).pivot for name in comparison.bands])


def _mh_ranges() -> list[tuple[float, float]]:
    return list(pairwise(MH_RANGES))


def _norm() -> Normalize:
    return SymLogNorm(_LINEAR, vmin=-_SHOWN, vmax=_SHOWN)
