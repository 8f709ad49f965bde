"""From measurements to numbers of order one.

A star's brightness is a free amplitude, so magnitudes enter relative to the star's own median,
after each band's usual colour has been taken off. Adding a constant to all magnitudes of a star
changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maury.errors import MauryError
from maury.measurements import Measurements

__all__ = ["Features", "Standardised"]

ERROR_SOFTENING = 0.005
"""Photometric errors (mag) below this hardly differ: systematic errors outweigh them."""

TYPICAL_ERROR = 0.03
"""Photometric error (mag) whose feature is zero."""

DUST_SOFTENING = 0.1
"""Extinction (mag) below which the feature of a known A_V is linear, above logarithmic."""


@dataclass(frozen=True)
class Standardised:
    """What an encoder reads of N stars in S slots.

    Parameters
    ----------
    channel : Tensor (N, S) int64
        Number of the channel in the model's own order.
    value, error : Tensor (N, S)
    present : Tensor (N, S) bool
    """

    channel: Tensor
    value: Tensor
    error: Tensor
    present: Tensor


class Features(nn.Module):
    """Standardises measurements on a fixed list of channels.

    Parameters
    ----------
    channels : tuple of str
        SVO band ids and ``prior_<name>`` channels, in the model's order.
    """

    centre: Tensor
    scale: Tensor
    is_band: Tensor

    def __init__(self, channels: tuple[str, ...]) -> None:
        super().__init__()
        self.channels = channels
        is_band = torch.tensor([not name.startswith("prior_") for name in channels])
        self.register_buffer("is_band", is_band, persistent=False)
        self.register_buffer("centre", torch.zeros(len(channels)))
        self.register_buffer("scale", torch.ones(len(channels)))

    @torch.no_grad()
    def fit(self, measurements: Measurements) -> None:
        """Set centres and scales from simulated stars; bands keep the magnitude as their unit.

        Raises
        ------
        MauryError
            If a channel was measured for fewer than two of the stars.
        """
        known, value, _, _ = self._physical(measurements)
        band = known.measured & self.is_band[known.channel]
        value = torch.where(band, value - _median(value, band), value)
        for index, name in enumerate(self.channels):
            chosen = value[known.measured & (known.channel == index)]
            if len(chosen) < 2:
                raise MauryError(f"channel {name!r} is hardly ever measured: nothing to learn from")
            self.centre[index] = chosen.median()
            if not self.is_band[index]:
                self.scale[index] = chosen.std()

    def forward(self, measurements: Measurements) -> Standardised:
        """Numbers of N stars; limits and channels that the model does not know are left out."""
        known, value, sigma, is_band = self._physical(measurements)
        present = known.measured
        value = (value - self.centre[known.channel]) / self.scale[known.channel]
        value = torch.where(is_band, value - _median(value, present & is_band), value)
        soft = torch.sqrt(sigma**2 + ERROR_SOFTENING**2) / TYPICAL_ERROR
        error = torch.log(torch.where(is_band, soft, sigma / self.scale[known.channel]))
        return Standardised(
            channel=known.channel,
            value=value.masked_fill(~present, 0.0),
            error=error.masked_fill(~present, 0.0),
            present=present,
        )

    def _physical(self, measurements: Measurements) -> tuple[Measurements, Tensor, Tensor, Tensor]:
        """Restrict to known channels; known temperatures enter as logarithms, dust as asinh."""
        known = measurements.select(self.channels)[0].compact()
        value, sigma = known.value, known.sigma
        for index, name in enumerate(self.channels):
            here = known.channel == index
            if name == "prior_teff":
                sigma = torch.where(here, sigma / value.clamp(min=100.0), sigma)
                value = torch.where(here, torch.log(value.clamp(min=100.0)), value)
            elif name == "prior_a_v":
                unit = value / DUST_SOFTENING
                slope = DUST_SOFTENING * torch.sqrt(1 + unit**2)
                sigma = torch.where(here, sigma / slope, sigma)
                value = torch.where(here, torch.asinh(unit), value)
        return known, value, sigma, self.is_band[known.channel]


def _median(value: Tensor, chosen: Tensor) -> Tensor:
    """Median (N, 1) of the chosen slots of each row; 0 where there is none."""
    if value.shape[1] == 0:
        return value.new_zeros(len(value), 1)
    middle = torch.where(chosen, value, torch.nan).nanmedian(dim=1, keepdim=True).values
    return torch.nan_to_num(middle, nan=0.0)
