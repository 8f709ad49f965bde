"""What imaging surveys make of a star's magnitudes: errors, systematic floors, outliers, gaps.

A measured magnitude follows

    m ~ sum_c f_c N(M + a, sigma^2 + floor^2 + jitter^2 + s_c^2),

with M the model's magnitude, a the star's free amplitude, sigma the error that the catalogue
states, floor the band's systematic error, jitter one for all bands, and c running over good
measurements (s = 0), outliers and wild ones (blends, variables, a chromosphere), independently in
each band. Now and then a whole survey is wrong about a star. Either all its bands are shifted
together, by ``shifted_sigma`` (aperture, calibration, variability between the surveys' epochs),
and by ``shifted_scatter`` each; or, ``spoilt``, each band is wrong by an amount of its own (another
star, saturation).

Which bands are measured and how large their errors are follows the sky - survey by survey, limited
by depth and saturation - but is read off *another* star of the same brightness. What is missing
therefore says nothing about the star itself. Catalogues drop bands for reasons that nobody models;
a network that reads parameters off the gaps would be wrong wherever those reasons differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from maury.instruments.surveys import SURVEYS, Survey
from maury.sky.bands import band

__all__ = ["NoiseModel", "ObservingRun", "PhotometricConfig", "PhotometricInstrument"]

DEPTH_ERROR = 0.2
"""Error (mag) at a survey's depth: five sigma."""


class PhotometricConfig(BaseModel):
    """Noise and gaps of the simulated catalogues; magnitudes throughout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jitter: float = Field(0.01, ge=0)
    outlier_fraction: float = Field(0.02, ge=0, lt=0.5)
    outlier_sigma: float = Field(0.35, gt=0)
    wild_fraction: float = Field(0.004, ge=0, lt=0.5)
    wild_sigma: float = Field(2.0, gt=0)
    shifted_fraction: float = Field(0.01, ge=0, lt=0.5)
    shifted_sigma: float = Field(1.0, gt=0)
    shifted_scatter: float = Field(0.1, gt=0)
    spoilt_fraction: float = Field(0.01, ge=0, lt=0.5)
    spoilt_sigma: float = Field(1.0, gt=0)
    chromospheric_fraction: dict[str, float] = {"GALEX/GALEX.FUV": 0.3, "GALEX/GALEX.NUV": 0.02}
    brightest: float = 4.0
    faintest: float = 20.0
    random_subset_fraction: float = Field(0.2, ge=0, le=1)
    dropout_fraction: float = Field(0.15, ge=0, lt=1)
    minimum_bands: int = Field(3, ge=1)

    @model_validator(mode="after")
    def _possible(self) -> PhotometricConfig:
        if self.brightest >= self.faintest:
            raise ValueError(
                f"brightest {self.brightest} should lie below faintest {self.faintest}"
            )
        for name, fraction in self.chromospheric_fraction.items():
            if not 0 <= fraction < 0.5:
                raise ValueError(f"chromospheric_fraction of {name} is {fraction}, not in [0, 0.5)")
        return self


@dataclass(frozen=True)
class NoiseModel:
    """How measured magnitudes scatter about the model's.

    Parameters
    ----------
    fraction : Tensor (B, 3)
        Weights of the good, outlying and wild component of each band, summing to one.
    variance : Tensor (B, 3)
        Variance (mag^2) that each adds to the square of the catalogue's error.
    survey : Tensor (B, V) of bool
        Which of V surveys each band belongs to, one each.
    shifted_fraction, spoilt_fraction : float
        Probability that a survey is shifted, or spoilt, for a star as a whole.
    shift_variance : float
        Variance (mag^2) of the shift that all bands of a shifted survey share.
    shifted_variance, spoilt_variance : Tensor (B,)
        Variance (mag^2) that is added then, independently in each band.
    """

    fraction: Tensor
    variance: Tensor
    survey: Tensor
    shifted_fraction: float
    shift_variance: float
    shifted_variance: Tensor
    spoilt_fraction: float
    spoilt_variance: Tensor

    def scatter(self, sigma: Tensor, generator: torch.Generator) -> Tensor:
        """Random errors (N, B) in mag, given catalogue errors (N, B)."""
        pick = torch.rand(sigma.shape, generator=generator)
        component = (pick.unsqueeze(-1) > self.fraction.cumsum(-1)[:, :-1]).sum(-1, keepdim=True)
        added = self.variance.expand(*sigma.shape, -1).gather(-1, component).squeeze(-1)
        surveys = (len(sigma), self.survey.shape[1])
        fate = torch.rand(surveys, generator=generator)
        shifted = fate < self.shifted_fraction
        spoilt = ~shifted & (fate < self.shifted_fraction + self.spoilt_fraction)
        shift = torch.randn(surveys, generator=generator) * self.shift_variance**0.5 * shifted
        of_band = self.survey.float().T
        added = torch.where(shifted.float() @ of_band > 0, self.shifted_variance, added)
        added = torch.where(spoilt.float() @ of_band > 0, self.spoilt_variance, added)
        own = torch.randn(sigma.shape, generator=generator) * torch.sqrt(sigma**2 + added)
        return own + shift @ of_band

    def at(self, band: Tensor) -> NoiseModel:
        """The model of N stars in S slots that hold the bands of these numbers (N, S).

        It answers for residuals (N, A, S): A sets of residuals for each star.
        """
        return replace(
            self,
            fraction=self.fraction[band].unsqueeze(1),
            variance=self.variance[band].unsqueeze(1),
            survey=self.survey[band],
            shifted_variance=self.shifted_variance[band].unsqueeze(1),
            spoilt_variance=self.spoilt_variance[band].unsqueeze(1),
        )

    def log_likelihood(self, residual: Tensor, sigma: Tensor, measured: Tensor) -> Tensor:
        """Log density (...,) of residuals (..., B) in mag where measured (..., B) is true."""
        square = residual**2
        variance = sigma.unsqueeze(-1) ** 2 + self.variance
        height = torch.log(self.fraction) - 0.5 * torch.log(2 * torch.pi * variance)
        parts = zip(height.unbind(-1), (-0.5 / variance).unbind(-1), strict=True)
        good = reduce(torch.logaddexp, (top + square * slope for top, slope in parts))
        variance = sigma**2 + self.spoilt_variance
        spoilt = -0.5 * (square / variance + torch.log(2 * torch.pi * variance))
        variance = sigma**2 + self.shifted_variance
        weight = 1 / variance
        height = -0.5 * torch.log(2 * torch.pi * variance)
        # Broadcast: the weights are the same for all residuals of a star.
        sums = torch.broadcast_tensors(
            good, spoilt, height - 0.5 * square * weight, residual * weight, weight
        )
        together = torch.stack(sums).masked_fill(~measured, 0.0) @ self.survey.to(square.dtype)
        good, spoilt, shifted, pull, precision = together
        # A shift N(0, S^2) that all bands share, integrated out (Sherman-Morrison).
        spread = 1 + self.shift_variance * precision
        shifted = shifted + 0.5 * (self.shift_variance * pull**2 / spread - torch.log(spread))
        fate = torch.tensor([self.shifted_fraction, self.spoilt_fraction], dtype=square.dtype)
        wrong = torch.logaddexp(shifted + fate[0].log(), spoilt + fate[1].log())
        return torch.logaddexp(good + torch.log1p(-fate.sum()), wrong).sum(-1)


@dataclass(frozen=True)
class ObservingRun:
    """Which bands of N stars were measured, and with which errors.

    Parameters
    ----------
    measured : Tensor (N, B) of bool
    sigma : Tensor (N, B)
        Catalogue error in mag, also where nothing was measured.
    """

    measured: Tensor
    sigma: Tensor


class PhotometricInstrument:
    """All surveys that measure any of ``bands``.

    Parameters
    ----------
    bands : sequence of str
        SVO ids, in the order of the magnitudes' columns.
    config : PhotometricConfig
    """

    def __init__(self, bands: Sequence[str], config: PhotometricConfig) -> None:
        self.bands = tuple(bands)
        self.config = config
        self.noise = _noise_model(self.bands, config)
        self._surveys = [s for s in SURVEYS if any(b in s.depth for b in self.bands)]
        self._unsurveyed = [b for b in self.bands if not any(b in s.depth for s in SURVEYS)]

    def observe(self, run: ObservingRun, magnitudes: Tensor, generator: torch.Generator) -> Tensor:
        """Measured magnitudes (N, B) of stars whose true ones are given; NaN where missing."""
        scatter = self.noise.scatter(run.sigma, generator)
        return torch.where(run.measured, magnitudes + scatter, torch.nan)

    def observing_run(self, magnitudes: Tensor, generator: torch.Generator) -> ObservingRun:
        """Gaps and errors as the surveys would leave them for stars of these magnitudes (N, B)."""
        count = len(magnitudes)
        measured = torch.zeros(magnitudes.shape, dtype=torch.bool)
        sigma = torch.full_like(magnitudes, 0.03)
        looked = self._coverage(count, generator)
        for i, survey in enumerate(self._surveys):
            columns = [j for j, b in enumerate(self.bands) if b in survey.depth]
            seen, error = _survey_run(
                survey, [self.bands[j] for j in columns], magnitudes[:, columns], generator
            )
            measured[:, columns] = seen & looked[:, i : i + 1]
            sigma[:, columns] = error
        for b in self._unsurveyed:
            measured[:, self.bands.index(b)] = torch.rand(count, generator=generator) < 0.2
        dropped = torch.rand(magnitudes.shape, generator=generator)
        measured &= dropped > self.config.dropout_fraction
        return ObservingRun(self._with_random_subsets(measured, generator), sigma)

    def _coverage(self, count: int, generator: torch.Generator) -> Tensor:
        """Which survey looked at which star (N, surveys); a group's surveys exclude each other."""
        looked = torch.zeros(count, len(self._surveys), dtype=torch.bool)
        for group in dict.fromkeys(s.group for s in self._surveys):
            members = [i for i, s in enumerate(self._surveys) if s.group == group]
            pick = torch.rand(count, generator=generator)
            low = 0.0
            for i in members:
                high = low + self._surveys[i].coverage
                looked[:, i] = (pick >= low) & (pick < high)
                low = high
        return looked

    def _with_random_subsets(self, measured: Tensor, generator: torch.Generator) -> Tensor:
        """Give some stars, and all with too few bands, a subset of any size, any bands alike."""
        count, bands = measured.shape
        minimum = min(self.config.minimum_bands, bands)
        size = torch.randint(minimum, bands + 1, (count, 1), generator=generator)
        order = torch.rand(measured.shape, generator=generator).argsort(-1).argsort(-1)
        chosen = torch.rand(count, generator=generator) < self.config.random_subset_fraction
        chosen |= measured.sum(-1) < minimum
        return torch.where(chosen.unsqueeze(-1), order < size, measured)


def _survey_run(
    survey: Survey, bands: Sequence[str], magnitudes: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Detections and errors (N, b) of one survey: a floor, and photon noise that grows to 0.2 mag.

    The sky background makes a faint source's error grow as the inverse of its flux, its own
    photons as the inverse square root: their sum in quadrature is the usual form (e.g. Ivezic et
    al. 2019, ApJ 873, 111, equation 5).
    """
    count = len(magnitudes)
    low, high = survey.error_floor
    floor = low * (high / low) ** torch.rand(count, 1, generator=generator)
    depth = torch.tensor([survey.depth[b] for b in bands])
    depth = depth + 0.3 * torch.randn(count, 1, generator=generator)
    flux = 10 ** (0.4 * (magnitudes - depth)).clamp(-20, 4)
    photon = DEPTH_ERROR * torch.sqrt(0.04 * flux + 0.96 * flux**2)
    scatter = torch.exp(0.2 * torch.randn(magnitudes.shape, generator=generator))
    sigma = torch.sqrt(floor**2 + photon**2) * scatter
    detected = (magnitudes > survey.saturation) & (magnitudes < depth + 0.5) & (sigma < 0.5)
    return detected, sigma.clamp(1e-4, 0.5)


def _noise_model(bands: Sequence[str], config: PhotometricConfig) -> NoiseModel:
    floor = torch.tensor([band(b).floor for b in bands])
    wild = torch.tensor([config.chromospheric_fraction.get(b, config.wild_fraction) for b in bands])
    outlier = torch.full_like(wild, config.outlier_fraction)
    base = floor**2 + config.jitter**2
    owner = [_survey_of(b) for b in bands]
    surveys = list(dict.fromkeys(owner))
    return NoiseModel(
        fraction=torch.stack([1 - outlier - wild, outlier, wild], dim=-1),
        variance=torch.stack(
            [base, base + config.outlier_sigma**2, base + config.wild_sigma**2], dim=-1
        ),
        survey=torch.tensor([[name == survey for survey in surveys] for name in owner]),
        shifted_fraction=config.shifted_fraction,
        shift_variance=config.shifted_sigma**2,
        shifted_variance=base + config.shifted_scatter**2,
        spoilt_fraction=config.spoilt_fraction,
        spoilt_variance=base + config.spoilt_sigma**2,
    )


def _survey_of(name: str) -> str:
    """The survey that measures a band; a band that none measures is its own."""
    return next((survey.name for survey in SURVEYS if name in survey.depth), name)
