"""Outside knowledge sharper than networks take in: told bluntly, then counted in full by weights.

Networks see a parameter that is known to a hundredth too seldom to answer as sharply: told log g =
2.41 +- 0.02, `maury-base` leaves it a half width of 0.09. Told a third of the worst error of its
training it answers as wide as it should (docs/usage.md). So a network is told no sharper errors
than that, and its draws are weighed by the ratio of the two Gaussians: by Bayes' theorem exact, if
the blunt answer is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from maury.columns import PRIOR
from maury.inference.knowledge import blunt_knowledge
from maury.instruments.knowledge import KnowledgeConfig
from maury.measurements import Measurements

__all__ = ["OVERSAMPLING", "effective", "log_mean", "log_weights", "resampled", "told_bluntly"]

TAKEN_IN = 1 / 3
"""Smallest error that networks take in, by the worst of their training."""

OVERSAMPLING = 4, 16
"""Draws that are weighed for each one that is kept; the more where the fewer leave too few."""

HALVINGS = 30


def told_bluntly(known: Measurements, config: KnowledgeConfig) -> tuple[Measurements, Tensor]:
    """What a network that was trained with such knowledge is told, and for which stars (N,) that is
    less than what is known."""
    told = blunt_knowledge(
        known, {name: TAKEN_IN * high for name, (_, high) in config.sigma.items()}
    )
    return told, (told.sigma > known.sigma).any(1)


def log_weights(
    theta: Tensor, known: Measurements, told: Measurements, parameters: Sequence[str]
) -> Tensor:
    """Log weights (K, N) of draws theta (K, N, D), but for a constant of each star.

    In double precision: what is chosen by them must not depend on the order of slots.
    """
    names = [channel.removeprefix(PRIOR) for channel in known.channels]
    columns = [parameters.index(name) if name in parameters else 0 for name in names]
    column = torch.tensor(columns, device=theta.device)[known.channel]
    # Slots that are told in full, bands among them, have no weight.
    precision = known.sigma.double() ** -2 - told.sigma.double() ** -2
    miss = theta.gather(2, column.expand(len(theta), -1, -1)).double() - known.value
    return -0.5 * (miss.square() * precision).sum(-1)


def resampled(theta: Tensor, log_weight: Tensor, draws: int, uniform: Tensor) -> Tensor:
    """Draws (K, N, D) by systematic resampling (Kitagawa 1996, JCGS 5, 1).

    Where the weights leave fewer effective draws than are wanted, they are raised to the power that
    leaves as many: knowledge that nearly all draws contradict narrows a posterior by less than it
    should, but does not make it a few points.

    Parameters
    ----------
    theta : Tensor (M, N, D)
    log_weight : Tensor (M, N)
    draws : int
        K, at most M.
    uniform : Tensor (N,)
        A random number from 0 to 1 for each star.
    """
    reached = torch.softmax(_power(log_weight, draws) * log_weight, 0).cumsum(0).T.contiguous()
    wanted = (torch.arange(draws, device=theta.device) + uniform[:, None].double()) / draws
    chosen = torch.searchsorted(reached, wanted).clamp(max=len(theta) - 1)
    return theta.gather(0, chosen.T[..., None].expand(-1, -1, theta.shape[-1]))


def log_mean(log_weight: Tensor) -> Tensor:
    """Log of the mean weight (N,) of log weights (K, N)."""
    return torch.logsumexp(log_weight, 0) - math.log(len(log_weight))


def _power(log_weight: Tensor, draws: int) -> Tensor:
    """Largest power (N,), up to one, of weights that leaves so many effective draws."""
    low, high = torch.zeros_like(log_weight[0]), torch.ones_like(log_weight[0])
    in_full = effective(log_weight) >= draws
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = effective(middle * log_weight) >= draws
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return torch.where(in_full, 1.0, low)


def effective(log_weight: Tensor) -> Tensor:
    """Effective number (N,) of draws of these weights (Kish 1965)."""
    return torch.softmax(log_weight, 0).square().sum(0).reciprocal()
