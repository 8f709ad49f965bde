"""One-dimensional densities of which priors are made: exact to sample, exact to evaluate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Choice", "TruncatedExponentials", "TruncatedNormals", "float32_bounds", "uniform"]

# A uniform number kept this far from 0 and 1, so that no inverse of a cumulative is infinite.
_EDGE = 2.0**-53


def uniform(count: int, generator: torch.Generator) -> Tensor:
    """Draw ``count`` uniform numbers in (0, 1), float64, on the generator's device."""
    numbers = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
    return numbers.clamp_(_EDGE, 1.0 - _EDGE)


def float32_bounds(lower: float, upper: float) -> tuple[float, float]:
    """Round bounds to float32, in which stars are stored, so that no star lies a bit outside."""
    low, high = torch.tensor([lower, upper], dtype=torch.float32).tolist()
    return low, high


class TruncatedExponentials:
    """Mixture of exponentials that start at one point, truncated as a whole.

    The density is proportional to ``sum_i w_i / s_i exp(-(x - start) / s_i)`` on
    [lower, upper] and zero elsewhere.

    Parameters
    ----------
    weights : sequence of float
        Weight of each component before truncation, positive; normalised here.
    scales : sequence of float
        Mean of each component before truncation, positive, in the unit of x.
    lower, upper : float
        Truncation; rounded to float32.
    start : float
        Where the exponentials begin; not above ``lower``.
    """

    def __init__(
        self,
        weights: Sequence[float],
        scales: Sequence[float],
        *,
        lower: float,
        upper: float,
        start: float = 0.0,
    ) -> None:
        self.lower, self.upper = float32_bounds(lower, upper)
        weight = torch.tensor(weights, dtype=torch.float64)
        self._scale = torch.tensor(scales, dtype=torch.float64)
        self._tail = torch.exp(-(self.lower - start) / self._scale)
        self._mass = -torch.expm1(-(self.upper - self.lower) / self._scale)
        kept = weight * self._tail * self._mass
        self._share = kept / kept.sum()
        self._cumulative = torch.cumsum(self._share, 0)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw ``count`` values, float64 (n,)."""
        device = generator.device
        inner = self._cumulative[:-1].to(device)
        component = torch.bucketize(uniform(count, generator), inner, right=True)
        scale = self._scale.to(device).index_select(0, component)
        mass = self._mass.to(device).index_select(0, component)
        value = self.lower - scale * torch.log1p(-uniform(count, generator) * mass)
        return value.clamp_(self.lower, self.upper)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` (any shape); -inf outside the truncation."""
        value = x.double()
        outside = ~((value >= self.lower) & (value <= self.upper))
        height = torch.log(self._share / (self._scale * self._mass)).to(x.device)
        depth = (value.masked_fill(outside, self.lower) - self.lower).unsqueeze(-1)
        log_density = torch.logsumexp(height - depth / self._scale.to(x.device), -1)
        return log_density.masked_fill(outside, -math.inf)


class TruncatedNormals:
    """Mixture of normal densities, truncated as a whole at bounds that may differ by star.

    Parameters
    ----------
    weights, means, sigmas : sequence of float
        Weight (before truncation; normalised here), mean and standard deviation (both before
        truncation) of each component.
    """

    def __init__(
        self, weights: Sequence[float], means: Sequence[float], sigmas: Sequence[float]
    ) -> None:
        self._parts = [
            (weight / sum(weights), mean, sigma)
            for weight, mean, sigma in zip(weights, means, sigmas, strict=True)
        ]

    def sample(self, lower: Tensor, upper: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` values, float64 (n,), in [lower, upper], float64, () or (n,)."""
        limits = self._cumulative(lower, upper)
        pick = uniform(n, generator) * self._kept(limits)
        position = uniform(n, generator)
        value = torch.zeros_like(pick)
        before = torch.zeros_like(pick)
        for (weight, mean, sigma), (low, high) in zip(self._parts, limits, strict=True):
            z = torch.special.ndtri(low + (high - low) * position)
            value = torch.where(pick >= before, mean + sigma * z, value)
            before = before + weight * (high - low)
        return torch.clamp(value, lower, upper)

    def log_prob(self, x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """Log density at ``x`` (n,) given bounds, () or (n,); -inf outside them."""
        value = x.double()
        outside = ~((value >= lower) & (value <= upper))
        value = value.masked_fill(outside, 0.0)
        terms = [
            math.log(weight / (sigma * math.sqrt(2 * math.pi)))
            - 0.5 * ((value - mean) / sigma) ** 2
            for weight, mean, sigma in self._parts
        ]
        kept = torch.log(self._kept(self._cumulative(lower, upper)))
        return (torch.logsumexp(torch.stack(terms), 0) - kept).masked_fill(outside, -math.inf)

    def _cumulative(self, lower: Tensor, upper: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Cumulative of each component at both bounds."""
        return [
            (torch.special.ndtr((lower - mean) / sigma), torch.special.ndtr((upper - mean) / sigma))
            for _, mean, sigma in self._parts
        ]

    def _kept(self, limits: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Share of the mixture between the bounds."""
        shares = [
            weight * (high - low)
            for (weight, _, _), (low, high) in zip(self._parts, limits, strict=True)
        ]
        return torch.stack(shares).sum(0)


class Choice:
    """A discrete density, drawn in constant time by Walker's alias method.

    Walker 1977, ACM Transactions on Mathematical Software 3, 253: every one of C equal bins
    holds at most two outcomes. A search of the cumulative density takes three times as long.

    Parameters
    ----------
    share : (C,) Tensor
        Probability of each outcome; normalised here.
    """

    def __init__(self, share: Tensor) -> None:
        level = (share.double() / share.double().sum() * len(share)).tolist()
        alias = list(range(len(level)))
        small = [index for index, height in enumerate(level) if height < 1.0]
        large = [index for index, height in enumerate(level) if height >= 1.0]
        while small and large:
            poor, rich = small.pop(), large[-1]
            alias[poor] = rich
            level[rich] -= 1.0 - level[poor]
            if level[rich] < 1.0:
                small.append(large.pop())
        for index in small + large:
            level[index] = 1.0
        self._level = torch.tensor(level, dtype=torch.float64)
        self._alias = torch.tensor(alias)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` outcomes, int64 (n,)."""
        position = uniform(n, generator) * len(self._level)
        bin_ = position.long()
        stays = position - bin_ < self._level.to(position.device).index_select(0, bin_)
        return torch.where(stays, bin_, self._alias.to(position.device).index_select(0, bin_))
