"""What stars look like that do not belong to the cluster."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from maury.cluster.candidates import Candidates
from maury.sky.isochrones import Isochrones, Phase, overall_metallicity
from maury.sky.photometry import MagnitudeTable

__all__ = ["FieldModel"]

Array = NDArray[np.float64]

_KERNEL = 0.05
"""Width, mag, by which each model star stands for its neighbours."""


class FieldModel:
    """Stars of any mass, age, metallicity and dust at any distance.

    The density of a star's colours is that of a few thousand model stars of all ages, [Fe/H] of
    -0.1 +- 0.3 and exponential dust, each widened by 0.05 mag; its brightness is unknown. The
    parallax is that of a table preselected about the cluster: around the table's median, half
    with the table's own spread and half with five times as much.

    Parameters
    ----------
    isochrones : Isochrones
    table : MagnitudeTable
        In the bands of the candidates.
    dust : float
        Mean A_V, mag.
    seed : int
    count : int
        Model stars.
    """

    def __init__(
        self,
        isochrones: Isochrones,
        table: MagnitudeTable,
        *,
        dust: float = 0.5,
        seed: int = 0,
        count: int = 3000,
    ) -> None:
        rng = np.random.default_rng(seed)
        mh = rng.normal(-0.1, 0.3, count).clip(-1.5, 0.45)
        eep = rng.uniform(float(isochrones.eep[0]), float(isochrones.eep[-1]), count)
        log_age = rng.uniform(7.5, 10.1, count)
        overall = overall_metallicity(torch.as_tensor(mh))
        stars = isochrones.at(overall, torch.as_tensor(log_age), torch.as_tensor(eep))
        alive = stars.inside & (stars.phase < int(Phase.POST_AGB))
        theta = torch.stack(
            [
                *(stars.teff, stars.logg, torch.as_tensor(mh)),
                *(torch.as_tensor(rng.exponential(dust, count)), torch.full((count,), 3.1)),
            ],
            -1,
        )[alive].float()
        with torch.no_grad():
            mags, inside = table(theta)
        self.magnitudes: Array = mags[inside].double().numpy()

    def log_density(self, stars: Candidates, variance: Array) -> Array:
        """Log density (N,) of all channels given the reference magnitude.

        Parameters
        ----------
        stars : Candidates
        variance : array (N, C)
            Of each measurement; inf where there is none.
        """
        weight = 1.0 / (variance[:, :-1] + _KERNEL**2)
        y = stars.value[:, :-1]
        # Centred on the reference, so that squares of large magnitudes do not cancel.
        y = y - y[:, [stars.reference]]
        model = self.magnitudes - self.magnitudes[:, [stars.reference]]
        square = (weight * y**2).sum(1)[:, None] - 2 * (weight * y) @ model.T + weight @ model.T**2
        pull = (weight * y).sum(1)[:, None] - weight @ model.T
        precision = weight.sum(1)[:, None]
        fit = -0.5 * (square - pull**2 / precision)
        bands = (weight > 0).sum(1)
        height = 0.5 * np.log(np.where(weight > 0, weight, 1.0)).sum(1)
        height -= 0.5 * np.log(precision[:, 0]) + 0.5 * (bands - 1) * math.log(2 * math.pi)
        colours = logsumexp(fit, axis=1) - math.log(len(model)) + height
        return colours + self._parallax(stars, variance[:, -1])

    @staticmethod
    def _parallax(stars: Candidates, variance: Array) -> Array:
        known = np.isfinite(variance)
        if not known.any():
            return np.zeros(len(stars))
        value = stars.value[:, -1]
        centre = float(np.median(value[known]))
        spread = max(1.4826 * float(np.median(np.abs(value[known] - centre))), 0.1 * abs(centre))
        density = np.zeros(len(stars))
        for width in (spread, 5 * spread):
            scale = np.sqrt(np.where(known, variance, 1.0) + width**2)
            density += 0.5 * np.exp(-0.5 * ((value - centre) / scale) ** 2) / scale
        return np.where(known, np.log(density / math.sqrt(2 * math.pi)), 0.0)
