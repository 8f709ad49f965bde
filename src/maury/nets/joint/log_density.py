"""Densities of data, by how the probability flow stretches them.

Along dy/dphi = u the log density changes by the divergence of u (Chen et al. 2018,
arXiv:1806.07366, eq. 8): log p(data) = log N(noise) + the integral of div u over phi, from data to
noise. The divergence is the trace of D derivatives, or, where D is large, its unbiased estimate
v . (du/dy) v with random signs v (Hutchinson 1989; Grathwohl et al. 2019, arXiv:1810.01367).
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from maury.nets.joint.density import Condition, JointDensity

__all__ = ["log_density"]

STEPS = 24
"""Steps of the classical Runge-Kutta rule: errors of about 0.01 nats on trained networks."""

SPACING = 1.5

EXACT_UP_TO = 16
"""Latent nodes whose derivatives are all computed; of more the trace is estimated."""

LEAST = 1e-4
"""Smallest angle at which the network is asked."""


@torch.no_grad()
def log_density(
    network: JointDensity,
    condition: Condition,
    value: Tensor,
    *,
    steps: int = STEPS,
    probes: int = 8,
) -> Tensor:
    """Log density (N, K) of latent nodes' values (N, K, L), whitened, given the condition.

    Parameters
    ----------
    network : JointDensity
    condition : Condition
        Of N rows.
    value : Tensor (N, K, L)
    steps : int
        Of the solver, four calls each.
    probes : int
        Random directions for each point, where there are more than `EXACT_UP_TO` latent nodes.
    """
    present = condition.present[:, None]
    y, log_abs_det = network.to_units(condition, value.masked_fill(~present, 0.0))
    y = y.masked_fill(~present, 0.0)
    signs = _probes(y, probes) if y.shape[-1] > EXACT_UP_TO else None
    first = network.path.first
    grid = [first * (i / steps) ** SPACING for i in range(steps + 1)]
    grown = y.new_zeros(y.shape[:-1])

    def slope(y: Tensor, phi: float) -> tuple[Tensor, Tensor]:
        return _with_divergence(network, condition, y, max(phi, LEAST), signs)

    for here, there in itertools.pairwise(grid):
        step = there - here
        u1, d1 = slope(y, here)
        u2, d2 = slope(y + 0.5 * step * u1, here + 0.5 * step)
        u3, d3 = slope(y + 0.5 * step * u2, here + 0.5 * step)
        u4, d4 = slope(y + step * u3, there)
        y = y + step / 6 * (u1 + 2 * u2 + 2 * u3 + u4)
        grown = grown + step / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
    base = (-0.5 * y.square() - 0.5 * math.log(2 * math.pi)).masked_fill(~present, 0.0).sum(-1)
    return base + grown + log_abs_det.masked_fill(~present, 0.0).sum(-1)


def _with_divergence(
    network: JointDensity, condition: Condition, y: Tensor, phi: float, signs: Tensor | None
) -> tuple[Tensor, Tensor]:
    """u (N, K, L) and its divergence (N, K)."""
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        u = network.field(condition, y, y.new_full((1,), phi))
        directions = _units(y) if signs is None else signs
        total = torch.zeros_like(y[..., 0])
        for i, direction in enumerate(directions):
            (grad,) = torch.autograd.grad(u, y, direction, retain_graph=i + 1 < len(directions))
            total = total + (grad * direction).sum(-1)
    return u.detach(), total if signs is None else total / len(signs)


def _units(y: Tensor) -> Tensor:
    """One direction (L, N, K, L) along each latent node."""
    eye = torch.eye(y.shape[-1], dtype=y.dtype, device=y.device)
    return eye[:, None, None].expand(-1, *y.shape[:-1], -1)


def _probes(y: Tensor, count: int) -> Tensor:
    """Random signs (P, N, K, L), the same each time: an answer must not change when asked again."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (count, *y.shape), generator=generator)
    return (2.0 * signs - 1.0).to(y)
