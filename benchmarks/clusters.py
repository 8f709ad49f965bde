"""Clusters inferred: real ones beside their accepted values, and simulated ones for coverage.

    python benchmarks/clusters.py observed ../shared/observed [--only M67 ...] [-o FOLDER]
    python benchmarks/clusters.py simulated [-n 100] [--first 0] [--models 1]

The real ones are development stars: no constant was chosen by them. Simulated ones have a zero
point error of 0.01 mag in each band and 5% non-members, and with ``--models 1`` isochrones and
spectra are wrong by as much as `maury.cluster.model_errors` says; what is inferred is told so.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from astropy.table import Table

import maury.cluster
from maury.cluster.mock import mock_cluster
from maury.errors import MauryError
from maury.sky.populations.cluster_prior import ClusterPrior

ACCEPTED = {
    "M67": {
        "log_age": (9.60, 0.06),
        "mh": (0.00, 0.05),
        "distance": (845, 20),
        "a_v": (0.12, 0.05),
    },
    "NGC0188": {
        **{"log_age": (9.82, 0.06), "mh": (0.05, 0.08)},
        **{"distance": (1790, 60), "a_v": (0.27, 0.08)},
    },
    "Praesepe": {
        **{"log_age": (8.85, 0.08), "mh": (0.17, 0.07)},
        **{"distance": (184, 3), "a_v": (0.05, 0.05)},
    },
    "Pleiades": {
        **{"log_age": (8.07, 0.06), "mh": (0.00, 0.05)},
        **{"distance": (135.5, 1.5), "a_v": (0.12, 0.04)},
    },
}
"""Value and error: ../shared/observed/README.md."""

YOUNG = ("IC2391", "IC2602", "NGC2451A", "NGC2547", "Collinder135")
LABELS = ("ref_", "gaia_dr2_", "r_med", "unwise", "cg_", "ges_", "ebv")


def candidates(folder: Path, name: str) -> Table:
    """The table of one real cluster, without labels and other releases' magnitudes."""
    if name in YOUNG:
        frame = pd.read_parquet(folder / "young_clusters.parquet")
        frame = frame[(frame.cluster == name) & (frame.hdbscan_prob > 0.5)]
    elif name == "M67":
        frame = pd.read_parquet(folder / "m67.parquet")
    else:
        frame = pd.read_parquet(folder / "open_clusters.parquet")
        frame = frame[frame.cluster == name]
    kept = [c for c in frame if not c.startswith(LABELS)]
    frame = frame[kept].select_dtypes(exclude=["boolean"])
    for column in frame.columns:
        if column.endswith("_err") and f"{column[:-4]}" in frame:
            bad = ~(frame[column] > 0) | (frame[column] > 0.5)
            frame.loc[bad & (column != "parallax_err"), column[:-4]] = np.nan
    return Table.from_pandas(frame.reset_index(drop=True))


def observed(folder: Path, names: list[str], output: Path | None, options: dict) -> None:
    for name in names:
        start, used = time.time(), time.process_time()
        posterior = maury.cluster.infer(candidates(folder, name), **options)
        print(f"\n{name}: {time.time() - start:.0f} s, {time.process_time() - used:.0f} s of CPU")
        print(f"{posterior.used.sum()} of {len(posterior.used)} stars, {posterior.diagnostics}")
        print(f"non-members {posterior.non_members}, {len(posterior.outliers)} outliers")
        summary = posterior.summary()
        accepted = ACCEPTED.get(name, {})
        summary["accepted"] = [str(accepted.get(p, "")) for p in summary["parameter"]]
        for column in ("median", "lo", "hi", "lo95", "hi95", "mean", "std"):
            summary[column].format = ".3f"
        print("\n".join(summary.pformat(max_width=-1)), flush=True)
        pulled = np.abs(posterior.offsets["mean"]) > posterior.offsets["prior_std"]
        print("\n".join(posterior.offsets[pulled].pformat(max_lines=-1, max_width=-1)), flush=True)
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            posterior.plot(output / f"{name}.png")


def simulated(first: int, count: int, models: float, options: dict) -> None:
    """One line of JSON for each cluster: rank of the truth and z for each parameter."""
    prior = ClusterPrior(
        log_age=(7.0, 9.9), distance=(100.0, 2000.0), mass=(200.0, 1000.0), mh=(-0.5, 0.4)
    )
    noise = maury.cluster.Noise(zero_point=0.01, models=models)
    ranks: dict[str, list[float]] = {}
    for seed in range(first, first + count):
        generator = torch.Generator().manual_seed(seed)
        theta = prior.sample(1, generator)[0]
        try:
            mock = mock_cluster(theta, seed=seed, models=models)
        except MauryError:
            continue
        if mock.member.sum() < 30:
            continue
        used = time.process_time()
        posterior = maury.cluster.infer(
            mock.measurements, seed=seed, prior=prior, noise=noise, **options
        )
        row: dict[str, object] = {"seed": seed, "stars": len(mock.member)}
        for name, truth in mock.theta.items():
            draws = posterior[name]
            rank = float((draws < truth).mean())
            ranks.setdefault(name, []).append(rank)
            row[name] = [round(float(v), 3) for v in (truth, draws.mean(), draws.std(), rank)]
        row["effective"] = round(posterior.diagnostics.effective)
        row["disagreement"] = round(posterior.diagnostics.disagreement, 2)
        row["cpu"] = round(time.process_time() - used)
        print(json.dumps(row), flush=True)
    for name, values in ranks.items():
        inside = np.abs(np.array(values) - 0.5) < 0.34134
        print(f"{name}: 68% coverage {inside.mean():.2f} of {len(values)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["observed", "simulated"])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--only", nargs="*", default=[*ACCEPTED, *YOUNG])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-n", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--stars", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=600)
    parser.add_argument("--effective", type=float, default=100.0)
    parser.add_argument("--models", type=float, default=0.0, help="errors of simulated models")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = {
        "stars": options.stars,
        "evaluations": options.evaluations,
        "effective": options.effective,
    }
    if options.what == "simulated":
        simulated(options.first, options.n, options.models, settings)
    elif options.folder is None:
        parser.error("say where the observed stars are")
    else:
        observed(options.folder, options.only, options.output, settings)


if __name__ == "__main__":
    main()
