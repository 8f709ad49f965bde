"""The posterior's density as a network: measurements -> context -> flow over parameters."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from maury.measurements import Measurements
from maury.nets.config import DeepSetConfig, NetworkConfig, SetTransformerConfig
from maury.nets.deep_set import DeepSet
from maury.nets.distance import DistanceScale, Seen
from maury.nets.flows import build_flow
from maury.nets.set_transformer import SetTransformer
from maury.nets.stars import StarNetwork

__all__ = ["Estimator"]


class Estimator(StarNetwork):
    """Neural posterior estimation: a flow over whitened parameters, given a summary of the data.

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

    def __init__(
        self,
        parameters: tuple[str, ...],
        channels: tuple[str, ...],
        config: NetworkConfig,
        *,
        distance: DistanceScale | None = None,
        populations: int = 0,
    ) -> None:
        super().__init__(parameters, channels, distance=distance)
        self.encoder = _encoder(self.features.count, config.encoder)
        self.flow = build_flow(
            **config.flow.model_dump(), features=len(parameters), context=config.encoder.width
        )
        self.populations = nn.Linear(config.encoder.width, populations) if populations > 1 else None

    @property
    def context_size(self) -> int:
        """Length of a star's summary."""
        return self.flow.context

    @property
    def noise_size(self) -> int:
        """Number of uniform numbers that one draw uses up."""
        return self.flow.noise_size

    def context(self, measurements: Measurements) -> Tensor:
        """Summary (N, width) of each star's measurements."""
        x = self.features(measurements)
        return self.encoder(x.channel, x.value, x.error, x.present)

    def summed_loss(
        self, theta: Tensor, measurements: Measurements, population: Tensor | None = None
    ) -> tuple[Tensor, int]:
        """Negative log density of the whitened parameters and of the population (nats), by star."""
        context = self.context(measurements)
        loss = -self.flow.log_prob(self.whitened(theta, self.seen(measurements)), context).sum()
        if self.populations is not None and population is not None:
            loss = loss + F.cross_entropy(self.populations(context), population, reduction="sum")
        return loss, len(theta)

    def log_prob(self, theta: Tensor, context: Tensor, seen: Seen | None = None) -> Tensor:
        """Log density (..., N), per unit of each parameter, at physical theta (..., N, D)."""
        density = self.flow.log_prob(self.whitened(theta, seen), context)
        return density + self.log_abs_det(theta, seen)

    def draw(self, noise: Tensor, context: Tensor, seen: Seen | None = None) -> Tensor:
        """Parameters (K, N, D) in physical units from uniform noise (K, N, `noise_size`)."""
        return self.physical(self.flow.draw(noise, context), seen)


def _encoder(channels: int, config: SetTransformerConfig | DeepSetConfig) -> nn.Module:
    sizes = config.model_dump(exclude={"kind"})
    if isinstance(config, SetTransformerConfig):
        return SetTransformer(channels, **sizes)
    return DeepSet(channels, **sizes)
