"""Accuracy on real stars with trusted labels, beside the published figures.

    python benchmarks/development_figures.py iris-base ../shared/observed -o docs/development.md

These stars were looked at while the models were made, so the figures are development figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from maury import Posterior
from maury.catalogs.readers import read_table
from maury.evaluation.accuracy import EvaluationResult, evaluate
from maury.evaluation.report import markdown, write_report
from maury.measurements import Measurements

FILES = ("field_stars", "metal_poor", "m67", "planet_hosts")
FEWEST_BANDS = 6
DUSTY = 0.3

Choice = Callable[[EvaluationResult, NDArray[np.int64]], NDArray[np.bool_]]

SUBSETS: dict[str, dict[str, Choice]] = {
    "field_stars": {
        f"{FEWEST_BANDS} bands or more": lambda result, bands: bands >= FEWEST_BANDS,
        f"A_V > {DUSTY} on the map": lambda result, bands: _label(result, "a_v") > DUSTY,
    }
}

PUBLISHED = {
    ("field_stars", "all", "teff"): "disc 314 / 169 K",
    ("metal_poor", "all", "mh"): "halo 0.31 / 0.21",
}
"""RMS / MAD of IrisML on stars with APOGEE labels: other stars than these, of the same kinds."""

HEADER = [
    *("stars", "subset", "parameter", "n", "RMS", "MAD", "bias", "rank", "68%", "95%"),
    *("MAD of a constant", "published"),
]


def main() -> None:
    """Evaluate a model on each catalogue and table the figures."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model", help="a shipped name or a folder")
    parser.add_argument("observed", type=Path, help="folder of labelled catalogues")
    parser.add_argument("-o", "--out", type=Path, help="Markdown file to write the table to")
    parser.add_argument("--reports", type=Path, help="folder for a report on each catalogue")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    console, posterior, rows = Console(stderr=True), Posterior.load(args.model), [HEADER]
    for name in FILES:
        began = time.perf_counter()
        table = read_table(args.observed / f"{name}.parquet")
        result = evaluate(posterior, table, draws=args.draws, seed=args.seed)
        took = time.perf_counter() - began
        console.print(f"{name}: {len(result)} stars x {args.draws} draws in {took:.1f} s")
        bands = _bands_read(posterior, Measurements.from_table(table))[result.rows]
        rows += _rows(name, "all", result)
        for subset, choose in SUBSETS.get(name, {}).items():
            rows += _rows(name, subset, result[choose(result, bands)])
        if args.reports:
            write_report(result, args.reports / name, title=f"{args.model} on {name}")
    print(markdown(rows))
    if args.out:
        args.out.write_text(_page(args.model, args.draws, rows), encoding="utf-8")


def _rows(name: str, subset: str, result: EvaluationResult) -> list[list[str]]:
    rows = []
    for i, (parameter, of) in enumerate(result.metrics.items()):
        size = "{:.0f}" if parameter == "teff" else "{:.3f}"
        known = result.truth[np.isfinite(result.truth[:, i]), i]
        constant = np.median(np.abs(known - np.median(known))) if known.size else np.nan
        rows.append(
            [
                *(name, subset, parameter, str(of["n"])),
                *(size.format(of[key]) for key in ("rms", "mad", "bias")),
                *(
                    f"{of[key]:.2f}".replace("nan", "-")
                    for key in ("rank", "coverage68", "coverage95")
                ),
                size.format(constant),
                PUBLISHED.get((name, subset, parameter), ""),
            ]
        )
    return rows


def _label(result: EvaluationResult, parameter: str) -> NDArray[np.float64]:
    if parameter not in result.parameters:
        return np.full(len(result), np.nan)
    return result.truth[:, result.parameters.index(parameter)]


def _bands_read(posterior: Posterior, obs: Measurements) -> NDArray[np.int64]:
    """How many of each star's bands the model reads."""
    known = posterior.known(obs)
    is_band = np.array(["/" in name for name in known.channels])
    return (known.measured.numpy() & is_band[known.channel.numpy()]).sum(axis=1)


def _page(model: str, draws: int, rows: list[list[str]]) -> str:
    return f"""# Development figures of {model}

Real stars with spectroscopic labels (LAMOST, GALAH, APOGEE, RAVE, HIRES), {draws} draws each. RMS,
MAD (median absolute error) and bias (median error, ours minus label) are those of the posterior
median, in K for teff, dex for logg and mh, mag for a_v; rank is the rank correlation with the
labels; 68% and 95% are the shares of labels inside the central intervals, label errors added in
quadrature. "MAD of a constant" is what the best constant guess reaches: a small MAD alone shows no
skill. a_v is compared with a dust map or a cluster's mean. The published figures are IrisML's (RMS
/ MAD) on other stars with APOGEE labels.

These stars were looked at while the model was made: the figures guide development and are no
independent test.

{markdown(rows)}
"""


if __name__ == "__main__":
    main()
