"""Stars whose draws pile up where the prior ends."""

from __future__ import annotations

import torch
from torch import Tensor

from maury.inference.draws import Draws
from maury.sky.populations.edges import EDGES

__all__ = ["at_edge"]

SHARE = 0.2
"""Share of draws beyond an edge that raises the flag."""


def at_edge(draws: Draws, prior: str) -> Tensor:
    """Stars (N,) of which more than a fifth of the draws lie beyond one edge of the prior.

    Parameters
    ----------
    draws : Draws
        Of N stars; parameters that follow from others have no edge of their own.
    prior : str
        Name of the model's prior, see `maury.sky.populations.edges.EDGES`.
    """
    raised = torch.zeros(draws.values.shape[1], dtype=torch.bool)
    for name, (low, high) in EDGES[prior].items():
        values = draws[name]
        for beyond in (values < low, values > high):
            raised |= beyond.float().mean(0) > SHARE
    return raised
