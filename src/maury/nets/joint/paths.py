"""Paths between noise and data, all seen as one rotation.

A path mixes data r and noise e, both of unit variance, into x_t = alpha(t) r + sigma(t) e. Divided
by its own spread, every such mixture is a point on the same circle,

    y = cos(phi) r + sin(phi) e,      tan(phi) = sigma / alpha,

whose velocity along the angle is u = cos(phi) e - sin(phi) r: uncorrelated with y, of unit
variance, and hence what networks here learn, whatever the path (v-prediction of Salimans & Ho 2022,
arXiv:2202.00512, for any schedule as in Karras et al. 2022, arXiv:2206.00364, and Lu & Song 2024,
arXiv:2410.11081). Paths differ in the angles they visit and in the weight they give to each.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["PATHS", "FlowMatching", "Path", "PathName", "VarianceExploding", "VariancePreserving"]

PathName = Literal["flow matching", "variance exploding", "variance preserving"]


class Path(ABC):
    """Times run from 0, data, to 1, noise."""

    @abstractmethod
    def alpha_sigma(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of data and of noise at times (N,)."""

    @abstractmethod
    def weight(self, time: Tensor) -> Tensor:
        """Weight (N,) of the squared error of u in the loss."""

    def times(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Times (count,) at which to train: uniform, one in each of ``count`` equal parts.

        Such a comb has less scatter than independent times (Kingma et al. 2021, arXiv:2107.00630).
        """
        comb = torch.arange(count) + torch.rand(count, generator=generator)
        order = torch.randperm(count, generator=generator)
        return self._stretched(comb[order] / count)

    def _stretched(self, uniform: Tensor) -> Tensor:
        """The path's own distribution of training times, from uniform numbers."""
        return uniform

    def angle(self, time: Tensor) -> Tensor:
        """The angle phi (N,), from near 0 to near pi / 2."""
        alpha, sigma = self.alpha_sigma(time)
        return torch.atan2(sigma, alpha)

    @property
    def first(self) -> float:
        """The angle at which sampling starts: no farther than where noise hides the data.

        Training hardly goes there, and a ratio of sigma to alpha of e^4 leaves a fiftieth of them.
        """
        end = float(self.angle(torch.tensor(1.0, dtype=torch.float64)))
        return min(end, math.atan(math.exp(4.0)))

    @property
    def last(self) -> float:
        """The angle at which it ends."""
        return float(self.angle(torch.tensor(0.0, dtype=torch.float64)))


@dataclass(frozen=True)
class FlowMatching(Path):
    """The straight path of optimal transport (Lipman et al. 2023, arXiv:2210.02747, eq. 20-23).

    x = (1 - t) r + (s + (1 - s) t) e. Its loss, the squared error of dx/dt, weighs u by
    (sigma' cos - alpha' sin)^2. Training times follow a logit-normal density (Esser et al. 2024,
    arXiv:2403.03206, eq. 19), here shifted towards the data and wide: posteriors are thin.
    """

    smallest: float = 1e-3
    middle: float = -0.8
    spread: float = 1.6

    def alpha_sigma(self, time: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - time, self.smallest + (1 - self.smallest) * time

    def weight(self, time: Tensor) -> Tensor:
        phi = self.angle(time)
        return ((1 - self.smallest) * torch.cos(phi) + torch.sin(phi)) ** 2

    def _stretched(self, uniform: Tensor) -> Tensor:
        return torch.sigmoid(self.middle + self.spread * torch.special.ndtri(uniform))


@dataclass(frozen=True)
class VarianceExploding(Path):
    """Noise is added to data that stay (Song et al. 2021, arXiv:2011.13456, eq. 9 and 30).

    sigma = smallest (largest / smallest)^t, the numbers of Gloeckler et al. 2024 (Simformer). The
    loss weighs scores by sigma^2 (eq. 7 of Song et al.), and so u by cos^2.
    """

    smallest: float = 1e-4
    largest: float = 15.0

    def alpha_sigma(self, time: Tensor) -> tuple[Tensor, Tensor]:
        growth = math.log(self.largest / self.smallest)
        return torch.ones_like(time), self.smallest * torch.exp(growth * time)

    def weight(self, time: Tensor) -> Tensor:
        return torch.cos(self.angle(time)) ** 2


@dataclass(frozen=True)
class VariancePreserving(Path):
    """Data fade as noise grows (Song et al. 2021, arXiv:2011.13456, eq. 11 and 33).

    beta rises linearly; the loss weighs scores by sigma^2, and so u by cos^2.
    """

    least: float = 0.1
    most: float = 20.0
    shortest: float = 1e-5

    def alpha_sigma(self, time: Tensor) -> tuple[Tensor, Tensor]:
        time = self.shortest + (1 - self.shortest) * time
        exponent = 0.5 * self.least * time + 0.25 * (self.most - self.least) * time**2
        return torch.exp(-exponent), torch.sqrt(-torch.expm1(-2 * exponent))

    def weight(self, time: Tensor) -> Tensor:
        return torch.cos(self.angle(time)) ** 2


PATHS: dict[PathName, Path] = {
    "flow matching": FlowMatching(),
    "variance exploding": VarianceExploding(),
    "variance preserving": VariancePreserving(),
}
