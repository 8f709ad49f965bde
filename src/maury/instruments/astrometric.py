"""What Gaia makes of a star's distance: a parallax with its error, and how far both mislead.

A measured parallax follows

    parallax ~ sum_c f_c N(1000 / d, (s_c sigma)^2 + a_c^2)   (mas, d in pc),

with sigma the stated error and c running over three kinds of star: those whose errors are right,
those whose errors are too small, and the wrong ones, whose solution a companion or a neighbour
disturbs. Parallaxes are those after correction for the zero point
(`maury.instruments.parallax_zero_point`): the true zero point here is 0, and what the correction
leaves uncertain is part of sigma, as in a real table.

Sources. Errors by magnitude: the model of ESA's Gaia science performance pages for DR3,
sqrt(40 + 800 z + 30 z^2) / 1.1 uas with z = 10^(0.4 (max(G, 13) - 15)): 27 uas at G = 15, 72 at 17
and 560 at 20, against medians of 20-30, 70 and 500 in Gaia Collaboration, Brown et al. 2021 (A&A
649, A1); brighter than G = 8, where gates and saturation tell, they rise to 90 uas at G = 4. DR2's
are 1.3 to 2 times larger, from 22 instead of 34 months (Lindegren et al. 2018, A&A 616, A2).
Stated errors are too small by 5 to 30% for isolated stars brighter than G = 18 (El-Badry et al.
2021, MNRAS 506, 2269, from wide binaries), by 10 to 70% among cluster stars (Maiz Apellaniz et al.
2021, A&A 649, A13), and much more where a companion spoils the fit. Between one parallax in a
hundred and one in fifty is spurious (Fabricius et al. 2021, A&A 649, A5).
"""

from __future__ import annotations

import math

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from maury.instruments.parallax_zero_point import DR2_UNCERTAINTY, DR3_UNCERTAINTY

__all__ = ["AstrometricConfig", "AstrometricInstrument", "typical_error"]

FAINTEST = 21.0
"""G beyond which Gaia publishes no parallaxes."""

DR2_RATIO = (1.3, 2.0)
"""Range of DR2's errors over DR3's."""

COMMON_SPREAD = 0.2
"""Scatter of ln(error) among stars of one magnitude: number of visits, ecliptic latitude."""

WORST_RATIO = 10.0
"""How much larger the errors of disturbed or little visited stars become."""


class AstrometricConfig(BaseModel):
    """Parallaxes of the simulated catalogues."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measured_fraction: float = Field(0.7, ge=0, le=1)
    dr2_fraction: float = Field(0.3, ge=0, le=1)
    poor_fraction: float = Field(0.1, ge=0, le=1)
    """Stars whose stated errors are up to ten times larger than usual."""
    underestimated_fraction: float = Field(0.4, ge=0, lt=1)
    underestimated_ratio: float = Field(1.25, ge=1)
    """True over stated error of those."""
    outlier_fraction: float = Field(0.02, ge=0, lt=0.5)
    outlier_ratio: float = Field(4.0, ge=1)
    """True over stated error of outliers, besides the absolute width."""
    outlier_width: float = Field(0.2, ge=0)
    """Error, mas, that an outlier has in addition."""


def typical_error(g_magnitude: Tensor) -> Tensor:
    """Usual parallax error in Gaia DR3, mas, at magnitude G, of the same shape."""
    z = 10 ** (0.4 * (g_magnitude.clamp_min(13.0) - 15.0))
    faint = torch.sqrt(40.0 + 800.0 * z + 30.0 * z**2) / 1.1 / 1000.0
    return faint * 10 ** (0.225 * (8.0 - g_magnitude).clamp_min(0.0))


class AstrometricInstrument:
    """Gaia's parallaxes, of the third data release or the second.

    Parameters
    ----------
    config : AstrometricConfig
    """

    def __init__(self, config: AstrometricConfig) -> None:
        self.config = config
        rest = 1 - config.outlier_fraction
        small = rest * config.underestimated_fraction
        self._fraction = torch.tensor([rest - small, small, config.outlier_fraction])
        self._ratio = torch.tensor([1.0, config.underestimated_ratio, config.outlier_ratio])
        self._width = torch.tensor([0.0, 0.0, config.outlier_width])

    def run(self, g_magnitude: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Which stars have a parallax, and with which error.

        Parameters
        ----------
        g_magnitude : Tensor (N,)
        generator : torch.Generator

        Returns
        -------
        measured : Tensor (N,) of bool
            By chance alone among stars that Gaia sees: a gap says nothing about the star.
        sigma : Tensor (N,)
            Stated error in mas, with that of the zero point, also where nothing was measured.
        """
        stars = g_magnitude.shape
        chance = torch.rand(4, *stars, generator=generator, dtype=g_magnitude.dtype)
        scatter = torch.randn(stars, generator=generator, dtype=g_magnitude.dtype)
        sigma = typical_error(g_magnitude) * torch.exp(COMMON_SPREAD * scatter)
        # One number decides whether a star is poor and, if so, how poor: log-uniform.
        poor = 1 - chance[0] / max(self.config.poor_fraction, torch.finfo(sigma.dtype).tiny)
        sigma = sigma * WORST_RATIO ** poor.clamp_min(0.0)
        old = chance[1] < self.config.dr2_fraction
        low, high = DR2_RATIO
        sigma = torch.where(old, sigma * low * (high / low) ** chance[2], sigma)
        offset = torch.where(old, DR2_UNCERTAINTY, DR3_UNCERTAINTY)
        measured = (chance[3] < self.config.measured_fraction) & (g_magnitude <= FAINTEST)
        return measured, torch.hypot(sigma, offset.to(sigma.dtype))

    def observe(self, distance_pc: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
        """Measured parallaxes (N,) in mas of stars at ``distance_pc`` (N,), errors (N,) in mas."""
        pick = torch.rand(sigma.shape, generator=generator)
        component = (pick.unsqueeze(-1) > self._fraction.cumsum(0)[:-1]).sum(-1)
        scale = torch.hypot(self._ratio[component] * sigma, self._width[component])
        noise = torch.randn(sigma.shape, generator=generator, dtype=sigma.dtype)
        return 1000.0 / distance_pc + scale * noise

    def log_likelihood(self, parallax: Tensor, sigma: Tensor, distance_pc: Tensor) -> Tensor:
        """Log density (1/mas) of measured parallaxes, given their errors and the distances.

        Parameters
        ----------
        parallax, sigma, distance_pc : Tensor
            In mas, mas and pc, of shapes that broadcast; the result has theirs.
        """
        residual = (parallax - 1000.0 / distance_pc).unsqueeze(-1)
        fraction, ratio, width = (
            t.to(residual) for t in (self._fraction, self._ratio, self._width)
        )
        scale = torch.hypot(ratio * sigma.unsqueeze(-1), width)
        height = fraction.log() - scale.log() - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(height - 0.5 * (residual / scale) ** 2, dim=-1)
