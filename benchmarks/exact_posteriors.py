"""What the simulated sky alone says of real stars: posteriors without any network.

    python benchmarks/exact_posteriors.py configs/iris-base.toml labelled.parquet [--stars 150]

Draws one large set of stars from the prior, keeps for each real star the draws nearest to it, and
weights these by the exact likelihood. Errors against the labels that remain here are those of the
prior, the library, the zero points or the noise model; a network cannot do better, only come close.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maury.catalogs.readers import read_table
from maury.evaluation.accuracy import label_columns, metrics
from maury.evaluation.report import markdown
from maury.inference.likelihood import log_likelihood
from maury.measurements import Measurements
from maury.simulator import Simulator
from maury.training.config import read_config

PRIOR_DRAWS = 400_000
NEAREST = 6000
DRAWS = 1000
CLIP = 9.0
"""Squared deviation, in variances, beyond which a band counts no further in the first sieve."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--stars", type=int, default=150)
    parser.add_argument("--bands", type=int, default=6, help="fewest bands of a star")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    simulator = Simulator(read_config(arguments.config).simulator)
    table = read_table(arguments.catalog)
    observed = Measurements.from_table(table).select(simulator.channels)[0]
    labels = label_columns(table.colnames, simulator.parameters)
    rows = _some_rows(table, observed, arguments)
    generator = torch.Generator().manual_seed(arguments.seed)
    theta = simulator.prior.sample(PRIOR_DRAWS, generator)
    magnitudes, inside = simulator.table(theta)
    theta, magnitudes = theta[inside], magnitudes[inside]
    answers = [_posterior(simulator, observed[[row]], theta, magnitudes, generator) for row in rows]
    draws = torch.stack([draws for draws, _ in answers], dim=1)
    ess = np.median([ess for _, ess in answers])
    print(f"{len(rows)} stars of {arguments.catalog.name}, median effective draws {ess:.0f}\n")
    print(markdown(_table(simulator, table[rows], labels, draws)))


def _some_rows(table, observed: Measurements, arguments: argparse.Namespace) -> list[int]:
    teff = np.ma.filled(np.ma.asarray(table["ref_teff"], dtype=float), np.nan)
    usable = (observed.measured.sum(1).numpy() >= arguments.bands) & np.isfinite(teff)
    rows = np.flatnonzero(usable)
    chosen = np.random.default_rng(arguments.seed).permutation(rows)[: arguments.stars]
    return sorted(chosen.tolist())


@torch.no_grad()
def _posterior(
    simulator: Simulator,
    star: Measurements,
    theta: Tensor,
    magnitudes: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, float]:
    """Draws (K, D) of one star's posterior, and how many independent ones they are worth."""
    star = star.compact()
    bands = star.channel[0] < len(simulator.config.bands)
    band, value, sigma = (x[0][bands] for x in (star.channel, star.value, star.sigma))
    residual = value - magnitudes[:, band]
    variance = sigma**2 + simulator.instrument.noise.variance[band, 0]
    residual = residual - residual.median(dim=1, keepdim=True).values
    distance = (residual**2 / variance).clamp(max=CLIP).sum(1)
    near = theta[distance.topk(NEAREST, largest=False).indices]
    weight = torch.softmax(log_likelihood(simulator, star, near[:, None])[:, 0].double(), 0)
    pick = torch.multinomial(weight, DRAWS, replacement=True, generator=generator)
    return near[pick], float(1 / (weight**2).sum())


def _table(simulator: Simulator, table, labels: dict[str, str], draws: Tensor) -> list[list[str]]:
    rows = [["parameter", "n", "bias", "mad", "rms", "rank", "68% coverage"]]
    for name, column in labels.items():
        truth = np.ma.filled(np.ma.asarray(table[column], dtype=float), np.nan)
        known = np.isfinite(truth)
        if not known.any():
            continue
        error = f"{column}_err"
        errors = None
        if error in table.colnames:
            errors = np.ma.filled(np.ma.asarray(table[error], dtype=float), np.nan)[known]
        values = draws[:, torch.as_tensor(known), simulator.parameters.index(name)]
        m = metrics(values.numpy(), truth[known], errors)
        figures = (m[key] for key in ("bias", "mad", "rms", "rank", "coverage68"))
        rows.append([name, str(m["n"]), *(f"{figure:.3f}" for figure in figures)])
    return rows


if __name__ == "__main__":
    main()
