"""Whose fault is an error on real stars: the network's, or that of prior, library and noise?

    python benchmarks/network_or_physics.py maury-base ../shared/observed/m67.parquet [--stars 100]

Draws of a model that knows distances are weighed by prior times likelihood over the network's own
density (importance sampling), which makes them draws of the exact posterior of the simulated sky.
Errors against the labels that stay are not the network's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maury import Posterior
from maury.evaluation.accuracy import label_columns, metrics
from maury.evaluation.report import markdown
from maury.inference.completion import complete, completed
from maury.inference.likelihood import log_likelihood
from maury.measurements import Measurements
from maury.simulator import Simulator

STARS_AT_ONCE = 10
LEAST_EFFECTIVE = 20
"""Stars of fewer effective draws are left out, of both columns alike."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a shipped name or a folder")
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--stars", type=int, default=100)
    parser.add_argument("--draws", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    posterior = Posterior.load(args.model)
    simulator = Simulator(posterior.config.simulator)
    table = pd.read_parquet(args.catalog).rename(columns={"ref_dist_pc": "ref_distance"})
    table = table[table["ref_teff"].notna()]
    table = table.sample(min(args.stars, len(table)), random_state=args.seed)
    stars = posterior.known(Measurements.from_table(table))
    drawn, weighed, effective = [], [], []
    generator = torch.Generator().manual_seed(args.seed)
    for first in range(0, len(stars), STARS_AT_ONCE):
        some = stars[first : first + STARS_AT_ONCE]
        values = posterior.sample(some, args.draws, seed=args.seed).values
        values = values[..., : len(posterior.parameters)]  # the rest follows from these
        weight = _weight(posterior, simulator, some, values)
        effective.append(1 / (weight**2).sum(0))
        pick = torch.multinomial(weight.T, args.draws, replacement=True, generator=generator).T
        drawn.append(values)
        weighed.append(values.gather(0, pick[..., None].expand_as(values)))
    ess = torch.cat(effective).numpy()
    good = ess > LEAST_EFFECTIVE
    print(
        f"{args.catalog.name}: {len(stars)} stars x {args.draws} draws; effective: median "
        f"{np.median(ess):.0f}, {good.sum()} stars above {LEAST_EFFECTIVE}\n"
    )
    print(markdown(_rows(posterior, table, good, torch.cat(drawn, 1), torch.cat(weighed, 1))))


@torch.no_grad()
def _weight(
    posterior: Posterior, simulator: Simulator, stars: Measurements, values: Tensor
) -> Tensor:
    """Normalised importance weights (K, N) of draws (K, N, D)."""
    flat = values.reshape(-1, values.shape[-1])
    prior = torch.cat([simulator.prior.log_prob(part) for part in flat.split(2000)])
    target = prior.view(values.shape[:2]) + log_likelihood(simulator, stars, values)
    log_weight = target - posterior.log_prob(stars, values)
    return torch.softmax(log_weight.nan_to_num(-torch.inf).double(), 0).nan_to_num(0.0) + 1e-300


def _rows(
    posterior: Posterior, table: pd.DataFrame, good: np.ndarray, drawn: Tensor, weighed: Tensor
) -> list[list[str]]:
    rows = [["parameter", "draws", "n", "bias", "MAD", "RMS", "rank", "68%"]]
    names = completed(posterior.parameters)
    for name, column in label_columns(list(table), names).items():
        truth = table[column].to_numpy(dtype=float)[good]
        error = f"{column}_err"
        errors = table[error].to_numpy(dtype=float)[good] if error in table else None
        for kind, values in (("network", drawn), ("exact", weighed)):
            whole = complete(values[:, torch.as_tensor(good)], posterior.parameters)[0]
            of = metrics(whole[..., names.index(name)].numpy(), truth, errors)
            figures = (of[key] for key in ("bias", "mad", "rms", "rank", "coverage68"))
            rows.append([name, kind, str(of["n"]), *(f"{figure:.3f}" for figure in figures)])
    return rows


if __name__ == "__main__":
    main()
