"""Outside knowledge of a parameter, as if one more instrument had measured it.

A dust map gives A_V = 0.30 +- 0.05, asteroseismology log g = 2.41 +- 0.02: a Gaussian measurement
of the parameter itself, on the channel ``prior_<name>``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

__all__ = ["RELATIVE", "USUAL_SIGMA", "KnowledgeConfig", "measure_parameters"]


USUAL_SIGMA: dict[str, tuple[float, float]] = {
    "teff": (30.0, 600.0),
    "logg": (0.01, 0.6),
    "mh": (0.02, 0.6),
    "a_v": (0.01, 1.5),
    "r_v": (0.05, 0.6),
    "mass": (0.02, 0.5),
    "log_age": (0.02, 0.6),
    "distance": (0.01, 0.5),
}
"""From the best to the worst error that users have, in the unit of each parameter, or relative."""

RELATIVE = ("mass", "distance")
"""Parameters whose errors are relative to the value."""


class KnowledgeConfig(BaseModel):
    """How often the simulated user knows a parameter, and how well.

    ``sigma`` gives, for each parameter, the range (in the parameter's unit) from which the error
    is drawn uniformly in the logarithm; parameters that it leaves out keep the usual range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    informed_fraction: float = Field(0.3, ge=0, le=1)
    parameter_fraction: float = Field(0.35, ge=0, le=1)
    sigma: dict[str, tuple[float, float]] = USUAL_SIGMA

    @field_validator("sigma")
    @classmethod
    def _complete(cls, given: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in given.items():
            if name not in USUAL_SIGMA:
                raise ValueError(f"no parameter {name!r}: there are {', '.join(USUAL_SIGMA)}")
            if not 0 < low <= high:
                raise ValueError(f"{name} has the range {low} to {high}: give 0 < low <= high")
        return USUAL_SIGMA | given


def measure_parameters(
    theta: Tensor,
    parameters: Sequence[str],
    config: KnowledgeConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Measured values and errors (N, D) of the parameters theta (N, D); NaN where unknown."""
    low, high = (torch.tensor([config.sigma[p][i] for p in parameters]) for i in (0, 1))
    sigma = low * (high / low) ** torch.rand(theta.shape, generator=generator)
    relative = torch.tensor([p in RELATIVE for p in parameters])
    sigma = torch.where(relative, sigma * theta, sigma)
    value = theta + sigma * torch.randn(theta.shape, generator=generator)
    informed = torch.rand(len(theta), 1, generator=generator) < config.informed_fraction
    known = torch.rand(theta.shape, generator=generator) < config.parameter_fraction
    return torch.where(informed & known, value, torch.nan), sigma
