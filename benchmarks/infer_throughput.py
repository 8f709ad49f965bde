"""How fast `maury infer` answers: the default model and the paper's network, in one run.

    python benchmarks/infer_throughput.py [--model iris-base] [--stars 20000] [--draws 64]

A catalogue of mock stars goes from Parquet to Parquet. The paper's network has its full size and
random weights: arithmetic takes as long whatever the weights are. It answers fewer stars, since it
is slower. Prints a markdown table of rates, and of what the flow alone draws.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from maury.catalogs.job import infer_file
from maury.catalogs.mock import mock_catalog
from maury.catalogs.writers import write_table
from maury.inference.posterior import Posterior
from maury.nets.estimator import Estimator
from maury.simulator import Simulator
from maury.training.checkpoint import Progress
from maury.training.config import read_config
from maury.training.folder import save_model
from maury.training.network import build_network

PAPER_CONFIG = Path(__file__).parents[1] / "configs" / "iris-paper.toml"
PAPER_SHARE = 0.1


@dataclass(frozen=True)
class Rate:
    """What one model did in one run."""

    name: str
    weights: int
    stars: int
    stars_per_second: float
    draws_per_second: float
    flow_draws_per_second: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="iris-base")
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = Posterior.load(arguments.model).config
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        catalog = mock_catalog(config.simulator, arguments.stars, seed=1)
        few = int(PAPER_SHARE * arguments.stars)
        write_table(catalog, work / "all.parquet")
        write_table(catalog[:few], work / "few.parquet")
        paper = _untrained(PAPER_CONFIG, work / "paper-size")
        rates = [
            _measure(arguments.model, work / "all.parquet", arguments.stars, arguments.draws),
            _measure(str(paper), work / "few.parquet", few, arguments.draws),
        ]
    _report(rates, arguments.draws, arguments.threads)


def _untrained(config_path: Path, folder: Path) -> Path:
    config = read_config(config_path)
    simulator = Simulator(config.simulator)
    network = build_network(config, simulator)
    save_model(folder, config, network, Progress())
    return folder


def _measure(model: str, catalog: Path, stars: int, draws: int) -> Rate:
    posterior = Posterior.load(model)
    started = time.monotonic()
    infer_file(catalog, catalog.with_name("out.parquet"), model=model, draws=draws)
    seconds = time.monotonic() - started
    return Rate(
        name=posterior.name,
        weights=sum(p.numel() for p in posterior.network.parameters()),
        stars=stars,
        stars_per_second=stars / seconds,
        draws_per_second=stars * draws / seconds,
        flow_draws_per_second=_flow_rate(posterior.network, posterior.config.network.encoder.width),
    )


@torch.no_grad()
def _flow_rate(network: Estimator, width: int, *, stars: int = 1000, draws: int = 64) -> float:
    context = torch.randn(stars, width)
    noise = torch.rand(draws, stars, network.noise_size)
    network.flow.draw(noise, context)
    started = time.monotonic()
    network.flow.draw(noise, context)
    return stars * draws / (time.monotonic() - started)


def _report(rates: list[Rate], draws: int, threads: int) -> None:
    print(
        f"{draws} draws a star, {threads} threads, Parquet to Parquet, reading and writing in it\n"
    )
    print("| model | weights | stars | stars/s | draws/s | flow alone, draws/s | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    slowest = min(rate.draws_per_second for rate in rates)
    for rate in rates:
        print(
            f"| {rate.name} | {rate.weights:,} | {rate.stars:,} | {rate.stars_per_second:,.0f} "
            f"| {rate.draws_per_second:,.0f} | {rate.flow_draws_per_second:,.0f} "
            f"| {rate.draws_per_second / slowest:.1f} |"
        )


if __name__ == "__main__":
    main()
