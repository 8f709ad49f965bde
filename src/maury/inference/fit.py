"""Stars that none of their draws reproduces: what the measurements leave unexplained.

A draw's deviance is twice what the logarithm of its likelihood falls short of that of a perfect
fit, by the same noise that the simulator has: a band that is an outlier costs as much as outliers
are rare, not the square of its residual. Under the truth it is about chi square of as many degrees
of freedom as there are measurements, with a longer tail. The best draw of a star is close to its
best fit, so its deviance says whether any parameters fit; how large it may be is read off
simulated stars, and includes what the network misses (`benchmarks/poor_fit.py`).

Discs are no part of the fit. Where a star may have one, its bands beyond 1.5 micron do not count.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maury.columns import PRIOR
from maury.measurements import Measurements
from maury.simulator import PARALLAX, Simulator
from maury.sky.bands import band
from maury.sky.populations.brightness import apparent_magnitudes
from maury.sky.populations.surveyed import SurveyedGalaxy

__all__ = [
    "ENOUGH",
    "amplitude",
    "best_deviance",
    "largest_deviance",
    "magnitudes",
    "poor_fit",
]

LIMIT = 25.0, 3.0
"""Largest deviance of a good fit: so much, and so much more for each measurement."""

ENOUGH = 32
"""With fewer draws the best of them may be far from the best fit: no star is flagged."""

DISCLESS = 0.1
"""Probability of a disc from which bands redder than `REDDEST` do not count."""

REDDEST = 15_000.0
"""Pivot wavelength, Angstrom."""

STEPS = 2, 16
"""Most stars fit by one of the first draws; the further ones are tried only where these do not."""

STARS_AT_ONCE = 2048
"""Bound on memory."""

OUTLYING = 3.0
"""Residuals beyond so many errors lose their weight where the amplitude is fitted."""


def largest_deviance(known: Measurements) -> Tensor:
    """What the best draw of a star (N,) may have; one simulated star in a hundred has more."""
    return LIMIT[0] + LIMIT[1] * known.measured.sum(1)


@torch.no_grad()
def poor_fit(
    simulator: Simulator,
    known: Measurements,
    theta: Tensor,
    disc: Tensor,
) -> Tensor:
    """Which stars (N,) no draw reproduces.

    Parameters
    ----------
    simulator : Simulator
    known : Measurements
        N stars, in the simulator's channels.
    theta : Tensor (K, N, D)
        Draws, NaN for stars that have no answer; those are not flagged.
    disc : Tensor (N,)
        Probability that a star has a disc.
    """
    flagged = torch.zeros(len(known), dtype=torch.bool)
    if len(theta) < ENOUGH:
        return flagged
    answered = torch.isfinite(theta[0]).all(-1).nonzero().squeeze(-1)
    for rows in answered.split(STARS_AT_ONCE) if len(answered) else ():
        suspect = rows[_unfit(simulator, known[rows], theta[:, rows])]
        if len(suspect):
            bare = _without_discs(simulator, known[suspect], disc[suspect])
            flagged[suspect[_unfit(simulator, bare, theta[:, suspect])]] = True
    return flagged


def _unfit(simulator: Simulator, known: Measurements, theta: Tensor) -> Tensor:
    """Stars (N,) none of whose draws has a deviance that good fits have."""
    suspect = torch.arange(len(known))
    limit = largest_deviance(known)
    for some in theta.tensor_split(STEPS):
        best = best_deviance(simulator, known[suspect], some[:, suspect])
        suspect = suspect[best > limit[suspect]]
        if not len(suspect):
            break
    return torch.zeros(len(known), dtype=torch.bool).index_fill(0, suspect, True)


def best_deviance(simulator: Simulator, known: Measurements, theta: Tensor) -> Tensor:
    """Smallest deviance (N,) of the draws theta (K, N, D) of N stars; inf outside the library."""
    is_band = known.channel < len(simulator.config.bands)
    slot = known.channel.masked_fill(~is_band, 0)
    measured = known.measured & is_band
    noise = simulator.instrument.noise.at(slot)
    at_theta = magnitudes(simulator, theta).gather(2, slot.expand(len(theta), -1, -1))
    residual = (known.value - at_theta).masked_fill(~measured, 0.0)
    outside = ~torch.isfinite(residual).all(-1)
    residual = residual.nan_to_num(0.0).transpose(0, 1)
    sigma, measured = known.sigma[:, None], measured[:, None]
    if not simulator.config.placed:
        variance = sigma**2 + noise.variance[..., 0]
        residual = residual - amplitude(residual, torch.where(measured, 1 / variance, 0.0))
    perfect = noise.log_likelihood(torch.zeros_like(residual[:, :1]), sigma, measured)
    missed = (perfect - noise.log_likelihood(residual, sigma, measured)).T
    missed = missed + _missed_parallax(simulator, known, theta)
    deviance = 2 * missed + _missed_knowledge(simulator, known, theta)
    return deviance.masked_fill(outside, torch.inf).amin(0)


def magnitudes(simulator: Simulator, theta: Tensor) -> Tensor:
    """Magnitudes (K, N, B) at theta (K, N, D); but for an amplitude where there is no distance."""
    flat = theta.reshape(-1, theta.shape[-1])
    if isinstance(simulator.prior, SurveyedGalaxy):
        found = apparent_magnitudes(simulator.table, simulator.prior.systems(flat))
    else:
        found = simulator.table(flat)[0]
    return found.reshape(*theta.shape[:-1], -1)


def amplitude(residual: Tensor, weight: Tensor) -> Tensor:
    """The shift (N, K, 1) that residuals (N, K, S) share: their mean without the outlying."""
    now = weight
    for _ in range(4):
        total = now.sum(-1, keepdim=True)
        mean = (residual * now).sum(-1, keepdim=True) / total.clamp(min=1e-6)
        now = weight / (1 + (residual - mean) ** 2 * weight / OUTLYING**2)
    return mean


def _missed_parallax(simulator: Simulator, known: Measurements, theta: Tensor) -> Tensor:
    """By how much the log likelihood (K, N) of the parallax falls short of the best; else 0."""
    if not simulator.config.placed:
        return theta.new_zeros(theta.shape[:2])
    here = known.measured & (known.channel == simulator.channels.index(PARALLAX))
    value, sigma = (x.masked_fill(~here, 0.0).sum(1) for x in (known.value, known.sigma))
    has = here.any(1)
    sigma = torch.where(has, sigma, 1.0)
    distance = theta[..., simulator.parameters.index("distance")]
    density = simulator.astrometer.log_likelihood
    one = torch.ones_like(sigma)
    return torch.where(has, density(one, sigma, 1000 * one) - density(value, sigma, distance), 0.0)


def _missed_knowledge(simulator: Simulator, known: Measurements, theta: Tensor) -> Tensor:
    """Chi square (K, N) of the outside knowledge."""
    total = theta.new_zeros(theta.shape[:2])
    for name in simulator.knowable:
        here = known.measured & (known.channel == simulator.channels.index(PRIOR + name))
        column = theta[..., simulator.parameters.index(name), None]
        total += (((known.value - column) / known.sigma) ** 2).masked_fill(~here, 0.0).sum(-1)
    return total


def _without_discs(simulator: Simulator, known: Measurements, disc: Tensor) -> Measurements:
    """The stars without the bands that may show a disc."""
    red = [name in simulator.config.bands and band(name).pivot > REDDEST for name in known.channels]
    shown = torch.tensor(red)[known.channel] & (disc > DISCLESS)[:, None]
    return known.without(shown)
