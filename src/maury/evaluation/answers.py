"""What evaluation asks of a posterior, and how it asks without filling the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor

from maury.measurements import Measurements

__all__ = ["Posterior", "answers"]

DRAWN_NUMBERS = 2**20
"""Numbers drawn at a time: 4 MiB, but a network's layers hold a hundred times that meanwhile."""


class Posterior(Protocol):
    """What draws from, and evaluates, a distribution over parameters given measurements."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the D parameters; draws may hold more, which follow from these."""

    def sample(self, obs: Measurements, /, draws: int, *, seed: int = 0) -> Any:
        """K draws for each of N stars; ``.values`` is a tensor of shape (K, N, D)."""

    def log_prob(self, obs: Measurements, /, theta: Tensor) -> Tensor:
        """Log density of ``theta`` (..., N, D) given N stars, shape (..., N)."""


def answers(
    posterior: Posterior, obs: Measurements, *, draws: int, seed: int
) -> Iterator[tuple[slice, Tensor]]:
    """Yield draws of consecutive batches of stars.

    Parameters
    ----------
    posterior : Posterior
    obs : Measurements
        N stars.
    draws : int
        K, draws for each star.
    seed : int

    Yields
    ------
    stars : slice
        Which stars these are.
    values : Tensor, shape (K, n, D)
        Their draws in physical units, on the CPU; NaN for a star without an answer.
    """
    size = max(1, DRAWN_NUMBERS // (draws * len(posterior.parameters)))
    for start in range(0, len(obs), size):
        stars = slice(start, min(start + size, len(obs)))
        yield stars, posterior.sample(obs[stars], draws, seed=seed).values.detach().cpu()
