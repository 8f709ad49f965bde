"""What a task is, and the four of Lueckmann et al. 2021: own simulators, their references.

Constants are those of their package sbibm 1.1.0. It is never imported, since its own imports want a
probabilistic language: only its tables are read.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maury.errors import MauryError

__all__ = ["Case", "Task", "gaussian_linear", "gaussian_mixture", "slcp", "two_moons"]

OBSERVATIONS = 10


@dataclass(frozen=True)
class Case:
    """One question with a known answer.

    Attributes
    ----------
    given : (nodes,) bool
        Nodes whose value is known.
    values : (nodes,) float32
        Their values; those of the other nodes are the truth behind the case, and not to be seen.
    reference : (M, latent nodes) float32
        Draws of the nodes that are not given, in their order, from the exact conditional.
    """

    given: Tensor
    values: Tensor
    reference: Tensor


class Task(Protocol):
    """A simulator of parameters (the first nodes) and data (the rest), and questions to it."""

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> int: ...

    @property
    def data(self) -> int: ...

    @property
    def bounds(self) -> tuple[Tensor, Tensor] | None:
        """Of the parameters' uniform prior, (parameters,) each; None for other priors."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Joint draws, (n, parameters + data) float32."""

    def cases(self) -> list[Case]: ...

    def edges(self) -> Tensor:
        """Which node depends directly on which: [i, j] is True where j is i's parent, or i."""


@dataclass(frozen=True)
class _PosteriorTask:
    """A task whose questions are the ten observations of sbibm, all data given.

    `bound` is that of the uniform prior, `links` (data, nodes) says what each node of the data
    depends on; the parameters are independent a priori.
    """

    name: str
    parameters: int
    data: int
    bound: float | None
    simulate: Callable[[Tensor, torch.Generator], Tensor]
    links: Tensor

    @property
    def bounds(self) -> tuple[Tensor, Tensor] | None:
        if self.bound is None:
            return None
        upper = torch.full((self.parameters,), self.bound)
        return -upper, upper

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        if self.bound is None:
            theta = math.sqrt(0.1) * torch.randn(n, self.parameters, generator=generator)
        else:
            theta = self.bound * (2 * torch.rand(n, self.parameters, generator=generator) - 1)
        return torch.cat([theta, self.simulate(theta, generator)], dim=1)

    def cases(self) -> list[Case]:
        given = torch.arange(self.parameters + self.data) >= self.parameters
        folder = _tables(self.name)
        return [_case(folder / f"num_observation_{i + 1}", given) for i in range(OBSERVATIONS)]

    def edges(self) -> Tensor:
        edges = torch.eye(self.parameters + self.data, dtype=torch.bool)
        edges[self.parameters :] |= self.links
        return edges


def two_moons() -> Task:
    """A crescent for data; the posterior has two, mirrored (section T.8 of the paper)."""
    return _PosteriorTask("two_moons", 2, 2, 1.0, _two_moons, _all_earlier(2, 2))


def gaussian_mixture() -> Task:
    """A broad and a narrow normal about the same mean, prior U(-10, 10) (T.7)."""
    return _PosteriorTask("gaussian_mixture", 2, 2, 10.0, _mixture, _all_earlier(2, 2))


def gaussian_linear() -> Task:
    """The mean of a normal in ten dimensions: prior and noise of variance 0.1 each (T.1)."""
    own = torch.eye(10).repeat(1, 2) > 0
    return _PosteriorTask("gaussian_linear", 10, 10, None, _linear, own)


def slcp() -> Task:
    """Simple likelihood, complex posterior: four points of a normal in the plane (T.3)."""
    return _PosteriorTask("slcp", 5, 8, 3.0, _slcp, _slcp_links())


def _two_moons(theta: Tensor, generator: torch.Generator) -> Tensor:
    angle = math.pi * (torch.rand(len(theta), generator=generator) - 0.5)
    radius = 0.1 + 0.01 * torch.randn(len(theta), generator=generator)
    along = -(theta[:, 0] + theta[:, 1]).abs() / math.sqrt(2)
    across = (theta[:, 1] - theta[:, 0]) / math.sqrt(2)
    x = [radius * angle.cos() + 0.25 + along, radius * angle.sin() + across]
    return torch.stack(x, dim=1)


def _mixture(theta: Tensor, generator: torch.Generator) -> Tensor:
    narrow = torch.rand(len(theta), 1, generator=generator) < 0.5
    scale = torch.where(narrow, 0.1, 1.0)
    return theta + scale * torch.randn(theta.shape, generator=generator)


def _linear(theta: Tensor, generator: torch.Generator) -> Tensor:
    return theta + math.sqrt(0.1) * torch.randn(theta.shape, generator=generator)


def _slcp(theta: Tensor, generator: torch.Generator) -> Tensor:
    mean, (s1, s2), rho = theta[:, :2], theta[:, 2:4].square().unbind(1), theta[:, 4].tanh()
    # The package adds 1e-6 to both variances.
    v1, v2, covariance = s1.square() + 1e-6, s2.square() + 1e-6, rho * s1 * s2
    first = v1.sqrt()
    slope = covariance / first
    second = (v2 - slope.square()).clamp_min(0).sqrt()
    noise = torch.randn(len(theta), 4, 2, generator=generator)
    x1 = mean[:, :1] + first[:, None] * noise[..., 0]
    x2 = mean[:, 1:] + slope[:, None] * noise[..., 0] + second[:, None] * noise[..., 1]
    return torch.stack([x1, x2], dim=2).flatten(1)


def _all_earlier(parameters: int, data: int) -> Tensor:
    """Every parameter and, for what they share unseen, every earlier node of the data."""
    return torch.ones(data, parameters + data).tril(parameters) > 0


def _slcp_links() -> Tensor:
    """A point's first coordinate knows its own mean and scale, its second all, and the first."""
    first, second = torch.tensor([1, 0, 1, 0, 0]), torch.ones(5)
    parameters = torch.stack([first, second]).repeat(4, 1)
    pairs = torch.block_diag(*[torch.tensor([[1.0, 0.0], [1.0, 1.0]])] * 4)
    return torch.cat([parameters, pairs], dim=1) > 0


def _tables(task: str) -> Path:
    spec = importlib.util.find_spec("sbibm")
    if spec is None or not spec.submodule_search_locations:
        raise MauryError(
            f"the tables of {task!r} come with the package sbibm, "
            "which is not installed: pip install --no-deps sbibm==1.1.0"
        )
    return Path(spec.submodule_search_locations[0]) / "tasks" / task / "files"


def _case(folder: Path, given: Tensor) -> Case:
    theta, x, reference = (
        torch.from_numpy(pd.read_csv(folder / name).to_numpy(np.float32))
        for name in (
            "true_parameters.csv",
            "observation.csv",
            "reference_posterior_samples.csv.bz2",
        )
    )
    return Case(given, torch.cat([theta[0], x[0]]), reference)
