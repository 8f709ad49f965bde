"""The posterior's density as a network: measurements -> context -> flow over parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maury.measurements import Measurements
from maury.nets.config import DeepSetConfig, NetworkConfig, SetTransformerConfig
from maury.nets.deep_set import DeepSet
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
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self, parameters: tuple[str, ...], channels: tuple[str, ...], config: NetworkConfig
    ) -> None:
        super().__init__()
        self.parameters_of_star = tuple(PARAMETERS[name] for name in parameters)
        self.features = Features(channels)
        self.encoder = _encoder(len(channels), config.encoder)
        self.flow = build_flow(
            **config.flow.model_dump(), features=len(parameters), context=config.encoder.width
        )
        self.register_buffer("centre", torch.zeros(len(parameters)))
        self.register_buffer("scale", torch.ones(len(parameters)))

    @torch.no_grad()
    def fit_scales(self, theta: Tensor, measurements: Measurements) -> None:
        """Set the constants of the standardisation from simulated stars."""
        z = self._to_real(theta)
        self.centre.copy_(z.mean(0))
        self.scale.copy_(z.std(0))
        self.features.fit(measurements)

    @property
    def context_size(self) -> int:
        """Length of a star's summary."""
        return self.flow.context

    def context(self, measurements: Measurements) -> Tensor:
        """Summary (N, width) of each star's measurements."""
        x = self.features(measurements)
        return self.encoder(x.channel, x.value, x.error, x.present)

    def loss(self, theta: Tensor, measurements: Measurements) -> Tensor:
        """Mean negative log density of the whitened parameters (nats)."""
        return -self.flow.log_prob(self._whiten(theta), self.context(measurements)).mean()

    def log_prob(self, theta: Tensor, context: Tensor) -> Tensor:
        """Log density (..., N), per unit of each parameter, at physical theta (..., N, D)."""
        jacobian = sum(
            parameter.log_abs_det(theta[..., i])
            for i, parameter in enumerate(self.parameters_of_star)
        )
        density = self.flow.log_prob(self._whiten(theta), context)
        return density + jacobian - self.scale.log().sum()

    def draw(self, noise: Tensor, context: Tensor) -> Tensor:
        """Parameters (K, N, D) in physical units from uniform noise (K, N, `noise_size`)."""
        z = self.flow.draw(noise, context) * self.scale + self.centre
        columns = [p.to_physical(z[..., i]) for i, p in enumerate(self.parameters_of_star)]
        return torch.stack(columns, dim=-1)

    @property
    def noise_size(self) -> int:
        """Number of uniform numbers that one draw uses up."""
        return self.flow.noise_size

    def _to_real(self, theta: Tensor) -> Tensor:
        columns = [p.to_real(theta[..., i]) for i, p in enumerate(self.parameters_of_star)]
        return torch.stack(columns, dim=-1)

    def _whiten(self, theta: Tensor) -> Tensor:
        return (self._to_real(theta) - self.centre) / self.scale


def _encoder(channels: int, config: SetTransformerConfig | DeepSetConfig) -> nn.Module:
    sizes = config.model_dump(exclude={"kind"})
    if isinstance(config, SetTransformerConfig):
        return SetTransformer(channels, **sizes)
    return DeepSet(channels, **sizes)
