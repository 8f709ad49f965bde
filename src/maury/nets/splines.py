"""Monotonic rational-quadratic splines on the real line, identity outside [-bound, bound].

Durkan et al. 2019, "Neural Spline Flows", arXiv:1906.04032, equations 4 to 8 (forward and its
derivative) and 25 to 29 of the appendix (the inverse).
"""

from __future__ import annotations

import math

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


def knots(raw: Tensor, bins: int, bound: float) -> Knots:
    """Knots of monotonic splines from unconstrained numbers.

    Parameters
    ----------
    raw : Tensor, (..., 3 * bins - 1)
        Logits of widths and of heights, and pre-softplus slopes; zeros mean the identity.
    bins : int
    bound : float

    Returns
    -------
    edges : Tensor, (..., 2, bins + 1)
        Positions of the knots in x and in y, from -bound to bound.
    slope : Tensor, (..., bins + 1)
        Slopes before the softplus; the two ends are 1 after it.
    """
    shares, slopes = raw.split((2 * bins, bins - 1), dim=-1)
    # A softmax over so few bins is slow on a CPU; the running sum gives its normalisation too.
    sums = shares.unflatten(-1, (2, bins)).clamp(-LOGIT, LOGIT).exp().cumsum(dim=-1)
    least = torch.arange(1, bins, device=raw.device, dtype=raw.dtype) * (2.0 * bound * MIN_BIN)
    room = 2.0 * bound * (1.0 - MIN_BIN * bins)
    inner = sums[..., :-1] * (room / sums[..., -1:]) + (least - bound)
    # The ends are set rather than summed: rounding must not open a gap to the identity tails.
    end = inner.new_full((1,), bound).expand(*inner.shape[:-1], 1)
    return torch.cat((-end, inner, end), dim=-1), F.pad(slopes, (1, 1))


def _bin(at: Tensor, axis: int, table: Knots) -> tuple[Tensor, ...]:
    """Left edge, width, lower edge, height and two slopes of the bin that holds ``at``.

    ``axis`` says whether ``at`` is an x (0) or a y (1).
    """
    edges, slope = table
    left = (at.unsqueeze(-1) >= edges[..., axis, 1:-1]).sum(dim=-1, keepdim=True)
    pair = torch.cat((left, left + 1), dim=-1)
    shape = pair.shape[:-1]
    both = pair.unsqueeze(-2).expand(*shape, 2, 2)
    (x0, x1), (y0, y1) = (
        side.unbind(-1)
        for side in edges.expand(*shape, *edges.shape[-2:]).gather(-1, both).unbind(-2)
    )
    slopes = slope.expand(*shape, slope.shape[-1]).gather(-1, pair)
    d0, d1 = (F.softplus(slopes + SLOPE_AT_ZERO) + MIN_SLOPE).unbind(-1)
    return x0, x1 - x0, y0, y1 - y0, d0, d1


def spline_forward(x: Tensor, table: Knots, bound: float) -> tuple[Tensor, Tensor]:
    """Spline at ``x`` and the logarithm of its derivative.

    Parameters
    ----------
    x : Tensor, (...)
    table : tuple of Tensor
        From `knots`, its leading dimensions broadcast against ``x``.
    bound : float

    Returns
    -------
    y, log_derivative : Tensor, (...)
    """
    inside = x.abs() < bound
    at = x.clamp(-bound, bound)
    x0, w, y0, h, d0, d1 = _bin(at, 0, table)
    s = h / w
    t = ((at - x0) / w).clamp(0.0, 1.0)
    tt = t * (1.0 - t)
    below = s + (d0 + d1 - 2.0 * s) * tt
    y = y0 + h * (s * t * t + d0 * tt) / below
    rise = d1 * t * t + 2.0 * s * tt + d0 * (1.0 - t) ** 2
    log_derivative = 2.0 * (s.log() - below.log()) + rise.log()
    return torch.where(inside, y, x), torch.where(inside, log_derivative, 0.0)


def spline_inverse(y: Tensor, table: Knots, bound: float) -> Tensor:
    """The ``x`` at which `spline_forward` gives ``y``; shapes as there."""
    inside = y.abs() < bound
    at = y.clamp(-bound, bound)
    x0, w, y0, h, d0, d1 = _bin(at, 1, table)
    s = h / w
    r = at - y0
    bend = r * (d0 + d1 - 2.0 * s)
    a = h * (s - d0) + bend
    b = h * d0 - bend
    c = -s * r
    # This form of the root does not cancel when a is small (appendix, equation 29).
    root = (b * b - 4.0 * a * c).clamp_min(0.0).sqrt()
    t = (2.0 * c / (-b - root).clamp_max(-1e-30)).clamp(0.0, 1.0)
    return torch.where(inside, x0 + t * w, y)
