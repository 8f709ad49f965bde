"""Photometry and parallaxes as tables, a column for each channel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maury.measurements import Measurements
from maury.simulator import PARALLAX, Simulator


@dataclass(frozen=True)
class Dense:
    """N stars on C channels: the bands and, last, the parallax.

    Parameters
    ----------
    channels : tuple of str
    value, sigma : Tensor (N, C)
        Magnitudes, mas; NaN where nothing was measured.
    floor : Tensor (C,)
        What else makes good measurements scatter: the bands' floors and jitter.
    """

    channels: tuple[str, ...]
    value: Tensor
    sigma: Tensor
    floor: Tensor

    @classmethod
    def of(cls, simulator: Simulator, measurements: Measurements) -> Dense:
        """What there is of photometry and parallaxes, and no more."""
        channels = (*simulator.config.bands, PARALLAX)
        known = measurements.select(channels)[0]
        value = torch.full((len(known), len(channels)), torch.nan)
        sigma = torch.full_like(value, torch.nan)
        star, slot = known.measured.nonzero(as_tuple=True)
        column = known.channel[star, slot]
        value[star, column] = known.value[star, slot]
        sigma[star, column] = known.sigma[star, slot]
        floor = torch.zeros(len(channels))
        floor[:-1] = simulator.instrument.noise.variance[:, 0].sqrt()
        return cls(channels, value, sigma, floor)

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, rows: slice) -> Dense:
        return replace(self, value=self.value[rows], sigma=self.sigma[rows])

    @property
    def measurements(self) -> Measurements:
        """In the form that maury reads."""
        return Measurements.from_dense(self.channels, self.value, self.sigma).compact()

    @property
    def width(self) -> Tensor:
        """Errors (N, C) that a method of Gaussian errors should assume."""
        return torch.hypot(self.sigma, self.floor.expand_as(self.sigma))

    def without(self, unwanted: Tensor) -> Dense:
        """The same less the unwanted (N, C)."""
        return replace(self, value=self.value.masked_fill(unwanted, torch.nan))
