"""Unresolved companions: how many stars have one, and of what mass, by the mass of the primary.

The mass-ratio law is that of Moe & Di Stefano 2017, ApJS 230, 15, section 9, for companions of
main-sequence primaries: at a period P the density of q is a power law from 0.1 to 0.3, another
from 0.3 to 1, and an excess of twins above 0.95; slopes, twins and the frequency of periods depend
on primary mass and period. Photometry sees neither the period nor (beyond a few hundred parsec)
the separation, so all periods from 0.2 to 8 dex in days are summed over with the frequency of
companions, and every companion counts as unresolved: for stars nearer than some 100 pc that is too
many. A system has one companion here, drawn from the law of all companions, whatever the
multiplicity: third stars mostly add little light.

The share of systems with a companion is the multiplicity fraction: Moe & Di Stefano 2017, table
13, from the Sun upwards, and Duchene & Kraus 2013, ARA&A 51, 269, table 1, below. Below 0.8 Msun
the law of solar-type primaries is cut at the lightest star, q > 0.08 Msun / mass, as Moe & Di
Stefano do in the code that goes with their paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maury.sky.populations.densities import uniform

__all__ = ["companion_frequency", "companions", "log_prob", "multiplicity"]

Array = NDArray[np.float64]

# Primary mass, Msun, and share of systems with at least one companion. The two lowest are of
# Duchene & Kraus (very low-mass stars, M dwarfs), the others of Moe & Di Stefano.
_FRACTIONS = (
    *((0.1, 0.22), (0.3, 0.26)),
    *((1.0, 0.40), (3.5, 0.59), (7.0, 0.76), (12.0, 0.84), (28.0, 0.94)),
)

_MASSES = np.array(
    [
        *(0.1, 0.13, 0.17, 0.22, 0.3, 0.4, 0.55, 0.8, 1.0, 1.2, 1.6),
        *(2.0, 2.6, 3.5, 4.5, 6.0, 6.5, 9.0, 13.0, 19.0, 28.0, 40.0),
    ]
)
_Q_EDGES = np.linspace(0.1, 1.0, 181)
_PERIOD_STEP = 0.1
_LOG_PERIODS = np.arange(0.25, 8.0, _PERIOD_STEP)
_LIGHTEST_STAR = 0.08


def multiplicity(mass: Tensor) -> Tensor:
    """Share of systems with a companion, for primaries of ``mass`` (any shape), Msun.

    Linear in log10 mass between the published ones, constant beyond 0.1 and 28 Msun.
    """
    nodes, fractions = torch.tensor(_FRACTIONS, dtype=torch.float64, device=mass.device).T
    return _interpolate(torch.log(mass.double()), torch.log(nodes), fractions)


def companions(mass: Tensor, generator: torch.Generator) -> Tensor:
    """Draw the mass ratio of each system's companion.

    Parameters
    ----------
    mass : Tensor
        Initial mass of the primaries (N,), Msun.
    generator : torch.Generator
        On the device of `mass`.

    Returns
    -------
    Tensor
        q (N,), float32: 0 for single stars, otherwise from 0.1 to 1.
    """
    table = _table(mass.device)
    count = len(mass)
    row, upper_share = _place(torch.log(mass.double()), table.log_mass)
    row = row + (uniform(count, generator) < upper_share)
    # Row r's cumulative runs from r to r + 1, so that one search serves all rows.
    edges = (
        table.cumulative[:, 1:] + torch.arange(len(table.cumulative), device=mass.device)[:, None]
    )
    target = row + uniform(count, generator)
    bin_ = torch.searchsorted(edges.flatten(), target).clamp(max=edges.numel() - 1)
    bin_ = bin_ % edges.shape[1]
    width = table.edges[1:] - table.edges[:-1]
    q = table.edges[bin_] + width[bin_] * uniform(count, generator)
    alone = uniform(count, generator) >= multiplicity(mass)
    return q.float().clamp(_float(0.1), 1.0).masked_fill(alone, 0.0)


def log_prob(q: Tensor, mass: Tensor) -> Tensor:
    """Log of the law of ``q`` given the primary's ``mass``, float64 of their common shape.

    It is a share at q = 0 (no companion) and a density per unit of q elsewhere; -inf where there
    are no companions.
    """
    q, mass = torch.broadcast_tensors(q.double(), mass.double())
    table = _table(q.device)
    row, upper_share = _place(torch.log(mass), table.log_mass)
    inside = (q >= _float(0.1)) & (q <= 1.0)
    bin_ = torch.bucketize(q.masked_fill(~inside, 1.0), table.edges[1:-1], right=True)
    density = (1 - upper_share) * table.density[row, bin_]
    density = density + upper_share * table.density[row + 1, bin_]
    fraction = multiplicity(mass)
    paired = torch.log(fraction * density).masked_fill(~inside, -math.inf)
    return torch.where(q == 0, torch.log1p(-fraction), paired)


@dataclass(frozen=True)
class _Table:
    """Densities of q in bins, of primaries at nodes of mass; linear in log mass in between.

    `log_mass` (M,), `edges` (Q + 1,), `density` (M, Q), `cumulative` (M, Q + 1).
    """

    log_mass: Tensor
    edges: Tensor
    density: Tensor
    cumulative: Tensor


@cache
def _table(device: torch.device) -> _Table:
    shares = np.stack([_companions_in_bins(mass) for mass in _MASSES])
    too_light = _Q_EDGES[1:] <= _LIGHTEST_STAR / _MASSES[:, None]
    shares = np.where(too_light, 0.0, shares)
    shares /= shares.sum(1, keepdims=True)
    cumulative = np.concatenate([np.zeros((len(shares), 1)), np.cumsum(shares, 1)], 1)
    cumulative /= cumulative[:, -1:]
    arrays = (np.log(_MASSES), _Q_EDGES, shares / np.diff(_Q_EDGES), cumulative)
    return _Table(*(torch.from_numpy(array).to(device) for array in arrays))


def companion_frequency(mass: float) -> float:
    """Mean number of companions, q > 0.1 and of any period, of a primary of 0.8 to 40 Msun.

    0.50 for the Sun and 2.1 for O stars: more than one, where most systems are triples and more.
    """
    return float(_companions_in_bins(mass).sum())


def _companions_in_bins(mass: float) -> Array:
    """Mean number of companions in each bin of q (Q,), over all periods."""
    frequency = _frequency(mass)
    large, small, twins = _large_q_slope(mass), _small_q_slope(mass), _twin_share(mass)
    low, high = _Q_EDGES[:-1], _Q_EDGES[1:]
    norm = _power_integral(np.array(0.3), np.array(1.0), large)
    bins = _power_integral(np.maximum(low, 0.3), np.maximum(high, 0.3), large[:, None])
    bins = bins * ((1 - twins) / norm)[:, None]
    in_twins = np.clip(high, 0.95, 1.0) - np.clip(low, 0.95, 1.0)
    bins += twins[:, None] * in_twins / 0.05
    at_join = (1 - twins) / norm * 0.3**large
    below = _power_integral(np.minimum(low, 0.3), np.minimum(high, 0.3), small[:, None])
    bins += (at_join / 0.3**small)[:, None] * below
    # The bins above q = 0.3 sum to 1, as frequencies count companions with q > 0.3.
    return np.asarray(_PERIOD_STEP * frequency @ bins)


def _frequency(mass: float) -> Array:
    """Companions with q > 0.3 per dex of period, at each period (P,): eqs. 20 to 23."""
    x = math.log10(_solar_at_least(mass))
    short = 0.020 + 0.04 * x + 0.07 * x**2
    middle = 0.039 + 0.07 * x + 0.01 * x**2
    long = 0.078 - 0.05 * x + 0.04 * x**2
    slope, reach = 0.018, 0.7
    nodes = [1.0, 2.7 - reach, 2.7 + reach, 5.5]
    values = [short, middle - slope * reach, middle + slope * reach, long]
    inner = np.interp(_LOG_PERIODS, nodes, values)
    return np.where(_LOG_PERIODS > 5.5, long * np.exp(-0.3 * (_LOG_PERIODS - 5.5)), inner)


def _twin_share(mass: float) -> Array:
    """Excess share of twins, q > 0.95, among companions with q > 0.3 (P,): eqs. 5 to 7."""
    mass = _solar_at_least(mass)
    shortest = 0.30 - 0.15 * math.log10(mass)
    end = 8.0 - mass if mass < 6.5 else 1.5
    fall = 1.0 - (_LOG_PERIODS - 1.0) / (end - 1.0)
    return np.asarray(shortest * np.clip(fall, 0.0, 1.0))


def _large_q_slope(mass: float) -> Array:
    """Power of q between 0.3 and 1 (P,): eqs. 9 to 11."""
    solar = np.interp(_LOG_PERIODS, [5.0, 8.0], [-0.5, -1.4])
    a_type = np.interp(_LOG_PERIODS, [1.0, 4.5, 6.5], [-0.5, -1.2, -2.0])
    massive = np.interp(_LOG_PERIODS, [1.0, 2.0, 4.0], [-0.5, -1.4, -2.0])
    return _by_mass(mass, solar, a_type, massive)


def _small_q_slope(mass: float) -> Array:
    """Power of q between 0.1 and 0.3 (P,): eqs. 13 to 15."""
    solar = np.full_like(_LOG_PERIODS, 0.3)
    a_type = np.interp(_LOG_PERIODS, [2.5, 5.5, 8.0], [0.2, -0.7, -1.2])
    massive = np.interp(_LOG_PERIODS, [1.0, 3.0, 5.6], [0.1, -0.2, -1.5])
    return _by_mass(mass, solar, a_type, massive)


def _by_mass(mass: float, solar: Array, a_type: Array, massive: Array) -> Array:
    """Slopes at 1.2, 3.5 and 6 Msun, linear in log mass in between, constant beyond."""
    nodes = np.log([1.2, 3.5, 6.0])
    share = [np.interp(math.log(mass), nodes, row) for row in np.eye(3)]
    return np.asarray(share[0] * solar + share[1] * a_type + share[2] * massive)


def _solar_at_least(mass: float) -> float:
    """The published fits begin at 0.8 Msun and end at 40."""
    return min(max(mass, 0.8), 40.0)


def _power_integral(low: Array, high: Array, power: Array) -> Array:
    """Integral of q**power from low to high; q**-1 is met as the limit of its neighbours."""
    exponent = np.where(np.abs(power + 1) < 1e-7, 1e-7, power + 1)
    return np.asarray((high**exponent - low**exponent) / exponent)


def _place(log_mass: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """The node below each mass, and the share of the node above it."""
    row = torch.bucketize(log_mass, nodes[1:-1], right=True)
    share = (log_mass - nodes[row]) / (nodes[row + 1] - nodes[row])
    return row, share.clamp(0.0, 1.0)


def _interpolate(x: Tensor, nodes: Tensor, values: Tensor) -> Tensor:
    row, share = _place(x, nodes)
    return values[row] + share * (values[row + 1] - values[row])


def _float(value: float) -> float:
    """Rounded to float32, in which mass ratios are stored."""
    return float(np.float32(value))
