"""Which network learns most in a given time: trains each shape for the same minutes.

    python benchmarks/network_shapes.py configs/iris-base.toml shapes.toml -o runs --minutes 10

``shapes.toml`` holds one table for each shape, with ``encoder`` and ``flow`` tables as in a config
and, optionally, ``training`` entries that differ from the config's. The schedule is fitted to the
minutes by timing a few steps first, so each run ends at learning rate zero. Prints held-out loss,
stars seen, and the rate at which the flow alone draws.
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

TIMED_STEPS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("shapes", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="*", help="names of shapes to run")
    arguments = parser.parse_args()
    base = read_config(arguments.config)
    shapes = tomllib.loads(arguments.shapes.read_text())
    print("| shape | weights | stars/s | stars seen | held-out loss | flow draws/s |", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    for name, shape in shapes.items():
        if arguments.only and name not in arguments.only:
            continue
        print(_row(name, shape, base, arguments.output / name, arguments.minutes), flush=True)


def _row(name: str, shape: dict, base: ModelConfig, folder: Path, minutes: float) -> str:
    training = {**base.training.model_dump(), **shape.get("training", {})}
    network = NetworkConfig(encoder=shape["encoder"], flow=shape["flow"])
    config = base.model_copy(update={"name": name, "network": network})
    rate = _steps_per_second(_with_training(config, {**training, "steps": 10_000}), folder)
    steps = int(60 * minutes * rate)
    training |= {"steps": steps, "warmup_steps": min(training["warmup_steps"], steps // 10)}
    training["validate_every"] = max(1, steps // 10)
    run = Training(_with_training(config, training), folder)
    started = time.monotonic()
    run.go(minutes=None, console=Console(quiet=True))
    run.finish()
    seconds = time.monotonic() - started
    stars = run.progress.step * run.schedule.batch_size
    weights = sum(p.numel() for p in run.network.parameters())
    return (
        f"| {name} | {weights:,} | {stars / seconds:,.0f} | {stars:,} "
        f"| {run.progress.best_loss:.4f} | {_draw_rate(run):,.0f} |"
    )


def _with_training(config: ModelConfig, training: dict) -> ModelConfig:
    return config.model_copy(update={"training": type(config.training)(**training)})


def _steps_per_second(config: ModelConfig, folder: Path) -> float:
    run = Training(config, folder)
    run.update(0)
    started = time.monotonic()
    for step in range(1, TIMED_STEPS + 1):
        run.update(step)
    return TIMED_STEPS / (time.monotonic() - started)


@torch.no_grad()
def _draw_rate(run: Training, *, stars: int = 2000, draws: int = 64) -> float:
    network = run.best
    context = torch.randn(stars, run.config.network.encoder.width)
    noise = torch.rand(draws, stars, network.noise_size)
    network.flow.draw(noise, context)
    started = time.monotonic()
    network.flow.draw(noise, context)
    return stars * draws / (time.monotonic() - started)


if __name__ == "__main__":
    main()
