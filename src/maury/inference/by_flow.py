"""Answers of a normalising flow: the posterior of all parameters, draw by draw in one pass."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.inference.blocks import contexts
from maury.inference.noise import keyed_uniform
from maury.measurements import Measurements
from maury.nets.estimator import Estimator

__all__ = ["FlowAnswers"]

ROWS_AT_ONCE = 32_768
"""Draws, of one star or of many, that each thread works on at once: what is computed for them then
stays near the cache."""

DRAWS_AT_ONCE = 512
"""Most of them of one star."""


class FlowAnswers:
    """What a trained `Estimator` says of stars in its own vocabulary and on its device."""

    def __init__(self, network: Estimator) -> None:
        self.network = network
        self._last: tuple[Tensor, Tensor] | None = None

    def sample(self, known: Measurements, draws: int, *, seed: int, exact: Tensor) -> Tensor:
        """Parameters (K, N, D) of N stars; ``exact`` (N, D) must all be NaN.

        Raises
        ------
        MauryError
            If a parameter is given exactly.
        """
        if not exact.isnan().all():
            raise MauryError(
                "a flow cannot hold a parameter fixed: give it as (value, error), or ask a joint "
                "model"
            )
        context, keys, seen = self._contexts(known), known.hash(), self.network.seen(known)
        size = self.network.noise_size
        result = torch.empty(draws, *exact.shape, device=exact.device)
        at_once = ROWS_AT_ONCE * torch.get_num_threads()
        for first, count in _steps(draws, DRAWS_AT_ONCE):
            for star, stars in _steps(len(known), at_once // count):
                some = slice(star, star + stars)
                noise = keyed_uniform(keys[some], count, size, seed=seed, first=first)
                result[first : first + count, some] = self.network.draw(
                    noise, context[some], None if seen is None else seen[some]
                )
        return result

    def log_prob(self, known: Measurements, theta: Tensor) -> Tensor:
        """Log density (K, N) at theta (K, N, D)."""
        context, seen = self._contexts(known), self.network.seen(known)
        parts = [
            self.network.log_prob(theta[first : first + count], context, seen)
            for first, count in _steps(len(theta), DRAWS_AT_ONCE)
        ]
        return torch.cat(parts)

    def populations(self, known: Measurements) -> Tensor:
        """Logits (N, P) of the kinds of stars, of a network that tells them apart."""
        assert self.network.populations is not None
        return self.network.populations(self._contexts(known))

    def _contexts(self, known: Measurements) -> Tensor:
        """Summaries of the stars, once for all that is asked of the same stars in succession."""
        keys = known.hash()
        if self._last is None or not torch.equal(self._last[0], keys):
            self._last = keys, contexts(self.network, known)
        return self._last[1]


def _steps(total: int, step: int) -> Iterator[tuple[int, int]]:
    return ((first, min(step, total - first)) for first in range(0, total, step))
