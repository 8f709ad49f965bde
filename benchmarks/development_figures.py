"""Accuracy on real stars with trusted labels, beside the published figures.

    python benchmarks/development_figures.py iris-base ../shared/observed -o docs/development.md

These stars were looked at while the models were made, so the figures are development figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from maury import Posterior
from maury.evaluation.accuracy import EvaluationResult, evaluate
from maury.evaluation.report import markdown, write_report

FEWEST_BANDS = 6
HALVED = "field_stars"
"""The other half of its stars told the offsets of `maury.instruments.photometric_zero_point`."""

PARALLAX = ["parallax", "parallax_err"]
BANDS = ("gaia_", "tmass_", "wise_", "ps1_", "sdss_", "sm_", "galex_")

Table: TypeAlias = pd.DataFrame


def _bands(table: Table) -> NDArray[np.int64]:
    """How many bands each star has."""
    names = [c for c in table if c.startswith(BANDS) and f"{c}_err" in table]
    return table[names].notna().sum(axis=1).to_numpy()


def _map_told(table: Table) -> Table:
    """The dust map's A_V as outside knowledge: its error, and a tenth for the map's scale and for
    what lies beyond or beside the star."""
    wide = np.hypot(2.742 * table["ref_e_bayestar_err"], 0.1 * table["ref_av_approx"])
    return table.assign(prior_a_v=table["ref_av_approx"], prior_a_v_err=np.hypot(wide, 0.03))


def _as_it_is(table: Table) -> Table:
    return table


def _everyone(table: Table) -> NDArray[np.bool_]:
    return np.ones(len(table), dtype=bool)


@dataclass(frozen=True)
class Case:
    """Stars of a file, changed before they are answered; figures of some subsets of them."""

    file: str
    name: str
    change: Callable[[Table], Table] = _as_it_is
    stars: Callable[[Table], NDArray[np.bool_]] = _everyone


def _more_than(a_v: float) -> Callable[[Table], NDArray[np.bool_]]:
    return lambda table: table["ref_av_approx"].to_numpy() > a_v


def _single(table: Table) -> NDArray[np.bool_]:
    return table["keyi_single"].to_numpy(dtype=float, na_value=0.0) == 1.0


CASES = (
    Case("field_stars", "all"),
    Case("field_stars", "6 bands or more", stars=lambda t: _bands(t) >= FEWEST_BANDS),
    Case("field_stars", "A_V > 1 on the map", stars=_more_than(1.0)),
    Case("field_stars", "A_V > 0.3 on the map", stars=_more_than(0.3)),
    Case("field_stars", "A_V of the map told", _map_told),
    Case("field_stars", "without parallax", lambda t: t.drop(columns=PARALLAX)),
    Case("metal_poor", "all"),
    Case("m67", "single", stars=_single),
    Case(
        "m67",
        "single, log g < 4.2",
        stars=lambda t: _single(t) & (t["ref_logg"] < 4.2).to_numpy(),
    ),
    Case("m67", "all"),
    Case("m67", "without parallax", lambda t: t.drop(columns=PARALLAX)),
    Case("planet_hosts", "all"),
    Case("planet_hosts", "without parallax", lambda t: t.drop(columns=PARALLAX)),
    Case("young_clusters", "all"),
)

PUBLISHED = {
    ("field_stars", "all", "teff"): "disc 314 / 169 K",
    ("metal_poor", "all", "mh"): "halo 0.31 / 0.21",
}
"""RMS / MAD of IrisML on stars with APOGEE labels: other stars than these, of the same kinds."""

RELATIVE = ("mass", "radius", "distance")

HEADER = [
    *("stars", "subset", "parameter", "n", "RMS", "MAD", "bias", "rank", "68%", "95%"),
    *("MAD of a constant", "relative error", "published"),
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
    answered: dict[tuple[str, Callable[[Table], Table]], EvaluationResult] = {}
    for case in CASES:
        table = _labelled(args.observed / f"{case.file}.parquet")
        key = (case.file, case.change)
        if key not in answered:
            began = time.perf_counter()
            result = evaluate(posterior, case.change(table), draws=args.draws, seed=args.seed)
            took = time.perf_counter() - began
            console.print(f"{case.file}: {len(result)} stars x {args.draws} draws in {took:.1f} s")
            answered[key] = result
            if args.reports:
                folder = args.reports / case.file / case.name.replace(" ", "-")
                write_report(result, folder, title=f"{args.model} on {case.file}")
        result = answered[key]
        rows += _rows(case.file, case.name, result[case.stars(table)[result.rows]])
    print(markdown(rows))
    if args.out:
        args.out.write_text(_page(args.model, args.draws, rows), encoding="utf-8")


def _labelled(path: Path) -> Table:
    """A catalogue whose label columns are named as `evaluate` wants them."""
    table = pd.read_parquet(path).rename(columns={"ref_dist_pc": "ref_distance"})
    if path.stem == HALVED:
        table = table.iloc[1::2].reset_index(drop=True)
    if "ref_age_gyr" in table:
        table["ref_log_age"] = 9 + np.log10(table["ref_age_gyr"])
    return table


def _rows(name: str, subset: str, result: EvaluationResult) -> list[list[str]]:
    rows = []
    for i, (parameter, of) in enumerate(result.metrics.items()):
        size = "{:.0f}" if parameter in ("teff", "distance") else "{:.3f}"
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
                _relative_error(result, i) if parameter in RELATIVE else "",
                PUBLISHED.get((name, subset, parameter), ""),
            ]
        )
    return rows


def _relative_error(result: EvaluationResult, i: int) -> str:
    off = np.abs(result.quantiles[2, :, i] / result.truth[:, i] - 1)
    return f"{np.nanmedian(off):.1%}"


def _page(model: str, draws: int, rows: list[list[str]]) -> str:
    return f"""# Development figures of {model}

Real stars with spectroscopic labels (LAMOST, GALAH, APOGEE, RAVE, HIRES), {draws} draws each. RMS,
MAD (median absolute error) and bias (median error, ours minus label) are those of the posterior
median, in K for teff, dex for logg, mh and log_age, mag for a_v, solar units for mass and radius,
pc for distance; "relative error" is the median of |ours / label - 1|; rank is the rank correlation
with the labels; 68% and 95% are the shares of labels inside the central intervals, label errors
added in quadrature. "MAD of a constant" is what the best constant guess reaches: a small MAD alone
shows no skill. a_v is compared with a dust map or a cluster's mean. Of field_stars every second one
is left out: those told the offsets of the catalogues' colours. "A_V of the map told" gives the
map's value as outside knowledge, with its own error, a tenth of it and 0.03 mag in quadrature. The
published figures are IrisML's (RMS / MAD) on other stars with APOGEE labels.

These stars were looked at while the model was made: the figures guide development and are no
independent test.

{markdown(rows)}
"""


if __name__ == "__main__":
    main()
