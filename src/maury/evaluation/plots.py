"""Pictures of accuracy and calibration, and of answers. Each function returns a Figure."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binom
from torch import Tensor

from maury.errors import MauryError
from maury.evaluation.accuracy import EvaluationResult
from maury.evaluation.calibration import CalibrationResult, expected_coverage, rank_histogram
from maury.evaluation.reliability import Reliability
from maury.evaluation.style import COLOURS, SEQUENTIAL, label, style
from maury.inference.quantiles import quantiles

__all__ = ["corner", "coverage", "hr_diagram", "labels", "ranks", "save", "tarp"]

_NOMINAL = np.linspace(0.01, 0.99, 99)
_MANY_STARS = 500
_SHOWN = 0.99
"""Share of the draws that a corner plot's axes span: a few far ones would shrink the rest."""
_TEFF_TICKS = (2500, 3000, 3500, 4000, 5000, 6000, 8000, 12000, 20000, 30000, 45000)


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure:
        with style():
            return draw(*args, **kwargs)

    return drawn


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format that the path's suffix names."""
    with style():
        figure.savefig(path)


@_styled
def ranks(result: CalibrationResult) -> Figure:
    """SBC rank histograms, with the band that holds 99% of the bars of a calibrated posterior."""
    names = result.parameters
    figure = Figure(figsize=(2.4 * len(names), 2.5))
    for i, (name, ax) in enumerate(zip(names, _row(figure, len(names)), strict=True)):
        counts, p_value = rank_histogram(result.central[:, i])
        bins, total = len(counts), int(counts.sum())
        low, high = binom.interval(0.99, total, 1 / bins)
        ax.axhspan(low, high, color="0.88", lw=0)
        ax.axhline(total / bins, color="0.4", lw=0.8)
        edges = np.linspace(0, 1, bins + 1)
        ax.stairs(counts, edges, color=COLOURS[0], fill=True, alpha=0.4)
        ax.stairs(counts, edges, color=COLOURS[0])
        ax.set(xlim=(0, 1), ylim=(0, 1.25 * max(high, *counts)), xlabel="rank of the truth / draws")
        ax.set_title(f"{label(name, unit=False)}, p = {p_value:.2g}")
    figure.axes[0].set_ylabel("simulated stars")
    return figure


@_styled
def coverage(result: CalibrationResult) -> Figure:
    """Coverage of central intervals of each parameter, and of joint regions of highest density."""
    figure = Figure(figsize=(4.6, 5.4))
    curves = {
        label(name, unit=False): 2 * np.abs(result.central[:, i] - 0.5)
        for i, name in enumerate(result.parameters)
    }
    _curves(figure, {**curves, "all, by density": result.density})
    return figure


@_styled
def tarp(result: CalibrationResult) -> Figure:
    """Coverage of balls about random points (TARP)."""
    figure = Figure(figsize=(4.6, 5.4))
    _curves(figure, {"TARP": result.tarp})
    return figure


@_styled
def reliability(result: Reliability, *, what: str) -> Figure:
    """Share of stars of which it is true against the probability stated; ``what`` it is."""
    figure = Figure(figsize=(4.6, 4.6))
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.6", lw=0.8)
    axes.errorbar(result.stated, result.true, result.error, fmt="o", ms=4, color=COLOURS[0])
    axes.set_xlabel(f"stated probability of {what}")
    axes.set_ylabel("share of simulated stars")
    axes.set_title(f"area under ROC {result.area:.3f}, Brier {result.brier:.3f}")
    axes.set_aspect("equal")
    return figure


def _curves(figure: Figure, levels: dict[str, NDArray[np.float64]]) -> None:
    """Expected coverage against the nominal one above, and what is left of the difference below."""
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    stars = len(next(iter(levels.values())))
    error = np.sqrt(_NOMINAL * (1 - _NOMINAL) / stars)
    for ax, nominal in ((top, _NOMINAL), (bottom, 0 * _NOMINAL)):
        ax.fill_between(
            _NOMINAL, nominal - 2.58 * error, nominal + 2.58 * error, color="0.88", lw=0
        )
        ax.plot(_NOMINAL, nominal, color="0.4", lw=0.8)
    for i, (name, level) in enumerate(levels.items()):
        found = expected_coverage(level, _NOMINAL)[0]
        look: dict[str, Any] = {"color": COLOURS[i % len(COLOURS)], "label": name}
        top.plot(_NOMINAL, found, **look)
        bottom.plot(_NOMINAL, found - _NOMINAL, **look)
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="fraction of truths inside")
    top.legend(loc="upper left")
    bottom.set(xlabel="probability of the region", ylabel="difference")
    reach = max(0.03, *np.abs(bottom.get_ylim()))
    bottom.set_ylim(-reach, reach)


@_styled
def labels(result: EvaluationResult) -> Figure:
    """Answers against labels above, and their differences below, for each parameter."""
    names = result.parameters
    figure = Figure(figsize=(3.1 * len(names), 5.2))
    grid = figure.subplots(2, len(names), squeeze=False, sharex="col", height_ratios=(2, 1))
    for i, name in enumerate(names):
        truth, answer = result.truth[:, i], result.quantiles[2, :, i]
        both = np.isfinite(truth) & np.isfinite(answer)
        of, above, below = result.metrics[name], *grid[:, i]
        above.set_title(f"bias {of['bias']:+.3g}, MAD {of['mad']:.3g}, RMS {of['rms']:.3g}")
        above.set_ylabel(label(name, prefix="ours: "))
        below.set(xlabel=label(name, prefix="label: "), ylabel="ours - label")
        if not both.any():
            continue
        truth, answer = truth[both], answer[both]
        low, high = _range(np.concatenate([truth, answer]))
        _density(above, truth, answer, (low, high, low, high))
        above.plot([low, high], [low, high], color=COLOURS[1], lw=1)
        reach = max(np.abs(_range(answer - truth)))
        _density(below, truth, answer - truth, (low, high, -reach, reach))
        below.axhline(0, color=COLOURS[1], lw=1)
    return figure


def _density(
    ax: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    extent: tuple[float, float, float, float],
) -> None:
    inside = (x >= extent[0]) & (x <= extent[1]) & (y >= extent[2]) & (y <= extent[3])
    if len(x) < _MANY_STARS:
        ax.plot(x, y, ".", ms=3, color=COLOURS[0], alpha=0.6)
    else:
        wide, tall = 45, 45 if extent[1] - extent[0] == extent[3] - extent[2] else 18
        ax.hexbin(
            x[inside],
            y[inside],
            gridsize=(wide, tall),
            extent=extent,
            bins="log",
            mincnt=1,
            cmap=SEQUENTIAL,
            linewidths=0.1,
        )
    ax.set(xlim=extent[:2], ylim=extent[2:])


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """What holds all but one value in a hundred, with a margin."""
    low, high = np.quantile(values, [0.005, 0.995])
    margin = max(0.06 * (high - low), 1e-3 * max(abs(high), 1.0))
    return float(low - margin), float(high + margin)


@_styled
def corner(draws: Tensor | NDArray[Any], parameters: Sequence[str]) -> Figure:
    """Corner plot of one star's draws (K, D), in physical units."""
    with warnings.catch_warnings():  # of what it imports in turn, which is no concern of the user
        warnings.simplefilter("ignore")
        import corner as corner_plot  # here, since it takes seconds and pyplot with it

    values = np.asarray(draws, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(parameters) or not np.isfinite(values).all():
        raise MauryError(
            f"a corner plot needs one star's finite draws of shape (K, {len(parameters)}), "
            f"not {values.shape}"
        )
    figure = Figure(figsize=(1.5 * len(parameters) + 0.8,) * 2, layout=cast(Any, "none"))
    corner_plot.corner(
        values,
        fig=figure,
        labels=[label(name) for name in parameters],
        quantiles=(0.16, 0.5, 0.84),
        color=COLOURS[0],
        plot_datapoints=False,
        fill_contours=True,
        levels=(0.393, 0.865),
        range=[_SHOWN] * len(parameters),
        smooth=0.8,
        max_n_ticks=4,
    )
    middles = quantiles(torch.as_tensor(values), (0.16, 0.5, 0.84)).T.tolist()
    for name, middle, ax in zip(
        parameters, middles, figure.axes[:: len(parameters) + 1], strict=True
    ):
        ax.set_title(_with_interval(name, *middle), fontsize=10)
    return figure


def _with_interval(name: str, low: float, median: float, high: float) -> str:
    """Median with its 68% interval, to two digits of the smaller arm."""
    smaller = max(min(high - median, median - low), 1e-6 * max(abs(median), 1e-3))
    digits = max(0, 1 - int(np.floor(np.log10(smaller))))
    arms = f"^{{+{high - median:.{digits}f}}}_{{-{median - low:.{digits}f}}}"
    return f"{label(name, unit=False)} = ${median:.{digits}f}{arms}$"


@_styled
def hr_diagram(catalog: Table) -> Figure:
    """Temperature and gravity of a catalogue of answers, coloured by metallicity.

    Parameters
    ----------
    catalog : Table
        What `maury infer` writes: teff, logg and mh, each with ``_lo`` and ``_hi``.
    """
    columns = [f"{name}{end}" for name in ("teff", "logg") for end in ("", "_lo", "_hi")]
    missing = [name for name in (*columns, "mh") if name not in catalog.colnames]
    if missing:
        raise MauryError(f"the catalogue has no column {', '.join(missing)}: give maury's answers")
    values = {name: _filled(catalog[name]) for name in (*columns, "mh")}
    known = np.isfinite(np.stack(list(values.values()))).all(axis=0)
    values = {name: column[known] for name, column in values.items()}
    figure = Figure(figsize=(5.4, 5.2))
    ax = figure.subplots()
    ax.set_xscale("log")
    ax.errorbar(
        values["teff"],
        values["logg"],
        xerr=_arms(values, "teff"),
        yerr=_arms(values, "logg"),
        fmt="none",
        ecolor="0.6",
        elinewidth=0.6,
        alpha=float(np.clip(60 / max(known.sum(), 1), 0.04, 0.8)),
        zorder=1,
    )
    points = ax.scatter(
        values["teff"],
        values["logg"],
        c=values["mh"],
        s=float(np.clip(4000 / max(known.sum(), 1), 3, 22)),
        cmap=SEQUENTIAL,
        linewidths=0,
        zorder=2,
    )
    if known.any():
        low, high = values["teff_lo"].min() / 1.02, values["teff_hi"].max() * 1.02
        ticks = _spaced([t for t in _TEFF_TICKS if low < t < high], (high / low) ** 0.11)
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.minorticks_off()
        ax.set_xlim(low, high)
    ax.invert_xaxis()
    ax.invert_yaxis()
    ax.set(xlabel=label("teff"), ylabel=label("logg"))
    figure.colorbar(points, label=label("mh"))
    return figure


def _spaced(ticks: list[int], ratio: float) -> list[int]:
    """Those of ascending ticks whose labels do not touch: each ``ratio`` above the one before."""
    kept: list[int] = []
    for tick in ticks:
        if not kept or tick >= kept[-1] * ratio:
            kept.append(tick)
    return kept


def _arms(values: dict[str, NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    """Lower and upper error bars; rounding must not make one negative."""
    middle = values[name]
    arms = np.stack([middle - values[f"{name}_lo"], values[f"{name}_hi"] - middle])
    return np.clip(arms, 0, None)


def _filled(column: Any) -> NDArray[np.float64]:
    return np.ma.filled(np.ma.asarray(column).astype(float), np.nan)


def _row(figure: Figure, count: int) -> list[Axes]:
    return list(figure.subplots(1, count, squeeze=False)[0])
