"""What is given and what is asked, drawn anew for each row in training.

Condition masks after Gloeckler et al. 2024 (arXiv:2404.09636, section 3.2): the joint, the
posterior, the likelihood, and two kinds of random subsets. Of the nodes that are then neither
parameters nor measured nothing is known: they are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Conditions", "draw_conditions", "graph_edges"]


@dataclass(frozen=True)
class Conditions:
    """How often each kind of question is asked; shares sum to one.

    Parameters
    ----------
    posterior, likelihood, joint : float
        Parameters from data, data from parameters, all at once.
    sparse, dense : float
        Each node given with a chance of 0.3 or of 0.7.
    left_out : float
        Chance that a latent node is left out, so that its marginal is learned, in half of the rows.
    """

    posterior: float = 0.2
    likelihood: float = 0.2
    joint: float = 0.2
    sparse: float = 0.2
    dense: float = 0.2
    left_out: float = 0.5


def draw_conditions(
    parameters: int, here: Tensor, conditions: Conditions, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Given and latent nodes (N, T) of rows whose nodes ``here`` (N, T) exist.

    The first ``parameters`` nodes are parameters. Each row has at least one latent node, if it has
    any at all.
    """
    n, nodes = here.shape
    device = here.device
    if n == 0:
        return here, here
    shares = torch.tensor(
        [
            conditions.posterior,
            conditions.likelihood,
            conditions.joint,
            conditions.sparse,
            conditions.dense,
        ]
    )
    kind = torch.multinomial(shares, n, replacement=True, generator=generator).to(device)
    is_data = torch.arange(nodes, device=device) >= parameters
    chance = torch.rand(n, nodes, generator=generator).to(device)
    limits = torch.tensor([0.3, 0.7], device=device)[(kind - 3).clamp(min=0)]
    given = torch.where(
        (kind == 0)[:, None], is_data, torch.where((kind == 1)[:, None], ~is_data, False)
    )
    given = torch.where((kind >= 3)[:, None], chance < limits[:, None], given) & here
    latent = here & ~given
    # Where everything came out given, one node is asked after all.
    none = ~latent.any(1)
    order = torch.rand(n, nodes, generator=generator).to(device).masked_fill(~here, -1.0)
    chosen = torch.zeros_like(here).scatter_(1, order.argmax(1, keepdim=True), True) & here
    latent |= chosen & none[:, None]
    given &= ~latent
    return given, _some_left_out(latent, order, conditions.left_out, generator)


def _some_left_out(
    latent: Tensor, order: Tensor, share: float, generator: torch.Generator | None
) -> Tensor:
    """Leave out latent nodes in every second row, but never the last one."""
    n = len(latent)
    thinned = (torch.rand(n, generator=generator) < 0.5).to(latent.device)
    lost = (torch.rand(latent.shape, generator=generator) < share).to(latent.device)
    first = order.masked_fill(~latent, -1.0).argmax(1, keepdim=True)
    lost &= ~torch.zeros_like(latent).scatter_(1, first, True)
    return latent & ~(lost & thinned[:, None])


def graph_edges(directed: Tensor, *, undirected: bool) -> Tensor:
    """Attention edges (T, T) of a graph whose node i depends on the nodes j with directed[i, j].

    A directed graph lets each node attend to itself and its parents. In the undirected (moral)
    graph parents of a common child are joined, too, and edges go both ways: what conditionals of
    any kind need (Gloeckler et al. 2024, appendix A1.2; Koller & Friedman 2009, section 4.5).
    """
    itself = torch.eye(len(directed), dtype=torch.bool, device=directed.device)
    edges = directed | itself
    if not undirected:
        return edges
    married = (edges.T.float() @ edges.float()) > 0
    return edges | edges.T | married
