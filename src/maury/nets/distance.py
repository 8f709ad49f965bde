"""Distance as what is left of it once a star's brightness is accounted for.

Given all else - temperature, gravity, metallicity, dust, mass - the magnitudes fix a star's
distance modulus to about a hundredth, while the modulus itself spans twenty. Flows therefore learn

    (5 log10 d - expected) / width,

with ``expected`` the weighted mean over the measured bands of magnitude less the model's, and
``width`` its error. Where the parallax counts, too, ``expected`` is the mean of the two estimates
of the modulus by their precisions: a distance that a parallax tells to a thousandth would otherwise
be the small difference of magnitudes and luminosity, which a flow can only learn roughly. That is a
number of order one that hardly depends on the rest; and each draw's
distance fits its own temperature, dust and radius. A companion of mass ratio q is taken to add the
light q^4 of a dwarf's; what that misses, discs, and bands that are wrong leave a residual for the
flow to learn. A bijection for given measurements, so densities stay exact.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from maury.measurements import Measurements
from maury.sky.bands import band
from maury.sky.magnitude_table import MagnitudeTable
from maury.sun import SUN_MAGNITUDE, SUN_TEFF, log_radius

__all__ = ["DistanceScale", "Seen"]

MODEL_ERROR = 0.03
"""Magnitude that is added in quadrature to each band's error and floor."""

OUTLYING = 3.0
"""Bands farther from the mean than this many errors lose their weight, in a second pass."""

REDDEST = 25_000.0
"""Bands of longer pivot wavelength (Angstrom) may show a disc: they count only without others."""

BLUEST = 4000.0
"""Bands of shorter pivot wavelength say more of dust and metals than of brightness: the same."""

UNSEEN = 15.0, 5.0
"""Expected modulus and its width for a star without any band."""

DWARF_LOGG = 3.7
"""Log g at which companions begin to count: a giant outshines its dwarf."""

CREDIBLE = 4.0
"""Signal to noise from which a parallax has its full weight as an estimate of the modulus, which it
is not, being skewed, when it is poor."""

_TO_MODULUS = 5.0 / math.log(10.0)


@dataclass(frozen=True)
class Seen:
    """What tells the distance of N stars; all weights are inverse variances, 0 where absent.

    Parameters
    ----------
    magnitude, weight : Tensor (N, B)
        In B bands.
    modulus, modulus_weight : Tensor (N,)
        The distance modulus that the parallax stands for.
    """

    magnitude: Tensor
    weight: Tensor
    modulus: Tensor
    modulus_weight: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Seen:
        return Seen(
            self.magnitude[rows],
            self.weight[rows],
            self.modulus[rows],
            self.modulus_weight[rows],
        )


class DistanceScale:
    """The change of coordinate between distance (pc) and its residual.

    Parameters
    ----------
    table : MagnitudeTable
        Of the model's bands.
    parameters : tuple of str
        Names of theta's columns; teff, logg, mh, a_v, r_v are first, mass and q are among the rest.
    channels : tuple of str
        The model's; the table's bands are first.
    """

    def __init__(
        self,
        table: MagnitudeTable,
        parameters: tuple[str, ...],
        channels: tuple[str, ...],
    ) -> None:
        self._parallax = channels.index("parallax")
        self._tables = {table.table.device: table}
        self._mass, self._ratio = parameters.index("mass"), parameters.index("q")
        self.column = parameters.index("distance")
        self._channels = channels
        curves = [band(name) for name in table.bands]
        self._floor = torch.tensor([curve.floor for curve in curves])
        self._usual = torch.tensor([BLUEST < curve.pivot < REDDEST for curve in curves])

    def seen(self, measurements: Measurements) -> Seen:
        """The measured bands of N stars, side by side."""
        known = measurements.select(self._channels)[0]
        bands = len(self._floor)
        here = known.measured & (known.channel < bands)
        row = torch.arange(len(known), device=known.device)[:, None].expand_as(here)[here]
        place = (row, known.channel[here])
        device = known.device
        floor = self._floor.to(device)
        magnitude = torch.zeros(len(known), bands, device=device)
        magnitude = magnitude.index_put(place, known.value[here])
        variance = known.sigma[here] ** 2 + floor[place[1]] ** 2 + MODEL_ERROR**2
        weight = torch.zeros_like(magnitude).index_put(place, 1 / variance)
        usual = weight * self._usual.to(device)
        weight = torch.where(usual.sum(1, keepdim=True) > 0, usual, weight)
        return Seen(magnitude, weight, *self._modulus(known))

    def _modulus(self, known: Measurements) -> tuple[Tensor, Tensor]:
        """Distance moduli (N,) by parallax, and their inverse variances (N,)."""
        here = known.measured & (known.channel == self._parallax)
        value, sigma = (x.masked_fill(~here, 0.0).sum(1) for x in (known.value, known.sigma))
        credible = here.any(1) & (value > 0)
        value = torch.where(credible, value, 1.0)
        signal = value / torch.where(credible, sigma, 1.0)
        error = _TO_MODULUS / signal
        trust = signal**2 / (signal**2 + CREDIBLE**2)
        modulus = _TO_MODULUS * torch.log(100.0 / value)
        return modulus, torch.where(credible, trust / error**2, 0.0)

    def estimate(self, theta: Tensor, seen: Seen) -> tuple[Tensor, Tensor]:
        """Expected distance modulus (..., N) and its error, at theta (..., N, D)."""
        expected = self._by_light(theta, seen)
        precision = seen.weight.sum(-1)
        variance = torch.where(precision == 0, UNSEEN[1] ** 2, 1 / precision.clamp(min=1e-6))
        weight = seen.modulus_weight
        # A parallax that disagrees with the light is likelier wrong than not: see `OUTLYING`.
        both = weight / (1 + variance * weight)
        weight = weight / (1 + (seen.modulus - expected) ** 2 * both / OUTLYING**2)
        share = weight * variance / (1 + weight * variance)
        modulus = torch.lerp(expected, seen.modulus.expand_as(expected), share)
        # Not by 1 - share: a sharp parallax alone makes that zero in single precision.
        return modulus, torch.sqrt(variance / (1 + weight * variance))

    def _by_light(self, theta: Tensor, seen: Seen) -> Tensor:
        """The modulus (..., N) that the magnitudes imply, at theta (..., N, D)."""
        flat = theta.reshape(-1, theta.shape[-1])
        magnitude, inside = self._table_on(flat.device)(flat[:, :5])
        # Outside the library every band is taken to be as bright as all of the light.
        rough = SUN_MAGNITUDE - 10 * torch.log10(flat[:, :1] / SUN_TEFF)
        model = torch.where(inside[:, None], magnitude, rough).reshape(*theta.shape[:-1], -1)
        dwarf = torch.sigmoid((theta[..., 1] - DWARF_LOGG) / 0.1)
        companion = 2.5 * torch.log10(1 + dwarf * theta[..., self._ratio] ** 4)
        size = log_radius(theta[..., self._mass], theta[..., 1])
        residual = seen.magnitude - model
        mean = _mean(residual, seen.weight)
        miss = (residual - mean[..., None]) ** 2 * seen.weight
        mean = _mean(residual, seen.weight / (1 + miss / OUTLYING**2))
        blind = seen.weight.sum(-1) == 0
        return torch.where(blind, UNSEEN[0], mean + companion + 5 * size)

    def to_real(self, theta: Tensor, seen: Seen) -> Tensor:
        """The residual (..., N) of the distance in theta (..., N, D)."""
        modulus = _TO_MODULUS * torch.log(theta[..., self.column] / 10)
        expected, width = self.estimate(theta, seen)
        return (modulus - expected) / width

    def log_abs_det(self, theta: Tensor, seen: Seen) -> Tensor:
        """Log of the derivative (..., N) of the residual by distance in pc."""
        slope = theta[..., self.column] * self.estimate(theta, seen)[1]
        return math.log(_TO_MODULUS) - torch.log(slope)

    def to_physical(self, theta: Tensor, residual: Tensor, seen: Seen) -> Tensor:
        """Distance (..., N) in pc; theta's own column of distance is not read."""
        expected, width = self.estimate(theta, seen)
        return 10 * torch.exp((expected + width * residual) / _TO_MODULUS)

    def _table_on(self, device: torch.device) -> MagnitudeTable:
        """The table, or its copy: a simulator on the CPU may share the original."""
        if device not in self._tables:
            original = next(iter(self._tables.values()))
            self._tables[device] = copy.deepcopy(original).to(device)
        return self._tables[device]


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over the last axis; 0 without weight."""
    return (value * weight).sum(-1) / weight.sum(-1).clamp(min=1e-6)
