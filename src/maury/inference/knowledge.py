"""Outside knowledge as sharp as a model has learned to use, and no sharper."""

from __future__ import annotations

from dataclasses import replace

import torch

from maury.instruments.knowledge import RELATIVE, KnowledgeConfig
from maury.measurements import Measurements

__all__ = ["blunt_knowledge"]

_PREFIX = "prior_"


def blunt_knowledge(measurements: Measurements, config: KnowledgeConfig) -> Measurements:
    """Raise errors of outside knowledge to the smallest that the simulated users had.

    A network extrapolates badly beyond: told log g = 2.5 +- 0.001, one that had learned with
    0.01 and more answered 2.38 +- 0.02, yet 2.50 when told +- 0.01.

    Parameters
    ----------
    measurements : Measurements
    config : KnowledgeConfig
        With which the model was trained.
    """
    smallest = torch.zeros(len(measurements.channels), device=measurements.device)
    for index, name in enumerate(measurements.channels):
        if name.startswith(_PREFIX):
            smallest[index] = config.sigma[name.removeprefix(_PREFIX)][0]
    if not smallest.any():
        return measurements
    relative = torch.tensor(
        [name.removeprefix(_PREFIX) in RELATIVE for name in measurements.channels],
        device=measurements.device,
    )
    value = torch.where(relative[measurements.channel], measurements.value, 1.0)
    # Padding may bear any channel's number; its error of 1 must stay.
    floor = (smallest[measurements.channel] * value).masked_fill(~measurements.present, 0.0)
    return replace(measurements, sigma=torch.maximum(measurements.sigma, floor))
