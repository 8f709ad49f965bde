"""The likelihood that the simulator implies, exactly: an independent check of what networks learn.

A star's bands follow the mixture of `maury.instruments.photometric`. Where stars have a distance
they do so about the magnitudes of the system at that distance (its disc, if it has one, is left
out), and the parallax follows the mixture of `maury.instruments.astrometric`. Otherwise model
magnitudes share one free amplitude a with a flat prior. With r = measured - model magnitudes,

    L = integral da product_surveys [(1 - f - g) product_b p_b(r_b - a) + f product_b q_b(r_b - a)
                                     + g s(r - a)],

p for good, q for spoilt and s for shifted surveys, which depends on colours alone. Outside
knowledge multiplies in as a normal density. Which bands are missing, and the errors, say nothing
about a star in this simulator, so prior times L is its posterior.

The integrand is a sum of products of normal densities, one for each choice of a component in each
band. Each product has its mean between the smallest and the largest residual, a width of at least
``narrowest = (sum_b 1 / v_min)^(-1/2)`` and of at most about ``widest``, with
``widest^2 = 1 / sum_b(1 / v_max) + S^2`` and S the width of a survey's shift. The trapezoidal
rule with a step of h widths integrates a normal density to 2 exp(-2 pi^2 / h^2). Nodes are one
``narrowest`` apart half-way between the residuals, 1.4 at the outermost of them (1e-4), and ever
farther beyond, where no component is narrow. A first pass, six times as coarse, finds the cells
that matter.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maury.columns import PRIOR
from maury.errors import MauryError
from maury.instruments.photometric import NoiseModel
from maury.measurements import Measurements
from maury.simulator import PARALLAX, Simulator
from maury.sky.skies import PlacedSky

__all__ = ["log_likelihood"]

REACH = 4.5
"""How far beyond the residuals to integrate, in units of the widest component."""

EASE = 6.0
"""Residuals' margin, in units of the narrowest component, before nodes grow apart."""

CELL = 6.0
"""Width of a cell of the first pass, in units of the narrowest component."""

FINE = 6
"""Nodes in each cell that matters."""

NEGLECTED = 22.0
"""Cells whose density is below the highest by this much (nats) are left out. A narrow peak just
between two nodes of the first pass, 3 widths away from either, is 4.5 nats above them."""

NUMBERS_AT_ONCE = 300_000
"""Bound on the size of one array."""


@torch.no_grad()
def log_likelihood(simulator: Simulator, measurements: Measurements, theta: Tensor) -> Tensor:
    """Log likelihood of stars' parameters; a free amplitude is marginalised over a flat prior.

    Parameters
    ----------
    simulator : Simulator
        Says how parameters become magnitudes, and how these scatter.
    measurements : Measurements
        N stars; limits and channels that the simulator does not know are ignored.
    theta : Tensor (K, N, D) or (N, D)
        Physical units, in the order of ``simulator.parameters``.

    Returns
    -------
    Tensor (K, N) or (N,)
        The density of all magnitudes, the parallax and the outside knowledge (of colours instead
        of magnitudes, for an amplitude with density 1 per mag, where stars have no distance); -inf
        where the library does not cover a star.

    Raises
    ------
    MauryError
        If theta does not fit the stars and parameters, or stars are of several libraries.
    """
    theta = torch.as_tensor(theta, dtype=torch.float32)
    many = theta if theta.ndim == 3 else theta[None]
    if many.shape[1:] != (len(measurements), len(simulator.parameters)):
        raise MauryError(
            f"theta should be (draws, {len(measurements)} stars, {len(simulator.parameters)} "
            f"parameters), not {tuple(theta.shape)}"
        )
    known = measurements.select(simulator.channels)[0].compact()
    photometry = _placed_photometry if simulator.config.placed else _floating_photometry
    result = photometry(simulator, known, many) + _knowledge(simulator, known, many)
    return result if theta.ndim == 3 else result[0]


def _floating_photometry(simulator: Simulator, known: Measurements, theta: Tensor) -> Tensor:
    """Log density (K, N) of the colours, with the amplitude integrated out."""
    flat = theta.reshape(-1, theta.shape[-1])
    mags, inside = simulator.table(flat.to(simulator.table.table.device))
    mags, inside = mags.to(flat.device), inside.to(flat.device)
    is_band = known.channel < len(simulator.config.bands)
    star = torch.arange(len(known)).repeat(len(theta))
    photometry = _Photometry(simulator.instrument.noise, known, known.measured & is_band, is_band)
    result = photometry.log_marginal(star, mags.nan_to_num(0.0))
    return result.masked_fill(~inside, -math.inf).reshape(theta.shape[:2])


def _placed_photometry(simulator: Simulator, known: Measurements, theta: Tensor) -> Tensor:
    """Log density (K, N) of the magnitudes and the parallax of systems at their distances."""
    sky = simulator.sky
    if not isinstance(sky, PlacedSky):
        raise MauryError("the likelihood of several spectral libraries at once is not known")
    is_band = known.channel < len(simulator.config.bands)
    band = known.channel.masked_fill(~is_band, 0)
    noise, measured = simulator.instrument.noise.at(band), known.measured & is_band
    distance = theta[..., simulator.parameters.index("distance")]
    result = _parallax(simulator, known, distance)
    for draw, density in zip(theta, result, strict=True):
        mags = sky.magnitudes(draw).gather(1, band)
        residual = (known.value - mags).masked_fill(~measured, 0.0)
        covered = torch.isfinite(residual).all(1)
        residual = residual.nan_to_num(0.0)
        slots = residual[:, None], known.sigma[:, None], measured[:, None]
        density += noise.log_likelihood(*slots)[:, 0]
        density[~covered] = -math.inf
    return result


def _parallax(simulator: Simulator, known: Measurements, distance: Tensor) -> Tensor:
    """Log density (K, N) of N stars' parallaxes at distances (K, N); 0 where there is none."""
    here = known.measured & (known.channel == simulator.channels.index(PARALLAX))
    value, sigma = (x.masked_fill(~here, 0.0).sum(1) for x in (known.value, known.sigma))
    has = here.any(1)
    density = simulator.astrometer.log_likelihood(value, torch.where(has, sigma, 1.0), distance)
    return torch.where(has, density, 0.0)


def _knowledge(simulator: Simulator, known: Measurements, theta: Tensor) -> Tensor:
    """Log density (K, N) of the outside knowledge of N stars at theta (K, N, D)."""
    total = theta.new_zeros(theta.shape[:2])
    for name in simulator.knowable:
        column = simulator.parameters.index(name)
        here = known.measured & (known.channel == simulator.channels.index(PRIOR + name))
        miss = (known.value - theta[..., column, None]) / known.sigma
        density = -0.5 * miss**2 - torch.log(known.sigma) - 0.5 * math.log(2 * math.pi)
        total += density.masked_fill(~here, 0.0).sum(-1)
    return total


class _Photometry:
    """Bands of N stars in S slots, ready to be compared with model magnitudes."""

    def __init__(
        self, noise: NoiseModel, known: Measurements, measured: Tensor, is_band: Tensor
    ) -> None:
        self.band = known.channel.masked_fill(~is_band, 0)
        self.noise = noise
        self.value, self.sigma, self.measured = known.value, known.sigma, measured
        of_survey = torch.stack([noise.shifted_variance, noise.spoilt_variance], dim=1)
        spread = torch.cat([noise.variance, of_survey], dim=1)[self.band]
        variance = known.sigma[..., None] ** 2 + spread
        self.narrowest = _combined(variance.amin(-1), measured)
        self.widest = torch.sqrt(_combined(variance.amax(-1), measured) ** 2 + noise.shift_variance)

    def log_marginal(self, star: Tensor, mags: Tensor) -> Tensor:
        """Log integrals (P,) for P points: numbers of stars (P,), model magnitudes (P, B)."""
        if not self.measured.any():
            return mags.new_zeros(len(star))
        residual = self.value[star] - mags.gather(1, self.band[star])
        measured = self.measured[star]
        low = residual.masked_fill(~measured, math.inf).amin(1)
        high = residual.masked_fill(~measured, -math.inf).amax(1)
        answerable = measured.any(1)
        centre = ((low + high) / 2).masked_fill(~answerable, 0.0)
        half = ((high - low) / 2).masked_fill(~answerable, 0.0)
        scale = half + EASE * self.narrowest[star]
        step = CELL * self.narrowest[star] / scale
        cells = 1 + torch.ceil(torch.asinh((half + REACH * self.widest[star]) / scale) / step)
        total = torch.zeros_like(centre)
        chosen = answerable.nonzero().squeeze(-1)
        chosen = chosen[cells[chosen].argsort()]  # points of a batch share their number of cells
        while len(chosen):
            batch = self._batch(chosen, cells)
            chosen = chosen[len(batch) :]
            rows = _Rows(self, star[batch], residual[batch], centre[batch], scale[batch])
            total[batch] = rows.integrate(step[batch], cells[batch])
        return total

    def _batch(self, chosen: Tensor, cells: Tensor) -> Tensor:
        """As many of the points, ordered by their number of cells, as fit into memory."""
        size = (2 * cells[chosen] + 1) * self.band.shape[1] * 3
        fits = size * torch.arange(1, len(chosen) + 1) < NUMBERS_AT_ONCE
        return chosen[: max(1, int(fits.sum()))]


class _Rows:
    """P integrals over t, where the amplitude is centre + scale sinh(t)."""

    def __init__(
        self, data: _Photometry, star: Tensor, residual: Tensor, centre: Tensor, scale: Tensor
    ) -> None:
        self.noise, self.band = data.noise, data.band[star]
        self.sigma, self.measured = data.sigma[star], data.measured[star]
        self.residual, self.centre, self.scale = residual, centre, scale

    def integrate(self, step: Tensor, cells: Tensor) -> Tensor:
        """Log integrals (P,) over ``cells`` (P,) cells of width ``step`` (P,) either side of 0."""
        number = torch.arange(-int(cells.max()), int(cells.max()) + 1)
        beyond = number.abs() > cells[:, None]
        nodes = (number * step[:, None]).masked_fill(beyond, 0.0)
        coarse = self._log_density(torch.arange(len(nodes)), nodes).masked_fill(beyond, -math.inf)
        keep = coarse > coarse.amax(1, keepdim=True) - NEGLECTED
        row, cell = keep.nonzero(as_tuple=True)
        offsets = (torch.arange(FINE) - (FINE - 1) / 2) / FINE
        fine = nodes[row, cell, None] + offsets * step[row, None]
        at_once = max(1, NUMBERS_AT_ONCE // (3 * FINE * self.residual.shape[1]))
        parts = zip(row.split(at_once), fine.split(at_once), strict=True)
        density = torch.cat([torch.logsumexp(self._log_density(*part), 1) for part in parts])
        top = density.new_full((len(nodes),), -math.inf).scatter_reduce(0, row, density, "amax")
        total = torch.zeros_like(top).index_add(0, row, torch.exp(density - top[row]))
        return top + torch.log(total * step / FINE)

    def _log_density(self, row: Tensor, t: Tensor) -> Tensor:
        """Log integrand (R, A), per unit of t, of rows (R,) at nodes t (R, A)."""
        scale = self.scale[row, None]
        amplitude = self.centre[row, None] + scale * torch.sinh(t)
        density = self.noise.at(self.band[row]).log_likelihood(
            self.residual[row, None] - amplitude[..., None],
            self.sigma[row, None],
            self.measured[row, None],
        )
        return density + torch.log(scale * torch.cosh(t))


def _combined(variance: Tensor, measured: Tensor) -> Tensor:
    """Width (N,) of the product of normal densities; 1 where there is none."""
    precision = torch.where(measured, 1 / variance, 0.0).sum(1)
    return torch.where(precision > 0, precision, 1.0).rsqrt()
