"""Sky and instruments together: an endless, seeded stream of stars and their measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from maury.instruments.knowledge import KnowledgeConfig, measure_parameters
from maury.instruments.photometric import ObservingRun, PhotometricConfig, PhotometricInstrument
from maury.measurements import Measurements
from maury.sky.bands import PAPER_BANDS, band
from maury.sky.photometry import MagnitudeTable, cached_table
from maury.sky.populations import Population, load_population

__all__ = ["Simulator", "SimulatorConfig", "Stars"]

REFERENCE_WAVELENGTH = 6200.0
"""A star's brightness is its magnitude in the band nearest to this wavelength (Angstrom)."""


class SimulatorConfig(BaseModel):
    """Everything that decides what the simulated sky looks like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prior: Literal["field", "box"] = "field"
    library: str = "phoenix-kurucz"
    dust_law: Literal["G23", "F99"] = "G23"
    bands: tuple[str, ...] = Field(PAPER_BANDS, min_length=1)
    photometry: PhotometricConfig = PhotometricConfig()
    knowledge: KnowledgeConfig = KnowledgeConfig()


@dataclass(frozen=True)
class Stars:
    """Simulated stars.

    Parameters
    ----------
    theta : Tensor (N, D)
        True parameters in physical units, in the order of `Simulator.parameters`.
    amplitude : Tensor (N,)
        Magnitude that is added to the model's in every band.
    run : ObservingRun
        Which bands were measured, with which errors.
    measurements : Measurements
    """

    theta: Tensor
    amplitude: Tensor
    run: ObservingRun
    measurements: Measurements


class Simulator:
    """Stars drawn from a prior, reddened, and measured as surveys do.

    Brightness is a free amplitude: the magnitude in the reference band is drawn uniformly between
    the instrument's brightest and faintest, independently of all parameters.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.instrument = PhotometricInstrument(config.bands, config.photometry)
        offset = [abs(band(b).pivot - REFERENCE_WAVELENGTH) for b in config.bands]
        self._reference = offset.index(min(offset))

    @cached_property
    def prior(self) -> Population:
        """The density that parameters are drawn from."""
        return load_population(self.config.prior, self.config.library)

    @cached_property
    def table(self) -> MagnitudeTable:
        """Magnitudes of any star in all bands, from the user's cache or built on first use."""
        return cached_table(self.config.library, self.config.bands, self.config.dust_law)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of theta's columns."""
        return tuple(self.prior.parameters)

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels that a simulated star may be measured on."""
        return (*self.config.bands, *(f"prior_{name}" for name in self.parameters))

    def draw(self, count: int, generator: torch.Generator) -> Stars:
        """Draw ``count`` stars with their measurements."""
        theta, magnitudes = self._stars_inside_library(count, generator)
        config = self.config.photometry
        brightness = torch.rand(count, generator=generator)
        brightness = config.brightest + (config.faintest - config.brightest) * brightness
        relative = magnitudes - magnitudes[:, self._reference, None]
        companion = relative[torch.randperm(count, generator=generator)]
        run = self.instrument.observing_run(companion + brightness[:, None], generator)
        true = relative + brightness[:, None]
        observed = self.instrument.observe(run, true, generator)
        known, known_sigma = measure_parameters(
            theta, self.parameters, self.config.knowledge, generator
        )
        return Stars(
            theta=theta,
            amplitude=brightness - magnitudes[:, self._reference],
            run=run,
            measurements=Measurements.from_dense(
                self.channels,
                torch.cat([observed, known], dim=1),
                torch.cat([run.sigma, known_sigma], dim=1),
            ),
        )

    @torch.no_grad()
    def _stars_inside_library(
        self, count: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Parameters (N, D) and magnitudes (N, B); what the library does not cover is redrawn."""
        theta = self.prior.sample(count, generator)
        magnitudes, inside = self.table(theta)
        while not inside.all():
            outside = (~inside).nonzero().squeeze(-1)
            theta[outside] = self.prior.sample(len(outside), generator)
            magnitudes[outside], inside[outside] = self.table(theta[outside])
        return theta, magnitudes
