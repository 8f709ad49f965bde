"""The posterior's density as a network: measurements -> context -> flow over parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.errors import MauryError
from maury.measurements import Measurements
from maury.nets.config import DeepSetConfig, NetworkConfig, SetTransformerConfig
from maury.nets.deep_set import DeepSet
from maury.nets.distance import DistanceScale, Seen
from maury.nets.features import Features
from maury.nets.flows import build_flow
from maury.nets.set_transformer import SetTransformer
from maury.parameters import PARAMETERS

__all__ = ["Estimator"]


class Estimator(nn.Module):
    """Neural posterior estimation over bounded parameters.

    The flow lives on whitened real coordinates; each parameter's own bijection leads to physical
    units, so no draw leaves its bounds and every density carries its Jacobian.

    Parameters
    ----------
    parameters : tuple of str
        Names from `maury.parameters.PARAMETERS`.
    channels : tuple of str
        Channels that the network reads.
    config : NetworkConfig
    distance : DistanceScale, optional
        For stars that have a distance: the coordinate in which it is learned.
    populations : int
        Kinds of stars that are told apart; with less than two there is nothing to tell.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        parameters: tuple[str, ...],
        channels: tuple[str, ...],
        config: NetworkConfig,
        *,
        distance: DistanceScale | None = None,
        populations: int = 0,
    ) -> None:
        super().__init__()
        self.parameters_of_star = tuple(PARAMETERS[name] for name in parameters)
        self.features = Features(channels)
        self.encoder = _encoder(self.features.count, config.encoder)
        self.flow = build_flow(
            **config.flow.model_dump(), features=len(parameters), context=config.encoder.width
        )
        self.distance = distance
        self.populations = nn.Linear(config.encoder.width, populations) if populations > 1 else None
        self.register_buffer("centre", torch.zeros(len(parameters)))
        self.register_buffer("scale", torch.ones(len(parameters)))

    @torch.no_grad()
    def fit_scales(self, theta: Tensor, measurements: Measurements) -> None:
        """Set the constants of the standardisation from simulated stars."""
        z = self._to_real(theta, self.seen(measurements))
        self.centre.copy_(z.median(0).values)
        self.scale.copy_(_spread(z))
        self.features.fit(measurements)

    @property
    def context_size(self) -> int:
        """Length of a star's summary."""
        return self.flow.context

    def context(self, measurements: Measurements) -> Tensor:
        """Summary (N, width) of each star's measurements."""
        x = self.features(measurements)
        return self.encoder(x.channel, x.value, x.error, x.present)

    def seen(self, measurements: Measurements) -> Seen | None:
        """The magnitudes that distances are measured by; None where stars have no distance."""
        return None if self.distance is None else self.distance.seen(measurements)

    def loss(
        self, theta: Tensor, measurements: Measurements, population: Tensor | None = None
    ) -> Tensor:
        """Mean negative log density of the whitened parameters, and of the population (nats)."""
        context = self.context(measurements)
        loss = -self.flow.log_prob(self._whiten(theta, self.seen(measurements)), context).mean()
        if self.populations is None or population is None:
            return loss
        return loss + F.cross_entropy(self.populations(context), population)

    def log_prob(self, theta: Tensor, context: Tensor, seen: Seen | None = None) -> Tensor:
        """Log density (..., N), per unit of each parameter, at physical theta (..., N, D)."""
        jacobian = torch.zeros_like(theta[..., 0])
        for i, parameter in enumerate(self.parameters_of_star):
            if self.distance is not None and i == self.distance.column:
                jacobian = jacobian + self.distance.log_abs_det(theta, _given(seen))
            else:
                jacobian = jacobian + parameter.log_abs_det(theta[..., i])
        density = self.flow.log_prob(self._whiten(theta, seen), context)
        return density + jacobian - self.scale.log().sum()

    def draw(self, noise: Tensor, context: Tensor, seen: Seen | None = None) -> Tensor:
        """Parameters (K, N, D) in physical units from uniform noise (K, N, `noise_size`)."""
        z = self.flow.draw(noise, context) * self.scale + self.centre
        columns = [p.to_physical(z[..., i]) for i, p in enumerate(self.parameters_of_star)]
        theta = torch.stack(columns, dim=-1)
        if self.distance is not None:
            i = self.distance.column
            distance = self.distance.to_physical(theta, z[..., i], _given(seen))
            bounds = self.parameters_of_star[i]
            theta[..., i] = distance.clamp(bounds.lower * 1.0001, bounds.upper * 0.9999)
        return theta

    @property
    def noise_size(self) -> int:
        """Number of uniform numbers that one draw uses up."""
        return self.flow.noise_size

    def _to_real(self, theta: Tensor, seen: Seen | None) -> Tensor:
        columns = [p.to_real(theta[..., i]) for i, p in enumerate(self.parameters_of_star)]
        if self.distance is not None:
            columns[self.distance.column] = self.distance.to_real(theta, _given(seen))
        return torch.stack(columns, dim=-1)

    def _whiten(self, theta: Tensor, seen: Seen | None) -> Tensor:
        return (self._to_real(theta, seen) - self.centre) / self.scale


def _given(seen: Seen | None) -> Seen:
    if seen is None:
        raise MauryError("a model of distances needs the magnitudes: pass Estimator.seen(...)")
    return seen


def _spread(z: Tensor) -> Tensor:
    """Half the width (D,) of the central 68%: wild values, as of a distance that no band shows,
    must not decide the scale."""
    low, high = torch.quantile(z, torch.tensor([0.16, 0.84]), dim=0)
    return (high - low) / 2


def _encoder(channels: int, config: SetTransformerConfig | DeepSetConfig) -> nn.Module:
    sizes = config.model_dump(exclude={"kind"})
    if isinstance(config, SetTransformerConfig):
        return SetTransformer(channels, **sizes)
    return DeepSet(channels, **sizes)
