"""The nearest model of a grid: least chi-square over models, with distance and A_V solved for."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maury.sky.populations.dust import FIELD_DUST
from other_methods.answers import Answers, MockStars, stopwatch
from other_methods.prior_grid import PriorGrid

TELLING = 5.0
"""Parallaxes of so many sigma count, as distance moduli."""


def nearest(stars: MockStars, grid: PriorGrid) -> Answers:
    """Answers without errors; magnitudes are linear in A_V (at the mean R_V) and the modulus."""
    values, errors = stars.observations.value, stars.observations.width
    bare = grid.coefficients[..., 0].contiguous()
    reddening = grid.coefficients[..., 1] + FIELD_DUST.r_v_mean * grid.coefficients[..., 2]
    rows = []
    with stopwatch() as watch:
        for i in range(len(stars)):
            here = torch.isfinite(values[i, :-1])
            residual = values[i, :-1][here] - bare[:, here]
            slope, weight = reddening[:, here], errors[i, :-1][here] ** -2
            parallax, error = values[i, -1], errors[i, -1]
            if parallax > TELLING * error:
                modulus = 5 * torch.log10(1000 / parallax) - 5
                residual = torch.cat([residual, modulus.expand(len(grid), 1)], 1)
                slope = torch.cat([slope, torch.zeros(len(grid), 1)], 1)
                precision = (5 / math.log(10.0) * error / parallax) ** -2
                weight = torch.cat([weight, precision[None]])
            model, a_v, modulus = _least(residual, slope, weight)
            star = grid.systems[torch.tensor([model])]
            rows.append([star.teff, star.logg, star.mh, a_v, 10 ** (1 + 0.2 * modulus)])
    draws = torch.tensor([[float(x) for x in row] for row in rows]).double().numpy()[None]
    return Answers(f"nearest of {len(grid):,}", watch.seconds / len(stars), draws, "no errors")


def _least(residual: Tensor, slope: Tensor, weight: Tensor) -> tuple[int, Tensor, Tensor]:
    """Number of the best model, its A_V >= 0 and its distance modulus.

    Minimises sum_b w_b (r_b - mu - A_V k_b)^2 over mu and A_V, for residuals and slopes (M, B).
    """
    total = weight.sum()
    mean, mean_slope = residual @ weight / total, slope @ weight / total
    off, lean = residual - mean[:, None], slope - mean_slope[:, None]
    across, along = (off * lean) @ weight, (lean**2) @ weight
    a_v = (across / along.clamp_min(1e-12)).clamp_min(0.0)
    chi2 = (off - a_v[:, None] * lean) ** 2 @ weight
    best = int(chi2.argmin())
    return best, a_v[best], mean[best] - a_v[best] * mean_slope[best]
