"""Copies a trained model into the package, its weights in half precision where that is harmless.

    python scripts/ship_model.py runs/iris-base

Refuses if rounding moves any star's 16th, 50th or 84th percentile by more than one hundredth of
its posterior standard deviation, in the 99th percentile over simulated stars.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
from pathlib import Path

import torch

from maury.inference.posterior import SHIPPED, Posterior
from maury.inference.quantiles import quantiles
from maury.training.folder import load_model, seal_model, write_weights

STARS, DRAWS = 2000, 256
ALLOWED = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder that `maury train` wrote")
    run: Path = parser.parse_args().run
    config, network = load_model(run)
    halved = copy.deepcopy(network)
    for parameter in halved.parameters():
        parameter.data = parameter.data.half().float()
    moved = _movement(Posterior(config, network), Posterior(config, halved))
    print(json.dumps({"median": moved.median().item(), "99%": moved.quantile(0.99).item()}))
    half = bool(moved.quantile(0.99) < ALLOWED)
    target = SHIPPED / config.name
    target.mkdir(parents=True, exist_ok=True)
    write_weights(target, halved if half else network, half=half)
    for name in ("config.toml", "card.md"):
        shutil.copyfile(run / name, target / name)
    seal_model(target)
    size = (target / "model.safetensors").stat().st_size / 1e6
    print(f"{target}: {'half' if half else 'single'} precision, {size:.1f} MB")


def _movement(one: Posterior, other: Posterior) -> torch.Tensor:
    """Largest shift of a quantile over the posterior width, for each star and parameter."""
    _, stars = one.simulate(STARS, seed=11)
    first, second = (p.sample(stars, DRAWS, seed=0).values for p in (one, other))
    levels = (0.16, 0.5, 0.84)
    shift = (quantiles(first, levels) - quantiles(second, levels)).abs().amax(0)
    return (shift / first.std(0)).flatten()


if __name__ == "__main__":
    main()
