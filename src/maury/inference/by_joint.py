"""Answers of a joint model: parameters, or measurements nobody took, from whatever is given."""

from __future__ import annotations

import torch
from torch import Tensor

from maury.inference.blocks import blocks, in_order
from maury.inference.noise import keyed_uniform
from maury.measurements import Measurements
from maury.nets.joint.estimator import JointEstimator

__all__ = ["JointAnswers"]

ROWS_AT_ONCE = 128
"""Draws, of one star or of as many as it takes, that go through the network at once. Blocks are
filled up, so that their size depends on the number of draws alone and a star is rounded alike in
any company. Larger ones take twice as long: tensors of several MB are fetched anew from the system.
"""

DENSITIES_AT_ONCE = 64
"""The same of densities, each of which costs several draws."""


class JointAnswers:
    """What a trained `JointEstimator` says of stars in its own vocabulary and on its device."""

    def __init__(self, network: JointEstimator) -> None:
        self.network = network

    def sample(self, known: Measurements, draws: int, *, seed: int, exact: Tensor) -> Tensor:
        """Parameters (K, N, D) of N stars; those that ``exact`` (N, D) gives, stay."""
        result = torch.empty(draws, *exact.shape, device=exact.device)
        keys = known.hash()
        at_once = min(draws, ROWS_AT_ONCE)
        for rows, filled, block in blocks(in_order(known), ROWS_AT_ONCE // at_once):
            theta, key = exact[filled], keys[filled]
            condition, seen = self.network.posterior(block, theta), self.network.seen(block)
            for first in range(0, draws, at_once):
                noise = keyed_uniform(key, at_once, self.network.noise_size, seed=seed, first=first)
                drawn = self.network.draw(noise, condition, seen, theta)
                last = min(first + at_once, draws)
                result[first:last, rows] = drawn[: last - first, : len(rows)]
        return result

    def log_prob(self, known: Measurements, theta: Tensor) -> Tensor:
        """Log density (K, N) at theta (K, N, D)."""
        result = torch.empty(theta.shape[:2], device=theta.device)
        at_once = max(1, min(len(theta), DENSITIES_AT_ONCE))
        for rows, filled, block in blocks(in_order(known), DENSITIES_AT_ONCE // at_once):
            free = theta.new_full((len(filled), theta.shape[-1]), torch.nan)
            condition, seen = self.network.posterior(block, free), self.network.seen(block)
            for first in range(0, len(theta), at_once):
                some = theta[first : first + at_once, filled]
                density = self.network.log_prob(some, condition, seen)
                result[first : first + at_once, rows] = density[:, : len(rows)]
        return result

    def populations(self, known: Measurements) -> Tensor:
        """Logits (N, P) of the kinds of stars, of a network that tells them apart."""
        head = self.network.populations
        assert head is not None
        result = torch.empty(len(known), head.out_features, device=known.device)
        for rows, _, block in blocks(in_order(known), ROWS_AT_ONCE):
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
        at_once = min(draws, ROWS_AT_ONCE)
        for rows, filled, block in blocks(known, ROWS_AT_ONCE // at_once):
            told, asked = _with_asked(block, channel, sigma)
            condition = self.network.prediction(told, asked, exact[filled])
            given = told.measured & ~asked
            for first in range(0, draws, at_once):
                noise = keyed_uniform(keys[filled], at_once, len(channel), seed=seed, first=first)
                value = self.network.latent_values(noise, condition)
                value = self.network.features.measured(
                    channel, value, self.network.features.brightness(told, given)
                )
                last = min(first + at_once, draws)
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
