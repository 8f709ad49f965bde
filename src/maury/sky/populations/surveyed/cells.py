"""How many stars of each mass, age and metallicity are met: weights of cells of the isochrones.

A cell spans an interval of [Fe/H], of log age and of phase (EEP). Its natural weight is the sum
over the Galaxy's components of (share of stars that age and metallicity) x (initial mass function
over the cell's masses) x (tilted volume in which such stars are met, see `places`). Flattened, the
weight of each region of the HR diagram and metallicity is raised to a power below one, so that
rare kinds are learned; the youngest stars get a share of their own, even in log age.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from maury.sky.isochrones import Isochrones, overall_metallicity
from maury.sky.photometry import MagnitudeTable
from maury.sky.populations.imf import Kroupa
from maury.sky.populations.milky_way.components import Component
from maury.sky.populations.surveyed.places import Places

__all__ = ["Cells", "build_cells"]

MH = (-3.5, 0.5, 32)
"""Range of [Fe/H] and number of its cells."""

YOUNGEST = 5.7
"""log10 age (yr) at which the cells begin."""

LUMINOUS = 0.25
"""Stars of absolute magnitude M are weighed by 10^(LUMINOUS M) beside the volume in which they are
met, between a survey limited by magnitude (0), full of giants, and one by distance (0.6)."""

FLATTENING = 0.5
"""Power of the natural weight of a region of the HR diagram."""

YOUNG = 7.7
"""log10 age (yr) below which stars get a share of their own, even in log age..."""

YOUNG_SHARE = 0.12
"""... of this size."""

# Regions of flattening: steps in log10 Teff, log g, [Fe/H], and their smoothing in steps.
STEP = torch.tensor([0.02, 0.2, 0.25], dtype=torch.float64)
ORIGIN = torch.tensor([3.3, -1.0, -3.5], dtype=torch.float64)
SHAPE = (75, 36, 16)
SMOOTHING = 1.0


@dataclass(frozen=True)
class Cells:
    """J cells with any weight.

    Parameters
    ----------
    mh, log_age, eep : Tensor (J, 2)
        Lower and upper edges.
    magnitude : Tensor (J,)
        Absolute magnitude (reference band, no dust) at the centre.
    share : Tensor (J,)
        Probability of the cell, summing to one.
    component : Tensor (J, C)
        Probability of each component in it.
    """

    mh: Tensor
    log_age: Tensor
    eep: Tensor
    magnitude: Tensor
    share: Tensor
    component: Tensor


def build_cells(
    components: Sequence[Component], isochrones: Isochrones, places: Places, table: MagnitudeTable
) -> Cells:
    """Weigh all cells of the isochrones; ``table`` has the reference band alone."""
    mh = torch.linspace(*MH[:2], MH[2] + 1, dtype=torch.float64)
    ages = isochrones.log_age.double()
    oldest = max(part.ages[1] for part in components) * 1e9
    ages = ages[(ages >= YOUNGEST - 1e-6) & (ages < math.log10(oldest) + 0.05)]
    eep = isochrones.eep.double()
    index = torch.cartesian_prod(*(torch.arange(len(axis) - 1) for axis in (mh, ages, eep)))
    edges = [
        torch.stack([axis[i], axis[i + 1]], -1)
        for axis, i in zip((mh, ages, eep), index.unbind(-1), strict=True)
    ]
    centre = [side.mean(-1) for side in edges]
    overall = overall_metallicity(centre[0])
    star = isochrones.at(overall, centre[1], centre[2])
    low, high = (isochrones.at(overall, centre[1], edges[2][:, side]).mass for side in (0, 1))
    bare = torch.stack(
        [star.teff, star.logg, centre[0], torch.full_like(star.teff, 1e-4), 3.1 + 0 * star.teff], -1
    )
    magnitude, inside = table(bare.nan_to_num(0.0).float())
    magnitude = magnitude[:, 0].double() - 5 * torch.log10(star.radius)
    known = star.inside & inside & torch.isfinite(magnitude) & ((high - low) > 0)
    edges = [side[known] for side in edges]
    magnitude, star_mass = magnitude[known], star.mass[known]
    births = Kroupa().log_prob(star_mass).exp() * (high - low)[known]
    births = births * 10 ** (LUMINOUS * magnitude)
    weight = _natural(components, edges, births, places, magnitude)
    total = weight.sum(0)
    position = torch.stack(
        [torch.log10(star.teff[known]), star.logg[known], centre[0][known]], -1
    ).double()
    total = _flattened(total, position)
    total = _with_young(total, edges[1])
    some = total > 0
    shares = weight[:, some] / weight[:, some].sum(0)
    return Cells(
        mh=edges[0][some],
        log_age=edges[1][some],
        eep=edges[2][some],
        magnitude=magnitude[some],
        share=total[some] / total[some].sum(),
        component=shares.T.contiguous(),
    )


def _natural(
    components: Sequence[Component],
    edges: list[Tensor],
    births: Tensor,
    places: Places,
    magnitude: Tensor,
) -> Tensor:
    """Natural weights (C, J)."""
    met = places.met(magnitude)
    years = 10 ** edges[1]
    rows = []
    for part, volume in zip(components, met, strict=True):
        first, last = (1e9 * age for age in part.ages)
        overlap = (years[:, 1].clamp(max=last) - years[:, 0].clamp(min=first)).clamp(min=0)
        share = torch.special.ndtr((edges[0] - part.mh) / part.mh_sigma).diff(dim=1).squeeze(-1)
        rows.append(overlap / (last - first) * share * births * volume)
    return torch.stack(rows)


def _flattened(weight: Tensor, position: Tensor) -> Tensor:
    """Raise the weight of each region to the power `FLATTENING`, shares within it unchanged."""
    bins = torch.floor((position - ORIGIN) / STEP).long()
    bins = bins.clamp(min=0).minimum(torch.tensor(SHAPE) - 1)
    flat = (bins[:, 0] * SHAPE[1] + bins[:, 1]) * SHAPE[2] + bins[:, 2]
    region = torch.zeros(math.prod(SHAPE), dtype=torch.float64).index_add(0, flat, weight)
    smooth = torch.from_numpy(gaussian_filter(region.view(SHAPE).numpy(), SMOOTHING)).flatten()
    return weight * torch.where(smooth > 0, smooth, 1.0)[flat] ** (FLATTENING - 1)


def _with_young(weight: Tensor, log_age: Tensor) -> Tensor:
    """Give the young `YOUNG_SHARE` of all, spread evenly over their log ages."""
    centre = log_age.mean(-1)
    young = centre < YOUNG
    weight = weight / weight[~young].sum() * (1 - YOUNG_SHARE)
    ages, row = torch.unique(centre[young], return_inverse=True)
    total = torch.zeros(len(ages), dtype=torch.float64).index_add(0, row, weight[young])
    weight = weight.clone()
    weight[young] *= YOUNG_SHARE / len(ages) / total[row]
    return weight
