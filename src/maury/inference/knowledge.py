"""Outside knowledge of parameters: added to what was measured, no sharper than is of use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from maury.columns import PRIOR
from maury.errors import MauryError
from maury.instruments.knowledge import RELATIVE
from maury.measurements import Measurements
from maury.parameters import PARAMETERS

__all__ = ["Given", "blunt_knowledge", "given_exactly", "with_knowledge"]


Given = Mapping[str, "float | tuple[float, float]"]
"""Parameters' values, for all stars: with an error, or exact."""


def with_knowledge(measurements: Measurements, given: Given) -> Measurements:
    """Add the parameters that are given with an error, for every star; such columns are replaced.

    Raises
    ------
    MauryError
        If a value is no number, or its error not above zero.
    """
    blunt = {name: value for name, value in given.items() if isinstance(value, tuple)}
    if not blunt:
        return measurements
    for name, (value, error) in blunt.items():
        if not (math.isfinite(value) and 0 < error < math.inf):
            raise MauryError(
                f"{name} is given as {value} +- {error}: give numbers, and an error above zero"
            )
    names = [PRIOR + name for name in blunt]
    channels = tuple(dict.fromkeys((*measurements.channels, *names)))
    numbers = torch.tensor([channels.index(name) for name in names], device=measurements.device)
    known, _ = measurements.select(channels)
    known = known.without(torch.isin(known.channel, numbers) & known.present)
    n, more = len(known), torch.tensor(list(blunt.values()), device=known.device)
    return Measurements(
        channels=channels,
        channel=torch.cat([known.channel, numbers.expand(n, -1)], 1),
        value=torch.cat([known.value, more[:, 0].expand(n, -1)], 1),
        sigma=torch.cat([known.sigma, more[:, 1].expand(n, -1)], 1),
        kind=torch.cat([known.kind, known.kind.new_ones(n, len(names))], 1),
        rejected=known.rejected,
    )


def given_exactly(given: Given, parameters: Sequence[str], stars: int) -> Tensor:
    """Values (N, D) of the parameters that are given without an error; NaN for all others.

    Raises
    ------
    MauryError
        If a name is not among the parameters, or a value outside what it can be.
    """
    exact = torch.full((stars, len(parameters)), torch.nan)
    for name, value in given.items():
        if name not in parameters:
            raise MauryError(f"{name!r} is given, but the model has only {', '.join(parameters)}")
        if isinstance(value, tuple):
            continue
        bounds = PARAMETERS[name]
        if not bounds.lower < value < bounds.upper:
            raise MauryError(
                f"{name} is given as {value}: it lies between {bounds.lower} and {bounds.upper}"
            )
        exact[:, parameters.index(name)] = value
    return exact


def blunt_knowledge(measurements: Measurements, smallest: Mapping[str, float]) -> Measurements:
    """Raise errors of outside knowledge to at least these.

    Parameters
    ----------
    measurements : Measurements
    smallest : mapping
        Parameter to its smallest error, relative to the value for those in `RELATIVE`.
    """
    floors = torch.zeros(len(measurements.channels), device=measurements.device)
    for index, name in enumerate(measurements.channels):
        if name.startswith(PRIOR):
            floors[index] = smallest[name.removeprefix(PRIOR)]
    if not floors.any():
        return measurements
    relative = torch.tensor(
        [name.removeprefix(PRIOR) in RELATIVE for name in measurements.channels],
        device=measurements.device,
    )
    value = torch.where(relative[measurements.channel], measurements.value, 1.0)
    # Padding may bear any channel's number; its error of 1 must stay.
    floor = (floors[measurements.channel] * value).masked_fill(~measurements.present, 0.0)
    return replace(measurements, sigma=torch.maximum(measurements.sigma, floor))
