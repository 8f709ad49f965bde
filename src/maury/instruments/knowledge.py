"""Outside knowledge of a parameter, as if one more instrument had measured it.

A dust map gives A_V = 0.30 +- 0.05, asteroseismology log g = 2.41 +- 0.02: a Gaussian measurement
of the parameter itself, on the channel ``prior_<name>``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

__all__ = ["KnowledgeConfig", "measure_parameters"]


class KnowledgeConfig(BaseModel):
    """How often the simulated user knows a parameter, and how well.

    ``sigma`` gives, for each parameter, the range (in the parameter's unit) from which the error
    is drawn uniformly in the logarithm.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    informed_fraction: float = Field(0.3, ge=0, le=1)
    parameter_fraction: float = Field(0.35, ge=0, le=1)
    sigma: dict[str, tuple[float, float]] = {
        "teff": (30.0, 600.0),
        "logg": (0.01, 0.6),
        "mh": (0.02, 0.6),
        "a_v": (0.01, 1.5),
        "r_v": (0.05, 0.6),
    }


def measure_parameters(
    theta: Tensor,
    parameters: Sequence[str],
    config: KnowledgeConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Measured values and errors (N, D) of the parameters theta (N, D); NaN where unknown."""
    low, high = (torch.tensor([config.sigma[p][i] for p in parameters]) for i in (0, 1))
    sigma = low * (high / low) ** torch.rand(theta.shape, generator=generator)
    value = theta + sigma * torch.randn(theta.shape, generator=generator)
    informed = torch.rand(len(theta), 1, generator=generator) < config.informed_fraction
    known = torch.rand(theta.shape, generator=generator) < config.parameter_fraction
    return torch.where(informed & known, value, torch.nan), sigma
