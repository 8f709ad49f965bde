"""How often the flag POOR_FIT is raised: on stars that the model knows, and on others.

    python benchmarks/poor_fit.py maury-base iris-base

Deviances of the best draw of simulated stars by number of measurements, from which the limit in
`maury.inference.fit` was read; then the share flagged of simulated stars, of stars half of whose
bands are another star's (a wrong match, moved to the same brightness), and of white dwarfs: black
bodies of 0.013 solar radii at 20 to 100 pc with a parallax.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time

import numpy as np
import torch
from torch import Tensor

from maury import Posterior
from maury.flags import Flag
from maury.inference.fit import best_deviance, largest_deviance
from maury.measurements import Measurements
from maury.simulator import Simulator
from maury.sky.bands import AB_CONSTANT, band

DRAWS = 64
GROUPS = (1, 4, 6, 9, 13, 18, 25, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--stars", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.models:
        report(Posterior.load(name, device="cpu"), arguments.stars, arguments.seed)


def report(post: Posterior, count: int, seed: int) -> None:
    simulator = Simulator(post.config.simulator)
    stars = simulator.draw(count, torch.Generator().manual_seed(seed))
    known = post.known(stars.measurements)
    started = time.process_time()
    draws = post.sample(known, DRAWS)
    sampling = time.process_time() - started
    started = time.process_time()
    flags = post.flags(known, draws)
    print(f"{post.name}: sampling {sampling:.2f} s, flags {time.process_time() - started:.2f} s")
    deviance = best_deviance(simulator, known, draws.values[..., : len(post.parameters)])
    size, disc = known.measured.sum(1), stars.population == 2
    for low, high in itertools.pairwise(GROUPS):
        here = (size >= low) & (size < high) & ~disc
        if here.sum() > 20:
            points = torch.tensor([0.5, 0.9, 0.99])
            shown = " ".join(f"{x:6.1f}" for x in deviance[here].quantile(points))
            limit = largest_deviance(known)[here].float().mean()
            share = (deviance > largest_deviance(known))[here].float().mean()
            print(f"  {low:2}-{high - 1:2}: {shown}  limit {limit:5.1f}  above {share:.4f}")
    for what, rows in (("no disc", ~disc), ("disc", disc)):
        if rows.any():
            print(f"  {what}: {poor(flags)[rows].float().mean():.4f} of {int(rows.sum())}")
    for what, others in (
        ("wrong match", wrong_match(simulator, stars.magnitudes)),
        ("white dwarf", white_dwarfs(simulator)),
    ):
        flags = post.flags(others, post.sample(others, DRAWS))
        print(f"  {what}: {poor(flags).float().mean():.4f} of {len(flags)}")


def poor(flags: Tensor) -> Tensor:
    return (flags & int(Flag.POOR_FIT)) > 0


def wrong_match(simulator: Simulator, magnitudes: Tensor) -> Measurements:
    """Gaia, Pan-STARRS and GALEX of one star, the rest of another of the same mean brightness."""
    here = magnitudes[:500]
    other = magnitudes[500:1000]
    other = other + (here - other).mean(1, keepdim=True)
    first = torch.tensor(
        [n.split("/")[0] in ("GAIA", "PAN-STARRS") for n in simulator.config.bands]
    )
    mixed = torch.where(first, here, other)
    return Measurements.from_dense(simulator.config.bands, mixed, torch.full_like(mixed, 0.03))


def white_dwarfs(simulator: Simulator) -> Measurements:
    """Black bodies of 6,000 to 20,000 K in Pan-STARRS, Gaia and J."""
    rng = np.random.default_rng(0)
    teff, distance = rng.uniform(6e3, 2e4, 300), rng.uniform(20, 100, 300)
    names = [
        n for n in simulator.config.bands if n.split(".")[0] in ("PAN-STARRS/PS1", "GAIA/GAIA3")
    ]
    dilution = (0.013 * 6.957e10 / (distance * 3.0857e18)) ** 2
    columns = []
    for name in names:
        curve = band(name)
        wave = curve.wave
        planck = 1.191043e27 / wave**5 / np.expm1(1.438777e8 / wave / teff[:, None])
        flux = (planck * math.pi) @ curve.weights(wave) * dilution
        columns.append(-2.5 * np.log10(flux) + AB_CONSTANT - curve.zero_point)
    values = torch.tensor(np.stack(columns, 1)).float()
    sigma = torch.full_like(values, 0.02)
    if simulator.config.placed:
        names.append("parallax")
        values = torch.cat([values, torch.tensor(1000 / distance).float()[:, None]], 1)
        sigma = torch.cat([sigma, torch.full((300, 1), 0.1)], 1)
    return Measurements.from_dense(names, values, sigma)


if __name__ == "__main__":
    main()
