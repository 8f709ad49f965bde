"""Monotonic rational-quadratic splines on the real line, identity outside [-bound, bound].

Durkan et al. 2019, "Neural Spline Flows", arXiv:1906.04032, equations 4 to 8 (forward and its
derivative) and 25 to 29 of the appendix (the inverse).
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Knots", "knots", "parameters_per_spline", "spline_forward", "spline_inverse"]

# No bin is narrower or lower than this fraction of the interval, no slope at a knot smaller: keeps
# float32 from dividing by zero.
MIN_BIN = 1e-3
MIN_SLOPE = 1e-3
# softplus(SLOPE_AT_ZERO) + MIN_SLOPE = 1, so that a network that says zero means the identity.
SLOPE_AT_ZERO = math.log(math.expm1(1.0 - MIN_SLOPE))

# Logits are cut here: beyond, the narrowest bins are at MIN_BIN anyway.
LOGIT = 8.0

Knots = tuple[Tensor, Tensor]


def parameters_per_spline(bins: int) -> int:
    """Numbers that describe one spline: ``bins`` widths, ``bins`` heights, inner slopes."""
    return 3 * bins - 1


def knots(raw: Tensor, bins: int) -> Knots:
    """Knots of monotonic splines from unconstrained numbers.

    Parameters
    ----------
    raw : Tensor, (3 * bins - 1, ...)
        Logits of widths and of heights, and pre-softplus slopes; zeros mean the identity.
    bins : int

    Returns
    -------
    edges : Tensor, (2, bins + 1, ...)
        Positions of the knots in x and in y, in units of ``edges[:, -1] / bound``: one number is
        cheaper brought to these units than all knots out of them.
    slope : Tensor, (bins + 1, ...)
        Slopes before the softplus; the two ends are 1 after it.
    """
    shares, slopes = raw.split((2 * bins, bins - 1))
    shares = shares.clamp(-LOGIT, LOGIT).exp_().reshape(2, bins, -1)
    edges = torch.matmul(raw.new_tensor(_summing(bins)), shares)
    none = torch.zeros_like(slopes[:1])
    return edges.view(2, bins + 1, *raw.shape[1:]), torch.cat((none, slopes, none))


@cache
def _summing(bins: int) -> list[list[float]]:
    """Matrix (bins + 1, bins) from a softmax's numerators to edges about zero.

    Running sums, to which `MIN_BIN` of the total is added at each step. As a matrix product they
    are several times faster than `torch.cumsum` over so few.
    """
    least = MIN_BIN / (1.0 - MIN_BIN * bins)
    return [
        [(i < k) - 0.5 + least * (k - 0.5 * bins) for i in range(bins)] for k in range(bins + 1)
    ]


def _bin(at: Tensor, axis: int, table: Knots) -> Knots:
    """Edges (2, 2, ...) and slopes (2, ...) of the two ends of the bin that holds ``at``.

    ``axis`` says whether ``at`` is an x (0) or a y (1).
    """
    edges, slope = table
    while (bins := len(slope) - 1) > 1:
        half = (bins + 1) // 2
        right = (at - edges[axis, bins - half]).detach().ge_(0.0)
        # Zero or one in `lerp` picks one of two numbers exactly, and faster than `where`.
        edges = torch.lerp(edges[:, : half + 1], edges[:, bins - half :], right)
        slope = torch.lerp(slope[: half + 1], slope[bins - half :], right)
    return edges, F.softplus(slope + SLOPE_AT_ZERO) + MIN_SLOPE


def spline_forward(x: Tensor, table: Knots, bound: float) -> tuple[Tensor, Tensor]:
    """Spline at ``x`` and the logarithm of its derivative.

    Parameters
    ----------
    x : Tensor, (...)
    table : tuple of Tensor
        From `knots`, its trailing dimensions as many as those of ``x`` and broadcasting.
    bound : float

    Returns
    -------
    y, log_derivative : Tensor, (...)
    """
    inside = x.abs() < bound
    unit_x, unit_y = (table[0][:, -1] / bound).unbind()
    at = x.clamp(-bound, bound) * unit_x
    edges, (d0, d1) = _bin(at, 0, table)
    (x0, y0), (w, h) = edges[:, 0], edges[:, 1] - edges[:, 0]
    s = (h / w) * (unit_x / unit_y)
    t = ((at - x0) / w).clamp(0.0, 1.0)
    tt = t * (1.0 - t)
    below = s + (d0 + d1 - 2.0 * s) * tt
    y = (y0 + h * (s * t * t + d0 * tt) / below) / unit_y
    rise = d1 * t * t + 2.0 * s * tt + d0 * (1.0 - t) ** 2
    log_derivative = 2.0 * (s.log() - below.log()) + rise.log()
    return torch.where(inside, y, x), torch.where(inside, log_derivative, 0.0)


def spline_inverse(y: Tensor, table: Knots, bound: float) -> Tensor:
    """The ``x`` at which `spline_forward` gives ``y``; shapes as there."""
    inside = y.clamp(-bound, bound)
    unit_x, unit_y = (table[0][:, -1] / bound).unbind()
    at = inside * unit_y
    edges, slope = _bin(at, 1, table)
    (x0, y0), (w, h) = edges[:, 0], edges[:, 1] - edges[:, 0]
    # With r = (y - y0) / h and slopes d0, d1 in units of the bin's own, a of equation 27 is 1 - b
    # and c is -r.
    r = (at - y0) / h
    d0, d1 = slope * ((w / h) * (unit_y / unit_x))
    b = torch.addcmul(d0, r, d0 + d1 - 2.0, value=-1.0)
    root = torch.addcmul(b * b, r, 1.0 - b, value=4.0).clamp_min(0.0).sqrt()
    # This form of the root does not cancel when a is small (appendix, equation 29). It may when b
    # is far below zero: the bin is not left for all that.
    half = (r / (b + root).clamp_min(1e-30)).clamp_max(0.5)
    x = torch.addcmul(x0, w, half, value=2.0) / unit_x
    return x + (y - inside)
