"""Sky and instruments together: an endless, seeded stream of stars and their measurements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from maury.columns import PRIOR
from maury.instruments.astrometric import AstrometricConfig, AstrometricInstrument
from maury.instruments.knowledge import USUAL_SIGMA, KnowledgeConfig, measure_parameters
from maury.instruments.photometric import ObservingRun, PhotometricConfig, PhotometricInstrument
from maury.measurements import Measurements
from maury.sky.bands import PAPER_BANDS, add_band
from maury.sky.own_bands import OwnBand
from maury.sky.photometry import MagnitudeTable, cached_table
from maury.sky.populations import STAR, Population, load_population
from maury.sky.populations.surveyed import PARAMETERS, SurveyedGalaxy
from maury.sky.skies import ColourSky, MixedSky, PlacedSky, Sky, reference_column

__all__ = ["PARALLAX", "Simulator", "SimulatorConfig", "Stars"]

PARALLAX = "parallax"
"""Name of the channel, mas."""

GAIA_G = ("GAIA/GAIA3.G", "GAIA/GAIA2r.G")
"""Bands by whose magnitude the error of a parallax goes; without them, the reference band."""


class SimulatorConfig(BaseModel):
    """Everything that decides what the simulated sky looks like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prior: Literal["field", "box", "galaxy"] = "field"
    isochrones: Literal["mist", "parsec"] = "mist"
    """The set that stars of the prior ``galaxy`` are taken from; ``parsec`` must be built first."""
    library: str | Annotated[tuple[str, ...], Field(min_length=2)] = "phoenix-kurucz"
    """One spectral library, or several: each star is then drawn from one of them, by chance. The
    first decides which stars there are, and its magnitudes are those that inference compares to."""
    dust_law: Literal["G23", "F99"] = "G23"
    bands: tuple[str, ...] = Field(PAPER_BANDS, min_length=1)
    passbands: dict[str, OwnBand] = {}
    """Curves of those bands that maury does not have."""
    photometry: PhotometricConfig = PhotometricConfig()
    astrometry: AstrometricConfig = AstrometricConfig()
    knowledge: KnowledgeConfig = KnowledgeConfig()

    @model_validator(mode="after")
    def _isochrones_are_used(self) -> SimulatorConfig:
        if self.isochrones != "mist" and not self.placed:
            raise ValueError(
                f"isochrones {self.isochrones!r} need prior 'galaxy': {self.prior!r} takes none"
            )
        return self

    @model_validator(mode="after")
    def _passbands_are_used(self) -> SimulatorConfig:
        for name in self.passbands:
            if name not in self.bands:
                raise ValueError(f"passband {name!r} is not among the bands: add it there")
        return self

    @property
    def libraries(self) -> tuple[str, ...]:
        """Names of the spectral libraries."""
        return (self.library,) if isinstance(self.library, str) else self.library

    @property
    def placed(self) -> bool:
        """Whether stars have a distance, so that brightness and parallax say something."""
        return self.prior == "galaxy"


@dataclass(frozen=True)
class Stars:
    """Simulated stars.

    Parameters
    ----------
    theta : Tensor (N, D)
        True parameters in physical units, in the order of `Simulator.parameters`.
    magnitudes : Tensor (N, B)
        Apparent, free of noise, in every band of the simulator.
    population : Tensor (N,) int64
        Index into `maury.sky.skies.POPULATIONS`.
    run : ObservingRun
        Which bands were measured, with which errors.
    measurements : Measurements
    """

    theta: Tensor
    magnitudes: Tensor
    population: Tensor
    run: ObservingRun
    measurements: Measurements


class Simulator:
    """Stars drawn from a prior, reddened, and measured as surveys do.

    With the priors ``field`` and ``box``, brightness is a free amplitude: the magnitude in the
    reference band is uniform between the instrument's brightest and faintest, independently of all
    parameters. With ``galaxy``, stars have a distance and may have a parallax.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        for name, own in config.passbands.items():
            add_band(own.band(name))
        self.instrument = PhotometricInstrument(config.bands, config.photometry)
        self.astrometer = AstrometricInstrument(config.astrometry)
        self._reference = reference_column(config.bands)
        gaia = [i for i, name in enumerate(config.bands) if name in GAIA_G]
        self._by_gaia = gaia[0] if gaia else self._reference

    @cached_property
    def prior(self) -> Population | SurveyedGalaxy:
        """The density that parameters are drawn from."""
        if self.config.placed:
            return SurveyedGalaxy(self.config.libraries[0], self.config.isochrones)
        return load_population(self.config.prior, self.config.libraries[0])

    @cached_property
    def sky(self) -> Sky:
        """The supply of stars."""
        skies = [self._sky(name) for name in self.config.libraries]
        return skies[0] if len(skies) == 1 else MixedSky(skies)

    def _sky(self, library: str) -> Sky:
        table = self._table(library)
        if isinstance(self.prior, SurveyedGalaxy):
            return PlacedSky(self.prior, table)
        limits = self.config.photometry
        return ColourSky(self.prior, table, brightest=limits.brightest, faintest=limits.faintest)

    @cached_property
    def table(self) -> MagnitudeTable:
        """Magnitudes of any star in all bands, by the first library."""
        return self._table(self.config.libraries[0])

    def _table(self, library: str) -> MagnitudeTable:
        """From the user's cache, or built on first use."""
        return cached_table(library, self.config.bands, self.config.dust_law)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of theta's columns."""
        return PARAMETERS if self.config.placed else STAR

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels that a simulated star may be measured on."""
        knowledge = (PRIOR + name for name in self.knowable)
        return (*self.config.bands, *((PARALLAX,) if self.config.placed else ()), *knowledge)

    @property
    def knowable(self) -> tuple[str, ...]:
        """Parameters that a user may know from elsewhere."""
        return tuple(name for name in self.parameters if name in USUAL_SIGMA)

    def draw(self, count: int, generator: torch.Generator) -> Stars:
        """Draw ``count`` stars with their measurements."""
        stars = self.sky.draw(count, generator)
        true, brightness = stars.magnitudes, stars.magnitudes[:, self._reference]
        # Gaps and errors are those of another star of the same brightness: they say nothing.
        relative = true - brightness[:, None]
        companion = relative[torch.randperm(count, generator=generator)] + brightness[:, None]
        run = self.instrument.observing_run(companion, generator)
        values = [self.instrument.observe(run, true, generator)]
        errors = [run.sigma]
        if self.config.placed:
            value, error = self._parallax(stars.theta, true[:, self._by_gaia], generator)
            values.append(value[:, None])
            errors.append(error[:, None])
        columns = [self.parameters.index(name) for name in self.knowable]
        known, known_error = measure_parameters(
            stars.theta[:, columns], self.knowable, self.config.knowledge, generator
        )
        return Stars(
            theta=stars.theta,
            magnitudes=true,
            population=stars.population,
            run=run,
            measurements=Measurements.from_dense(
                self.channels,
                torch.cat([*values, known], dim=1),
                torch.cat([*errors, known_error], dim=1),
            ),
        )

    def _parallax(
        self, theta: Tensor, brightness: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Measured parallax, NaN where there is none, and its error (N,), mas."""
        measured, error = self.astrometer.run(brightness, generator)
        distance = theta[:, self.parameters.index("distance")]
        value = self.astrometer.observe(distance, error, generator)
        return torch.where(measured, value, torch.nan), error
