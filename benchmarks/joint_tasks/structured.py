"""Tree and HMM of Gloeckler et al. 2024: any node asked for, given any others.

Every node is normal about a function of at most one earlier node. Functions, standard deviations
and graph are the authors' (scoresbibm/tasks/all_conditional_tasks.py of their repository
mackelab/simformer). References are our own: squares part the answers into modes, and the authors'
chains stay where the prior put them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from joint_tasks import tempering
from joint_tasks.tasks import Case
from maury.errors import MauryError

__all__ = ["Node", "StructuredTask", "hmm", "tree"]


class Node(NamedTuple):
    """Normal about `link` of its parent's value; without a parent, about zero."""

    parent: int | None
    link: Callable[[Tensor], Tensor]
    deviation: float


@dataclass(frozen=True)
class StructuredTask:
    """A graph of normals; see `Task`.

    Attributes
    ----------
    nodes : tuple of Node
        Each after its parent; the first `parameters` of them are the parameters.
    questions : int
        How many cases; a longer list begins with the shorter one.
    masks : {"even", "authors"}
        Which nodes are given: each with probability 0.5, at least one and not all; or as the
        authors' evaluation has it, in equal parts none, the data, the parameters, each node with
        probability 0.3, each with 0.7 (utils/condition_masks.py; 100 questions of 10,000 draws).
    draws : int
        Of each reference.
    seed : int
        Of the cases.
    folder : Path, optional
        Where references are kept: drawing one takes a quarter of a minute.
    """

    name: str
    nodes: tuple[Node, ...]
    parameters: int
    questions: int = 20
    masks: Literal["even", "authors"] = "even"
    draws: int = 10_000
    seed: int = 0
    folder: Path | None = None
    bounds: None = field(default=None, init=False)

    @property
    def data(self) -> int:
        return len(self.nodes) - self.parameters

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Joint draws, (n, nodes) float32."""
        noise = torch.randn(n, len(self.nodes), generator=generator)
        nothing = torch.zeros(len(self.nodes), dtype=torch.bool)
        return self._complete(noise, nothing, noise[0])[0]

    def log_prob(self, values: Tensor) -> Tensor:
        """Log density of all nodes, (..., nodes) to (...)."""
        total = torch.zeros_like(values[..., 0])
        for i, node in enumerate(self.nodes):
            total = total + _log_normal(values[..., i], self._mean(i, values), node.deviation)
        return total

    def edges(self) -> Tensor:
        edges = torch.eye(len(self.nodes), dtype=torch.bool)
        for i, node in enumerate(self.nodes):
            if node.parent is not None:
                edges[i, node.parent] = True
        return edges

    def cases(self) -> list[Case]:
        generator = torch.Generator().manual_seed(self.seed)
        questions = [
            (self._mask(generator), self.sample(1, generator)[0]) for _ in range(self.questions)
        ]
        return [self._case(i, given, values) for i, (given, values) in enumerate(questions)]

    def reference(self, given: Tensor, values: Tensor, n: int, *, seed: int = 0) -> Tensor:
        """Draws of the nodes not given, from their exact conditional.

        Parameters
        ----------
        given : (nodes,) bool
        values : (nodes,)
            Only those of the given nodes are read.
        n, seed : int
            How many draws, and of which random numbers.

        Returns
        -------
        (n, latent nodes) float32

        Raises
        ------
        MauryError
            If every node is given, or the chains disagree (see `tempering.sample`).
        """
        if given.all():
            raise MauryError("every node is given: leave at least one to be asked for")
        latent = ~given
        known = values.double()

        def nodes(noise: Tensor) -> tuple[Tensor, Tensor]:
            full = torch.zeros(len(noise), len(self.nodes), dtype=noise.dtype)
            full[:, latent] = noise
            return self._complete(full, given, known)

        draws = tempering.sample(
            lambda noise: nodes(noise)[1],
            lambda noise: nodes(noise)[0][:, latent],
            int(latent.sum()),
            n,
            torch.Generator().manual_seed(seed),
        )
        return draws.float()

    def _complete(self, noise: Tensor, given: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All nodes (B, nodes) from standard noise, the given ones held, with the log density (B,)
        of these given their parents."""
        nodes = torch.empty_like(noise)
        weight = torch.zeros_like(noise[:, 0])
        for i, (node, held) in enumerate(zip(self.nodes, given.tolist(), strict=True)):
            mean = self._mean(i, nodes)
            if held:
                nodes[:, i] = values[i]
                weight = weight + _log_normal(values[i], mean, node.deviation)
            else:
                nodes[:, i] = mean + node.deviation * noise[:, i]
        return nodes, weight

    def _mean(self, i: int, values: Tensor) -> Tensor:
        parent, link, _ = self.nodes[i]
        return torch.zeros_like(values[..., 0]) if parent is None else link(values[..., parent])

    def _mask(self, generator: torch.Generator) -> Tensor:
        if self.masks == "even":
            chance = torch.full((len(self.nodes),), 0.5)
        else:
            parameter = torch.arange(len(self.nodes)) < self.parameters
            kinds = [0 * parameter, ~parameter, parameter, 0.3 + 0 * parameter, 0.7 + 0 * parameter]
            kind = int(torch.randint(len(kinds), (), generator=generator))
            chance = kinds[kind].float()
        given = torch.rand(len(self.nodes), generator=generator) < chance
        if given.all() or (self.masks == "even" and not given.any()):
            return self._mask(generator)
        return given

    def _case(self, i: int, given: Tensor, values: Tensor) -> Case:
        if self.folder is None:
            return Case(given, values, self.reference(given, values, self.draws, seed=i))
        path = self.folder / f"{self.name}_{self.masks}_{self.seed}_{i}_{self.draws}.npy"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            np.save(path, self.reference(given, values, self.draws, seed=i).numpy())
        return Case(given, values, torch.from_numpy(np.load(path)))


def tree(**settings: Any) -> StructuredTask:
    """Three parameters, one the parent of two, and four data on sines, cosines and squares."""
    nodes = (
        Node(None, _same, 1.0),
        Node(0, _same, 1.0),
        Node(0, _same, 1.0),
        Node(1, lambda x: x.sin().square(), 0.2),
        Node(1, lambda x: 0.1 * x.square(), 0.2),
        Node(2, lambda x: 0.1 * x.square(), 0.6),
        Node(2, lambda x: x.cos().square(), 0.1),
    )
    return StructuredTask("tree", nodes, 3, **settings)


def hmm(**settings: Any) -> StructuredTask:
    """A random walk of ten steps, each seen squared."""
    walk = [Node(None if i == 0 else i - 1, _same, 0.5) for i in range(10)]
    seen = [Node(i, torch.square, 0.5) for i in range(10)]
    return StructuredTask("hmm", (*walk, *seen), 10, **settings)


def _same(x: Tensor) -> Tensor:
    return x


def _log_normal(value: Tensor, mean: Tensor, deviation: float) -> Tensor:
    z = (value - mean) / deviation
    return -0.5 * z.square() - math.log(deviation) - 0.5 * math.log(2 * math.pi)
