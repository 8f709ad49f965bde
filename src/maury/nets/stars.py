"""Coordinates in which networks see stars: measurements standardised, parameters on the real line.

What every network of stars shares, whatever density it learns in these coordinates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from maury.errors import MauryError
from maury.measurements import Measurements
from maury.nets.distance import DistanceScale, Seen
from maury.nets.features import Features
from maury.parameters import PARAMETERS

__all__ = ["StarNetwork"]


class StarNetwork(nn.Module, ABC):
    """Parameters as whitened real numbers, measurements as features.

    Each parameter's own bijection leads from the real line to its unit, so no draw leaves its
    bounds and every density carries its Jacobian.

    Parameters
    ----------
    parameters : tuple of str
        Names from `maury.parameters.PARAMETERS`.
    channels : tuple of str
        Channels that the network reads.
    distance : DistanceScale, optional
        For stars that have a distance: the coordinate in which it is learned.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        parameters: tuple[str, ...],
        channels: tuple[str, ...],
        *,
        distance: DistanceScale | None = None,
    ) -> None:
        super().__init__()
        self.parameters_of_star = tuple(PARAMETERS[name] for name in parameters)
        self.features = Features(channels)
        self.distance = distance
        self.register_buffer("centre", torch.zeros(len(parameters)))
        self.register_buffer("scale", torch.ones(len(parameters)))

    @torch.no_grad()
    def fit_scales(self, theta: Tensor, measurements: Measurements) -> None:
        """Set the constants of the standardisation from simulated stars."""
        z = self._to_real(theta, self.seen(measurements))
        self.centre.copy_(z.median(0).values)
        self.scale.copy_(spread(z))
        self.features.fit(measurements)

    def loss(
        self, theta: Tensor, measurements: Measurements, population: Tensor | None = None
    ) -> Tensor:
        """`summed_loss`, as the mean of all that it counts."""
        total, count = self.summed_loss(theta, measurements, population)
        return total / count

    @abstractmethod
    def summed_loss(
        self, theta: Tensor, measurements: Measurements, population: Tensor | None = None
    ) -> tuple[Tensor, int]:
        """What training makes small, as a sum, and the number of its terms.

        Sums and numbers of several slices of a batch make up those of the batch.
        """

    def seen(self, measurements: Measurements) -> Seen | None:
        """The magnitudes that distances are measured by; None where stars have no distance."""
        return None if self.distance is None else self.distance.seen(measurements)

    def whitened(self, theta: Tensor, seen: Seen | None) -> Tensor:
        """Real coordinates (..., N, D) of order one, of physical theta (..., N, D)."""
        return (self._to_real(theta, seen) - self.centre) / self.scale

    def log_abs_det(self, theta: Tensor, seen: Seen | None) -> Tensor:
        """Log of the derivative (..., N) of the whitened coordinates by the physical ones."""
        jacobian = torch.zeros_like(theta[..., 0])
        for i, parameter in enumerate(self.parameters_of_star):
            if self.distance is not None and i == self.distance.column:
                jacobian = jacobian + self.distance.log_abs_det(theta, _given(seen))
            else:
                jacobian = jacobian + parameter.log_abs_det(theta[..., i])
        return jacobian - self.scale.log().sum()

    def physical(self, whitened: Tensor, seen: Seen | None, known: Tensor | None = None) -> Tensor:
        """The inverse of `whitened`; draws of distance stay between its bounds.

        Where ``known`` (N, D), physical, is a number, it stands instead of what was drawn.
        """
        z = whitened * self.scale + self.centre
        columns = [p.to_physical(z[..., i]) for i, p in enumerate(self.parameters_of_star)]
        theta = torch.stack(columns, dim=-1)
        if known is not None:
            theta = torch.where(known.isnan(), theta, known)
        if self.distance is None:
            return theta
        i = self.distance.column
        distance = self.distance.to_physical(theta, z[..., i], _given(seen))
        bounds = self.parameters_of_star[i]
        distance = distance.clamp(bounds.lower * 1.0001, bounds.upper * 0.9999)
        if known is not None:
            distance = torch.where(known[:, i].isnan(), distance, known[:, i])
        theta[..., i] = distance
        return theta

    def _to_real(self, theta: Tensor, seen: Seen | None) -> Tensor:
        z = self._real(theta)
        if self.distance is not None:
            z[..., self.distance.column] = self.distance.to_real(theta, _given(seen))
        return z

    def _real(self, theta: Tensor) -> Tensor:
        """Each parameter by its own bijection, the distance, too."""
        columns = [p.to_real(theta[..., i]) for i, p in enumerate(self.parameters_of_star)]
        return torch.stack(columns, dim=-1)


def spread(z: Tensor) -> Tensor:
    """Half the width (D,) of the central 68%: wild values, as of a distance that no band shows,
    must not decide the scale."""
    low, high = torch.quantile(z, torch.tensor([0.16, 0.84]), dim=0)
    return (high - low) / 2


def _given(seen: Seen | None) -> Seen:
    if seen is None:
        raise MauryError("a model of distances needs the magnitudes: pass seen(...)")
    return seen
