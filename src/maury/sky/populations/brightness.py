"""How bright stellar systems appear: the light of both stars, their distance and dust."""

from __future__ import annotations

import torch
from torch import Tensor

from maury.sky.photometry import MagnitudeTable
from maury.sky.populations.systems import Systems

__all__ = ["apparent_magnitudes", "combined_magnitudes"]


def combined_magnitudes(
    table: MagnitudeTable,
    star: Tensor,
    radius: Tensor,
    companion: Tensor,
    companion_radius: Tensor,
) -> Tensor:
    """Magnitudes (N, B) at 10 pc of two stars seen as one, in the bands of the table.

    Parameters
    ----------
    table : MagnitudeTable
    star, companion : Tensor
        (N, 5): teff, logg, mh, a_v, r_v. A companion of no temperature (NaN) gives no light.
    radius, companion_radius : Tensor
        (N,), solar.

    Returns
    -------
    Tensor
        NaN where the table does not cover the primary, or covers only one of two that shine.
    """
    magnitudes = table(star)[0] - 5 * torch.log10(radius)[:, None]
    lit = torch.nonzero(torch.isfinite(companion[:, 0])).squeeze(1)
    second = table(companion[lit])[0] - 5 * torch.log10(companion_radius[lit])[:, None]
    first = magnitudes[lit]
    magnitudes[lit] = first - 2.5 * torch.log10(1 + 10 ** (0.4 * (first - second)))
    return magnitudes


def apparent_magnitudes(table: MagnitudeTable, systems: Systems) -> Tensor:
    """Magnitudes (N, B) of systems as they appear, behind their dust and at their distance.

    NaN where the primary has died, or where the table does not cover it or its companion.
    """
    at_ten = combined_magnitudes(
        table,
        systems.star,
        systems.radius,
        systems.companion_star,
        systems.companion_radius,
    )
    return at_ten + 5 * torch.log10(systems.distance / 10.0)[:, None]
