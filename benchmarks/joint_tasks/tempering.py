"""Draws from many modes: parallel tempering between a known start and the target.

The target is a standard normal prior of "noise" times exp(log likelihood). A ladder's rungs raise
the likelihood to powers from 0, where draws are exact and independent, to 1, the target; states
change places between neighbouring rungs, so that no mode of the target needs to be found from
another one (Geyer 1991). Within a rung strides keep the prior as they are and need no gradient
(preconditioned Crank-Nicolson: Cotter et al. 2013, Statistical Science 28, 424), each of a length
of its own, so that none is tuned. All ladders and rungs move as one batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from maury.errors import MauryError

__all__ = ["R_HAT", "sample", "split_r_hat"]

R_HAT = 1.01
"""Largest ratio accepted (Vehtari et al. 2021, Bayesian Analysis 16, 667)."""

LADDERS = 64
RUNGS = 12
SHORTEST = 0.03
"""Of a stride, in units of the prior: lengths are drawn evenly in logarithm from here to 1."""
WARM_UP = 500
ROUND = 1000
ROUNDS = 20


def sample(
    log_likelihood: Callable[[Tensor], Tensor],
    observe: Callable[[Tensor], Tensor],
    size: int,
    n: int,
    generator: torch.Generator,
) -> Tensor:
    """Draws of a function of noise under its posterior.

    Parameters
    ----------
    log_likelihood : callable
        (B, size) noise to (B,).
    observe : callable
        (B, size) noise to (B, D), the quantities to draw and to check.
    size, n : int
        Numbers of noise variables and of draws.
    generator : torch.Generator

    Returns
    -------
    (n, D) float64, evenly spaced along the ladders, in random order.

    Raises
    ------
    MauryError
        If the ladders still disagree, split R-hat of some quantity `R_HAT` or above, at the end.
    """
    powers = torch.linspace(0, 1, RUNGS, dtype=torch.float64).pow(3)
    noise = torch.randn(LADDERS, RUNGS, size, generator=generator, dtype=torch.float64)
    state = noise, log_likelihood(noise.flatten(0, 1)).view(LADDERS, RUNGS)
    for step in range(WARM_UP):
        state = _step(state, log_likelihood, powers, step % 2, generator)
    kept: list[Tensor] = []
    for _ in range(ROUNDS):
        for step in range(ROUND):
            state = _step(state, log_likelihood, powers, step % 2, generator)
            kept.append(state[0][:, -1])
        chains = observe(torch.cat(kept)).unflatten(0, (len(kept), LADDERS))
        if split_r_hat(chains).max() < R_HAT and chains[..., 0].numel() >= n:
            steps = torch.linspace(0, len(chains) - 1, math.ceil(n / LADDERS)).long()
            draws = chains[steps].flatten(0, 1)
            return draws[torch.randperm(len(draws), generator=generator)[:n]]
    raise MauryError(
        f"the chains did not agree after {ROUNDS * ROUND} steps: split R-hat "
        f"{split_r_hat(chains).max():.3f}, at most {R_HAT} wanted; no reference can be given"
    )


def split_r_hat(chains: Tensor) -> Tensor:
    """Split R-hat of each quantity, (D,), from chains (T, M, D) (Gelman et al. 2013, eq. 11.4)."""
    half = len(chains) // 2
    halves = torch.cat([chains[:half], chains[half : 2 * half]], dim=1)
    within = halves.var(dim=0).mean(dim=0)
    between = halves.mean(dim=0).var(dim=0)
    return ((half - 1) / half + between / within).sqrt()


def _step(
    state: tuple[Tensor, Tensor],
    log_likelihood: Callable[[Tensor], Tensor],
    powers: Tensor,
    first: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """One stride on every rung, a fresh draw on the lowest, and exchanges of every other pair."""
    noise, value = _walk(*state, powers, log_likelihood, generator)
    return _exchange(noise, value, powers, first, generator)


def _walk(
    noise: Tensor,
    value: Tensor,
    powers: Tensor,
    log_likelihood: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    stride = SHORTEST ** _uniform(value, generator)
    stride[:, 0] = 1.0
    fresh = torch.randn(noise.shape, generator=generator, dtype=noise.dtype)
    proposal = (1 - stride.square()).sqrt()[..., None] * noise + stride[..., None] * fresh
    proposed = log_likelihood(proposal.flatten(0, 1)).view(value.shape)
    accepted = _uniform(value, generator).log() < powers * (proposed - value)
    return torch.where(accepted[..., None], proposal, noise), torch.where(accepted, proposed, value)


def _exchange(
    noise: Tensor, value: Tensor, powers: Tensor, first: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    lower = torch.arange(first, RUNGS - 1, 2)
    gain = (powers[lower + 1] - powers[lower]) * (value[:, lower] - value[:, lower + 1])
    swap = _uniform(gain, generator).log() < gain
    order = torch.arange(RUNGS).repeat(LADDERS, 1)
    order[:, lower] += swap.long()
    order[:, lower + 1] -= swap.long()
    return noise.gather(1, order[..., None].expand_as(noise)), value.gather(1, order)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, dtype=like.dtype)
