"""Which network learns most from the same stars, and what each star costs.

    python benchmarks/network_shapes.py configs/iris-base.toml docs/experiments/shapes.toml -o runs

The shapes file holds one table for each shape, with ``encoder`` and ``flow`` tables as in a config
and, optionally, ``training`` entries that differ from the config's. Every shape sees the same
stars, one thread each, on a schedule that ends at learning rate zero. Time is the processor's own,
so that a busy machine does not decide. Prints held-out loss, stars per processor second in
training, and the rate at which the flow alone draws.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from pathlib import Path

import torch
from rich.console import Console

from maury.nets.config import NetworkConfig
from maury.training.config import ModelConfig, read_config
from maury.training.loop import Training

VALIDATION_STARS = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("shapes", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--stars", type=int, default=460_800)
    parser.add_argument("--only", nargs="*", help="names of shapes to run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    base = read_config(arguments.config)
    shapes = tomllib.loads(arguments.shapes.read_text())
    print("| shape | weights | held-out loss | stars/s | flow draws/s |", flush=True)
    print("|---|---|---|---|---|", flush=True)
    for name, shape in shapes.items():
        if arguments.only and name not in arguments.only:
            continue
        print(_row(name, shape, base, arguments.output / name, arguments.stars), flush=True)


def _row(name: str, shape: dict, base: ModelConfig, folder: Path, stars: int) -> str:
    training = {**base.training.model_dump(), **shape.get("training", {})}
    steps = stars // training["batch_size"]
    training |= {"steps": steps, "warmup_steps": steps // 10, "validate_every": steps // 8}
    training["validation_stars"] = VALIDATION_STARS
    network = NetworkConfig(encoder=shape["encoder"], flow=shape["flow"])
    schedule = type(base.training)(**training)
    update = {"name": name, "network": network, "training": schedule}
    run = Training(base.model_copy(update=update), folder)
    started = time.process_time()
    run.go(minutes=None, console=Console(quiet=True))
    seconds = time.process_time() - started
    weights = sum(p.numel() for p in run.network.parameters())
    return (
        f"| {name} | {weights:,} | {run.progress.best_loss:.3f} | {stars / seconds:,.0f} "
        f"| {_draw_rate(run):,.0f} |"
    )


@torch.no_grad()
def _draw_rate(run: Training, *, stars: int = 2000, draws: int = 64) -> float:
    network = run.best
    context = torch.randn(stars, run.config.network.encoder.width)
    noise = torch.rand(draws, stars, network.noise_size)
    network.flow.draw(noise, context)
    started = time.process_time()
    network.flow.draw(noise, context)
    return stars * draws / (time.process_time() - started)


if __name__ == "__main__":
    main()
