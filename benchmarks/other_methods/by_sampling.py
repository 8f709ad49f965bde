"""dynesty and emcee on the likelihood that the simulator implies, times its prior.

Both move in the unit cube of `maury.evaluation.unit_cube`. Stars run side by side and share every
call of the density, so that each costs a fraction of what it would alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from maury.evaluation.baselines import log_target, nested_sampling
from maury.evaluation.side_by_side import Lane, run_side_by_side
from maury.evaluation.unit_cube import from_unit_cube
from maury.simulator import Simulator
from other_methods.answers import Answers, Floats, MockStars, columns, stopwatch

EQUAL_DRAWS = 1000
START = 2000
"""Places in the cube that emcee's walkers start from: the best ones of so many."""


def by_dynesty(
    simulator: Simulator, stars: MockStars, *, live_points: int, tolerance: float, seed: int
) -> Answers:
    """Answers of nested sampling."""
    observations = stars.observations.measurements
    with stopwatch() as watch:
        found = nested_sampling(
            simulator, observations, live_points=live_points, tolerance=tolerance, seed=seed
        )
    rng = np.random.default_rng(seed)
    picks = [rng.choice(len(star.weight), EQUAL_DRAWS, p=star.weight) for star in found]
    values = np.stack([star.values[pick] for star, pick in zip(found, picks, strict=True)], 1)
    calls = int(np.mean([star.calls for star in found]))
    return Answers(
        f"dynesty, {live_points} live points",
        watch.seconds / len(stars),
        columns(simulator, torch.as_tensor(values)),
        f"{calls:,} likelihoods a star",
    )


def by_emcee(
    simulator: Simulator, stars: MockStars, *, walkers: int, steps: int, seed: int
) -> Answers:
    """Answers of affine-invariant walkers; the first half of the steps is forgotten."""
    import emcee

    observations = stars.observations.measurements
    size = len(simulator.parameters)

    def walk(star: int) -> Callable[[Lane], Floats]:
        def run(lane: Lane) -> Floats:
            rng = np.random.default_rng([seed, star])
            places = rng.random((START, size))
            height = np.concatenate([lane.ask(part) for part in np.split(places, 20)])
            begin = places[np.argsort(-height)[:walkers]]
            sampler = emcee.EnsembleSampler(walkers, size, lane.ask, vectorize=True)
            sampler.random_state = np.random.RandomState(rng.integers(2**31)).get_state()
            # The best places are few and may not span the cube: let them spread a little.
            begin = np.clip(begin + 1e-3 * rng.standard_normal(begin.shape), 1e-6, 1 - 1e-6)
            sampler.run_mcmc(begin, steps, skip_initial_state_check=True)
            return sampler.get_chain(discard=steps // 2, flat=True)

        return run

    def density(samplers: list[int], points: list[Floats]) -> list[Floats]:
        counts = [len(part) for part in points]
        star = torch.as_tensor(np.repeat(samplers, counts))
        cube = torch.as_tensor(np.concatenate(points))
        inside = ((cube > 0) & (cube < 1)).all(1)
        theta, jacobian = from_unit_cube(simulator, cube)
        target = log_target(simulator, observations[star].compact(), theta) + jacobian
        target = target.nan_to_num(-np.inf, neginf=-np.inf).masked_fill(~inside, -np.inf)
        return [part.numpy() for part in target.split(counts)]

    with stopwatch() as watch:
        chains = run_side_by_side([walk(i) for i in range(len(stars))], density, threads=1)
    rng = np.random.default_rng(seed)
    kept = np.stack([chain[rng.choice(len(chain), EQUAL_DRAWS)] for chain in chains], 1)
    theta, _ = from_unit_cube(simulator, torch.as_tensor(kept.reshape(-1, size)))
    return Answers(
        f"emcee, {walkers} walkers",
        watch.seconds / len(stars),
        columns(simulator, theta.reshape(*kept.shape[:2], size)),
        f"{walkers * steps + START:,} likelihoods a star",
    )
