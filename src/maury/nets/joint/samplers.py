"""From noise to data: solvers of the probability flow, and its stochastic twin.

All move points y along the angle phi of `maury.nets.joint.paths`, from noise at the path's first
angle to data at 0, by dy/dphi = u. On this circle, and with every latent node in its own unit, the
flow of a normal density is a standstill: whatever else it may do is slow, so that ten calls of the
network leave errors of about a hundredth of a standard deviation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from maury.errors import MauryError

__all__ = ["Field", "adaptive", "angles", "midpoint", "multistep", "predictor_corrector"]

Field = Callable[[Tensor, float], Tensor]
"""u of points y (N, ...) at one angle."""

SPACING = 1.5
"""Power by which steps shorten towards the data; 1 and 2 serve thin or skewed densities less."""


def angles(first: float, steps: int) -> list[float]:
    """The ends of ``steps`` steps from ``first`` down to 0.

    Raises
    ------
    MauryError
        If there are none.
    """
    if steps < 1:
        raise MauryError(f"steps is {steps}: a sampler needs one or more")
    return [first * (1 - i / steps) ** SPACING for i in range(steps + 1)]


def multistep(field: Field, y: Tensor, grid: Sequence[float]) -> Tensor:
    """Adams and Bashforth's second-order rule: one call a step, and the call before it.

    For steps of unequal length (Hairer, Norsett & Wanner 1993, section III.5).
    """
    before: Tensor | None = None
    last = 1.0
    for here, there in itertools.pairwise(grid):
        step, u = there - here, field(y, here)
        slope = u if before is None else u + 0.5 * step / last * (u - before)
        y, before, last = y + step * slope, u, step
    return y


def midpoint(field: Field, y: Tensor, grid: Sequence[float]) -> Tensor:
    """The second-order midpoint rule: two calls a step."""
    for here, there in itertools.pairwise(grid):
        step = there - here
        y = y + step * field(y + 0.5 * step * field(y, here), here + 0.5 * step)
    return y


def adaptive(
    field: Field, y: Tensor, first: float, *, tolerance: float = 1e-3, most: int = 1000
) -> Tensor:
    """Dormand & Prince's pair of orders 5 and 4, its steps chosen by the worst row.

    Parameters
    ----------
    field : Field
    y : Tensor (N, ...)
        At angle ``first``.
    first : float
    tolerance : float
        Largest error of a step, root mean square over a row (y has unit variance).
    most : int
        Steps after which to give up.

    Raises
    ------
    MauryError
        If that many steps do not suffice.
    """
    if not y.numel():
        return y
    phi, step = first, -0.05 * first
    slope = field(y, phi)
    for _ in range(most):
        step = max(step, -phi)
        slopes = [slope]
        for time, weights in zip(_TIMES, _WEIGHTS, strict=True):
            slopes.append(field(y + step * _mixed(weights, slopes), phi + time * step))
        new = y + step * _mixed(_WEIGHTS[-1], slopes[:-1])
        miss = step * _mixed(_ERROR, slopes)
        worst = float(miss.square().flatten(1).mean(1).sqrt().max()) / tolerance
        if worst <= 1:
            y, phi, slope = new, phi + step, slopes[-1]
            if phi <= 1e-9:
                return y
        step *= min(5.0, max(0.2, 0.9 * (worst + 1e-12) ** -0.2))
    raise MauryError(f"the sampler did not arrive within {most} steps: raise its tolerance")


def predictor_corrector(
    field: Field,
    y: Tensor,
    grid: Sequence[float],
    generator: torch.Generator,
    *,
    signal_to_noise: float = 0.16,
) -> Tensor:
    """Ancestral steps, each followed by one of Langevin's: two calls a step.

    Algorithm 2 and eq. 47 of Song et al. 2021, arXiv:2011.13456, with their step size (appendix G),
    in the picture where data stay and noise of width tan(phi) is added.
    """
    for here, there in itertools.pairwise(grid):
        data = _data(y, field(y, here), here)
        if there == 0:
            return data
        wide, narrow = math.tan(min(here, 0.5 * math.pi - 1e-4)), math.tan(there)
        x = y * math.sqrt(1 + wide**2)
        share = (narrow / wide) ** 2
        noise = torch.randn(y.shape, generator=generator).to(y)
        x = data + share * (x - data) + narrow * math.sqrt(1 - share) * noise
        y = x / math.sqrt(1 + narrow**2)
        score = (_data(y, field(y, there), there) - x) / narrow**2
        noise = torch.randn(y.shape, generator=generator).to(y)
        # Scores are of the size of 1 / sigma, or less: the same step for all rows.
        size = 2 * (signal_to_noise * narrow) ** 2
        x = x + size * score + math.sqrt(2 * size) * noise
        y = x / math.sqrt(1 + narrow**2)
    return y


def _mixed(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    return torch.stack([w * k for w, k in zip(weights, slopes, strict=True)]).sum(0)


def _data(y: Tensor, u: Tensor, phi: float) -> Tensor:
    return math.cos(phi) * y - math.sin(phi) * u


# Dormand & Prince 1980, J. Comput. Appl. Math. 6, 19, table 2.
_TIMES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_WEIGHTS = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
