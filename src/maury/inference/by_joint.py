"""Answers of a joint model: parameters, or measurements nobody took, from whatever is given."""

from __future__ import annotations

import torch
from torch import Tensor

from maury.inference.blocks import blocks, in_order
from maury.inference.noise import keyed_uniform
from maury.measurements import Measurements
from maury.nets.joint.estimator import JointEstimator

__all__ = ["JointAnswers"]

STARS_AT_ONCE, DRAWS_AT_ONCE = 16, 64
"""Size of the blocks in which stars and draws go through the network: always the same."""


class JointAnswers:
    """What a trained `JointEstimator` says of stars in its own vocabulary and on its device."""

    def __init__(self, network: JointEstimator) -> None:
        self.network = network

    def sample(self, known: Measurements, draws: int, *, seed: int, exact: Tensor) -> Tensor:
        """Parameters (K, N, D) of N stars; those that ``exact`` (N, D) gives, stay."""
        result = torch.empty(draws, *exact.shape, device=exact.device)
        keys = known.hash()
        for rows, filled, block in blocks(in_order(known), STARS_AT_ONCE):
            theta, key = exact[filled], keys[filled]
            condition, seen = self.network.posterior(block, theta), self.network.seen(block)
            for first in range(0, draws, DRAWS_AT_ONCE):
                noise = keyed_uniform(
                    key, DRAWS_AT_ONCE, self.network.noise_size, seed=seed, first=first
                )
                drawn = self.network.draw(noise, condition, seen, theta)
                last = min(first + DRAWS_AT_ONCE, draws)
                result[first:last, rows] = drawn[: last - first, : len(rows)]
        return result

    def log_prob(self, known: Measurements, theta: Tensor) -> Tensor:
        """Log density (K, N) at theta (K, N, D)."""
        result = torch.empty(theta.shape[:2], device=theta.device)
        for rows, filled, block in blocks(in_order(known), STARS_AT_ONCE):
            free = torch.full_like(theta[0, filled], torch.nan)
            condition, seen = self.network.posterior(block, free), self.network.seen(block)
            for first in range(0, len(theta), DRAWS_AT_ONCE):
                some = theta[first : first + DRAWS_AT_ONCE, filled]
                density = self.network.log_prob(some, condition, seen)
                result[first : first + DRAWS_AT_ONCE, rows] = density[:, : len(rows)]
        return result

    def populations(self, known: Measurements) -> Tensor:
        """Logits (N, P) of the kinds of stars, of a network that tells them apart."""
        head = self.network.populations
        assert head is not None
        result = torch.empty(len(known), head.out_features, device=known.device)
        for rows, _, block in blocks(in_order(known), STARS_AT_ONCE):
            result[rows] = head(self.network.summary(block))[: len(rows)]
        return result

    def predict(
        self,
        known: Measurements,
        channel: Tensor,
        sigma: Tensor,
        draws: int,
        *,
        seed: int,
        exact: Tensor,
    ) -> Tensor:
        """What surveys would measure (K, N, C) of N stars on channels (C,) with errors (C,).

        Parameters
        ----------
        known : Measurements
            Their slots on these channels are not read.
        channel : Tensor (C,) int64
            Numbers in the network's own list: bands and the parallax.
        sigma : Tensor (C,)
        draws, seed : int
        exact : Tensor (N, D)
            Parameters that are given exactly, physical; NaN elsewhere.
        """
        known = in_order(known.without(torch.isin(known.channel, channel)).compact())
        result = torch.empty(draws, len(known), len(channel), device=known.device)
        keys = known.hash()
        for rows, filled, block in blocks(known, STARS_AT_ONCE):
            told, asked = _with_asked(block, channel, sigma)
            condition = self.network.prediction(told, asked, exact[filled])
            given = told.measured & ~asked
            for first in range(0, draws, DRAWS_AT_ONCE):
                noise = keyed_uniform(
                    keys[filled], DRAWS_AT_ONCE, len(channel), seed=seed, first=first
                )
                value = self.network.latent_values(noise, condition)
                value = self.network.features.measured(
                    channel, value, self.network.features.brightness(told, given)
                )
                last = min(first + DRAWS_AT_ONCE, draws)
                result[first:last, rows] = value[: last - first, : len(rows)]
        return result


def _with_asked(block: Measurements, channel: Tensor, sigma: Tensor) -> tuple[Measurements, Tensor]:
    """The stars with one more slot for each channel that is asked for, in front; and which."""
    n = len(block)
    question = Measurements(
        channels=block.channels,
        channel=torch.cat([channel.expand(n, -1), block.channel], 1),
        value=torch.cat([torch.zeros_like(sigma).expand(n, -1), block.value], 1),
        sigma=torch.cat([sigma.expand(n, -1), block.sigma], 1),
        kind=torch.cat([torch.ones_like(channel).to(block.kind).expand(n, -1), block.kind], 1),
        rejected=block.rejected,
    )
    asked = torch.arange(question.kind.shape[1], device=channel.device) < len(channel)
    return question, asked.expand(n, -1)
