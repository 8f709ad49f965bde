"""Quantiles of a finite number of posterior draws, corrected for that number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from maury.errors import MauryError

__all__ = ["quantiles"]


def quantiles(draws: Tensor, probabilities: Sequence[float]) -> Tensor:
    """Estimate quantiles that cover what they promise, however few the draws.

    Among K independent draws, the expected probability below the r-th smallest is r / (K + 1), so
    the quantile at p lies at rank p (K + 1), between order statistics linearly (Weibull 1939;
    definition 6 of Hyndman & Fan 1996). The interval between two of these holds, averaged over the
    draws, the stated probability; the usual rank p (K - 1) + 1 makes it too narrow.

    Parameters
    ----------
    draws : Tensor, shape (K, ...)
        Draws along the first axis, in any unit.
    probabilities : sequence of float
        P probabilities in [0, 1]. Where p (K + 1) lies outside 1..K the extreme draw stands in.

    Returns
    -------
    Tensor, shape (P, ...)
        In the unit of the draws; NaN wherever any draw is NaN.

    Raises
    ------
    MauryError
        Where there are no draws, or a probability lies outside [0, 1].
    """
    if draws.ndim == 0 or len(draws) == 0:
        raise MauryError("quantiles need at least one draw along the first axis, and got none")
    outside = [p for p in probabilities if not 0.0 <= p <= 1.0]
    if outside:
        raise MauryError(
            f"a probability must lie between 0 and 1, and this one does not: {outside[0]}"
        )
    count = len(draws)
    ordered = _sorted(draws.detach())
    rank = torch.tensor(probabilities, dtype=torch.float64) * (count + 1) - 1
    rank = rank.clamp(0, count - 1)
    below = rank.floor().long()
    above = (below + 1).clamp(max=count - 1)
    fraction = (rank - below).to(draws).reshape(-1, *(1,) * (draws.ndim - 1))
    low, high = ordered[below.to(draws.device)], ordered[above.to(draws.device)]
    # Equal ends first: the difference of two infinities would not be a number.
    between = torch.where(fraction == 0, low, torch.lerp(low, high, fraction))
    # Sorting puts NaN last, so the last row tells whether there is one.
    return between.masked_fill(ordered[-1].isnan(), torch.nan)


def _sorted(draws: Tensor) -> Tensor:
    """In rising order along the first axis, NaN last: on CPUs numpy is several times faster."""
    if draws.device.type != "cpu":
        return torch.sort(draws, dim=0).values
    return torch.from_numpy(np.sort(draws.numpy(), axis=0))
