"""From measurements to numbers of order one.

Magnitudes enter relative to the star's own median, after each band's usual colour has been taken
off: adding a constant to all magnitudes of a star changes nothing. Where brightness is a free
amplitude that is all. Where stars have a distance, that median enters as one more channel, and a
parallax p is scaled by it to p 10^(0.2 m), which goes with the star's own luminosity whatever its
distance and keeps a Gaussian error (Arenou & Luri 1999, ASP Conf. 167, 13).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maury.columns import PRIOR
from maury.errors import MauryError
from maury.measurements import Measurements

__all__ = ["Features", "Standardised"]

ERROR_SOFTENING = 0.005
"""Photometric errors (mag) below this hardly differ: systematic errors outweigh them."""

TYPICAL_ERROR = 0.03
"""Photometric error (mag) whose feature is zero."""

LUMINOSITY_SOFTENING = 0.03
"""Scaled parallax below which its feature is linear, above logarithmic: that of a star of absolute
magnitude -2.6."""

USUAL_BRIGHTNESS, BRIGHTNESS_RANGE = 13.0, 4.0
"""Magnitude whose feature is zero, and magnitudes to a unit of it."""

PARALLAX = "parallax"

LOGARITHMIC = {"prior_teff": 100.0, "prior_mass": 0.01, "prior_distance": 0.1}
"""Channels that enter as logarithms, and the least value that they are taken to have."""

DUST_SOFTENING = 0.1
"""Extinction (mag) below which the feature of a known A_V is linear, above logarithmic."""


@dataclass(frozen=True)
class Standardised:
    """What an encoder reads of N stars in S slots.

    Parameters
    ----------
    channel : Tensor (N, S) int64
        Number of the channel in the model's own order; brightness comes after all of these.
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
        SVO band ids, ``parallax`` and ``prior_<name>`` channels, in the model's order. With a
        parallax among them, stars have a distance and brightness counts.
    """

    centre: Tensor
    scale: Tensor
    is_band: Tensor

    def __init__(self, channels: tuple[str, ...]) -> None:
        super().__init__()
        self.channels = channels
        is_band = torch.tensor(
            [name != PARALLAX and not name.startswith(PRIOR) for name in channels]
        )
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
        known, value, sigma, is_band = self._physical(self._known(measurements))
        band = known.measured & is_band
        colour = value - _median(value, band)
        for index in self.is_band.nonzero().squeeze(-1).tolist():
            self.centre[index] = self._chosen(colour, known, index).median()
        brightness = self._brightness(known, value)
        value, _ = self._scaled(known, value, sigma, brightness)
        for index in (~self.is_band).nonzero().squeeze(-1).tolist():
            chosen = self._chosen(value, known, index)
            self.centre[index], self.scale[index] = chosen.median(), chosen.std()

    def forward(self, measurements: Measurements, given: Tensor | None = None) -> Standardised:
        """Numbers of N stars; limits and channels that the model does not know are left out.

        Parameters
        ----------
        measurements : Measurements
        given : Tensor (N, S) bool, optional
            Slots that may tell the star's brightness; all, by default. The measurements must then
            be in the model's own vocabulary already; slots stay where they are.
        """
        if given is None:
            measurements = self._known(measurements)
        known, value, sigma, is_band = self._physical(measurements)
        present = known.measured
        brightness = self._brightness(known, value, given)
        value, sigma = self._scaled(known, value, sigma, brightness, given)
        value = (value - self.centre[known.channel]) / self.scale[known.channel]
        value = torch.where(is_band, value - brightness, value)
        soft = torch.sqrt(sigma**2 + ERROR_SOFTENING**2) / TYPICAL_ERROR
        error = torch.log(torch.where(is_band, soft, sigma / self.scale[known.channel]))
        features = Standardised(
            channel=known.channel,
            value=value.masked_fill(~present, 0.0),
            error=error.masked_fill(~present, 0.0),
            present=present,
        )
        if not self.placed:
            return features
        bright = (brightness - USUAL_BRIGHTNESS) / BRIGHTNESS_RANGE
        telling = present & is_band if given is None else present & is_band & given
        return _with_slot(features, len(self.channels), bright, telling.any(1))

    def measured(self, channel: Tensor, value: Tensor, brightness: Tensor) -> Tensor:
        """Magnitudes and parallaxes in their units from features: the inverse of `forward`.

        Parameters
        ----------
        channel : Tensor (N, L) int64
            Bands and the parallax only.
        value : Tensor (..., N, L)
        brightness : Tensor (N, 1)
            As `brightness` says.
        """
        raw = value * self.scale[channel] + self.centre[channel]
        if PARALLAX not in self.channels:
            return raw + brightness
        parallax = torch.sinh(raw) / _luminosity_unit(brightness)
        return torch.where(channel == self.channels.index(PARALLAX), parallax, raw + brightness)

    def brightness(self, measurements: Measurements, given: Tensor) -> Tensor:
        """The brightness (N, 1), in magnitudes, that `forward` refers to."""
        known, value, _, _ = self._physical(measurements)
        return self._brightness(known, value, given)

    @property
    def placed(self) -> bool:
        """Whether stars have a distance, so that brightness counts."""
        return PARALLAX in self.channels

    @property
    def count(self) -> int:
        """How many channels an encoder sees."""
        return len(self.channels) + self.placed

    def _chosen(self, value: Tensor, known: Measurements, index: int) -> Tensor:
        """All values on one channel."""
        chosen = value[known.measured & (known.channel == index)]
        if len(chosen) < 2:
            raise MauryError(
                f"channel {self.channels[index]!r} is hardly ever measured: nothing to learn from"
            )
        return chosen

    def _brightness(
        self, known: Measurements, value: Tensor, given: Tensor | None = None
    ) -> Tensor:
        """Median magnitude (N, 1), each band's usual colour taken off; 0 without a band.

        Where only some slots are given, the rest is asked for, and needs some brightness.
        """
        band = known.measured & self.is_band[known.channel]
        colourless = value - self.centre[known.channel]
        if given is None:
            return _median(colourless, band)
        band = band & given
        usual = torch.full_like(colourless[:, :1], USUAL_BRIGHTNESS)
        return torch.where(band.any(1, keepdim=True), _median(colourless, band), usual)

    def _scaled(
        self,
        known: Measurements,
        value: Tensor,
        sigma: Tensor,
        brightness: Tensor,
        given: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Make of parallaxes what does not change with distance, asinh of it, and its error.

        The error of a parallax that is asked for must not betray its value.
        """
        if not self.placed:
            return value, sigma
        here = known.channel == self.channels.index(PARALLAX)
        unit = _luminosity_unit(brightness)
        scaled = value * unit
        told = scaled if given is None else scaled.masked_fill(~given, 0.0)
        error = sigma * unit / torch.sqrt(1 + told**2)
        return torch.where(here, torch.asinh(scaled), value), torch.where(here, error, sigma)

    def _known(self, measurements: Measurements) -> Measurements:
        return measurements.select(self.channels)[0].compact()

    def _physical(self, known: Measurements) -> tuple[Measurements, Tensor, Tensor, Tensor]:
        """What spans decades enters as logarithm, dust as asinh."""
        value, sigma = known.value, known.sigma
        for index, name in enumerate(self.channels):
            here = known.channel == index
            if name in LOGARITHMIC:
                positive = value.clamp(min=LOGARITHMIC[name])
                sigma = torch.where(here, sigma / positive, sigma)
                value = torch.where(here, torch.log(positive), value)
            elif name == "prior_a_v":
                unit = value / DUST_SOFTENING
                slope = DUST_SOFTENING * torch.sqrt(1 + unit**2)
                sigma = torch.where(here, sigma / slope, sigma)
                value = torch.where(here, torch.asinh(unit), value)
        return known, value, sigma, self.is_band[known.channel]


def _luminosity_unit(brightness: Tensor) -> Tensor:
    """Scaled parallax, in units of `LUMINOSITY_SOFTENING`, of a parallax of 1 mas."""
    return 0.1 * 10 ** (0.2 * (brightness - 10.0).clamp(-15, 20)) / LUMINOSITY_SOFTENING


def _with_slot(
    features: Standardised, channel: int, value: Tensor, present: Tensor
) -> Standardised:
    """One more slot at the end: value (N, 1), without error."""
    present = present[:, None]
    return Standardised(
        channel=torch.cat([features.channel, torch.full_like(value, channel).long()], 1),
        value=torch.cat([features.value, value.masked_fill(~present, 0.0)], 1),
        error=torch.cat([features.error, torch.zeros_like(value)], 1),
        present=torch.cat([features.present, present], 1),
    )


def _median(value: Tensor, chosen: Tensor) -> Tensor:
    """Median (N, 1) of the chosen slots of each row; 0 where there is none."""
    if value.shape[1] == 0:
        return value.new_zeros(len(value), 1)
    middle = torch.where(chosen, value, torch.nan).nanmedian(dim=1, keepdim=True).values
    return torch.nan_to_num(middle, nan=0.0)
