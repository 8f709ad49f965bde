"""A model's answers beside exact posteriors, by nested sampling, of mock stars.

    python benchmarks/nested_sampling.py iris-base --stars 20 -o docs/nested_sampling.md

dynesty explores the same prior times the likelihood that the simulator implies (errors, floors,
jitter, outliers, spoilt surveys, outside knowledge), the amplitude integrated out numerically. It
shares neither network nor training with the model. The same density also weighs the model's own
draws. Figures are of log Teff (natural), log g, [M/H], A_V and R_V. Writes JSON beside the page.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from maury import Posterior
from maury.evaluation.baselines import WeightedDraws, importance_sampling, nested_sampling
from maury.evaluation.report import markdown
from maury.simulator import Simulator

NEAR = 0.3
"""Largest median difference of means, in units of the exact standard deviation."""

ALIKE = 0.2
"""Largest median difference of widths, relative to the exact one."""


@dataclass(frozen=True)
class Comparison:
    """Moments (N, D) of N stars: exact ones, the model's, and those of its weighted draws."""

    exact: NDArray[np.float64]
    exact_width: NDArray[np.float64]
    model: NDArray[np.float64]
    model_width: NDArray[np.float64]
    weighted: NDArray[np.float64]
    weighted_width: NDArray[np.float64]

    def offset(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances (N, D) of means from the exact ones, in exact standard deviations."""
        return np.abs(mean - self.exact) / self.exact_width

    def misfit(self, width: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far (N, D) ratios of widths to the exact ones are from 1."""
        return np.abs(width / self.exact_width - 1)


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model", help="a shipped name or a folder")
    parser.add_argument("--stars", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--live-points", type=int, default=250)
    parser.add_argument("--tolerance", type=float, default=0.1, help="dlogz of dynesty")
    parser.add_argument("--draws", type=int, default=4000, help="of the model, for each star")
    parser.add_argument("-o", "--out", type=Path, help="Markdown file; JSON is put beside it")
    args = parser.parse_args()

    posterior = Posterior.load(args.model, device="cpu")
    simulator = Simulator(posterior.config.simulator)
    generator = torch.Generator().manual_seed(args.seed)
    observations = simulator.draw(args.stars, generator).measurements
    own = importance_sampling(posterior, observations, draws=args.draws, seed=args.seed)
    began = time.perf_counter()
    exact = nested_sampling(
        simulator,
        observations,
        live_points=args.live_points,
        tolerance=args.tolerance,
        seed=args.seed,
    )
    minutes = (time.perf_counter() - began) / 60

    comparison = compare(exact, own)
    about = (
        f"{args.stars} mock stars (seed {args.seed}) of {posterior.name}; dynesty with "
        f"{args.live_points} live points, dlogz {args.tolerance}, "
        f"{sum(e.calls for e in exact):,} likelihoods in {minutes:.1f} minutes; "
        f"{args.draws} draws of the model for each star."
    )
    bands = simulator.config.bands
    count = (observations.measured & (observations.channel < len(bands))).sum(1).tolist()
    known = observations.measured.sum(1).tolist()
    summary = summarise(comparison, exact, own, posterior.parameters)
    stars = [
        {
            "bands": count[i],
            "knowledge": known[i] - count[i],
            "log_evidence": exact[i].log_evidence,
            "log_evidence_weighted": own[i].log_evidence,
            "ess_fraction": own[i].effective / args.draws,
            **{
                name: [float(f"{row[i, j]:.6g}") for row in vars(comparison).values()]
                for j, name in enumerate(posterior.parameters)
            },
        }
        for i in range(args.stars)
    ]
    page = _page(about, summary, comparison, stars, posterior.parameters)
    print(page)
    if args.out:
        columns = list(vars(comparison))
        found = {"about": about, "summary": summary, "columns": columns, "stars": stars}
        args.out.write_text(page, encoding="utf-8")
        args.out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


def compare(exact: list[WeightedDraws], own: list[WeightedDraws]) -> Comparison:
    """Moments of the exact posteriors and of the model's draws, plain and weighted."""
    plain = [np.full(len(star.weight), 1 / len(star.weight)) for star in own]
    return Comparison(
        *_moments([(star.values, star.weight) for star in exact]),
        *_moments([(star.values, even) for star, even in zip(own, plain, strict=True)]),
        *_moments([(star.values, star.weight) for star in own]),
    )


def summarise(
    comparison: Comparison,
    exact: list[WeightedDraws],
    own: list[WeightedDraws],
    parameters: tuple[str, ...],
) -> dict:
    """Medians over stars and parameters, and whether they are as small as they should be."""
    offset, misfit = comparison.offset(comparison.model), comparison.misfit(comparison.model_width)
    evidence = [a.log_evidence - b.log_evidence for a, b in zip(own, exact, strict=True)]
    return {
        "median_offset": float(np.median(offset)),
        "median_width_misfit": float(np.median(misfit)),
        "passes": bool(np.median(offset) <= NEAR and np.median(misfit) <= ALIKE),
        "offset": dict(zip(parameters, np.median(offset, 0).tolist(), strict=True)),
        "width_misfit": dict(zip(parameters, np.median(misfit, 0).tolist(), strict=True)),
        "width_ratio": dict(
            zip(
                parameters,
                np.median(comparison.model_width / comparison.exact_width, 0).tolist(),
                strict=True,
            )
        ),
        "median_offset_weighted": float(np.median(comparison.offset(comparison.weighted))),
        "median_width_misfit_weighted": float(
            np.median(comparison.misfit(comparison.weighted_width))
        ),
        "median_ess_fraction": float(np.median([s.effective / len(s.weight) for s in own])),
        "median_evidence_difference": float(np.median(evidence)),
    }


def _moments(
    stars: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and standard deviations (N, D), the first parameter in the logarithm."""
    means, widths = [], []
    for values, weight in stars:
        columns = np.column_stack([np.log(values[:, 0]), values[:, 1:]])
        means.append(weight @ columns)
        widths.append(np.sqrt(weight @ (columns - means[-1]) ** 2))
    return np.array(means), np.array(widths)


def _page(
    about: str,
    summary: dict,
    comparison: Comparison,
    stars: list[dict],
    parameters: tuple[str, ...],
) -> str:
    overall = [
        ["", *parameters, "all"],
        ["difference of means / exact width", *_row(summary["offset"], summary["median_offset"])],
        [
            "width: relative difference",
            *_row(summary["width_misfit"], summary["median_width_misfit"]),
        ],
        ["width / exact width", *_row(summary["width_ratio"]), ""],
    ]
    head = ["star", "bands", "known", "ESS", "log Z", "log Z, weighted", *parameters]
    offset = (comparison.model - comparison.exact) / comparison.exact_width
    ratio = comparison.model_width / comparison.exact_width
    rows = [
        [
            *(str(i), str(star["bands"]), str(star["knowledge"]), f"{star['ess_fraction']:.2f}"),
            *(f"{star['log_evidence']:.2f}", f"{star['log_evidence_weighted']:.2f}"),
            *(f"{o:+.2f}, {r:.2f}" for o, r in zip(offset[i], ratio[i], strict=True)),
        ]
        for i, star in enumerate(stars)
    ]
    verdict = "Both are met." if summary["passes"] else "They are not both met."
    return f"""# Beside nested sampling

{about}

Medians over stars; asked for are {NEAR} and {ALIKE} over all. {verdict}

{markdown(overall)}

Prior times likelihood also weighs the model's own draws: the effective share of draws that remains
is {summary["median_ess_fraction"]:.2f} in the median. The weighted draws' means are
{summary["median_offset_weighted"]:.2f} exact widths from dynesty's and their widths differ by
{summary["median_width_misfit_weighted"]:.2f}, which is how exactly the two exact methods agree.

Star by star: difference of means in exact widths, and ratio of widths (model / exact). Temperatures
are compared in the logarithm. "known" counts tokens of outside knowledge, "ESS" is the effective
share of draws, log Z the evidence of dynesty and of the weighted draws.

{markdown([head, *rows])}
"""


def _row(by_parameter: dict[str, float], *overall: float) -> list[str]:
    return [f"{value:.2f}" for value in (*by_parameter.values(), *overall)]


if __name__ == "__main__":
    main()
