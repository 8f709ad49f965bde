"""theta_C on the real line, with its prior, and a broad proposal to begin from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from maury.cluster.candidates import Candidates
from maury.sky.populations.cluster_prior import ClusterPrior

__all__ = ["PARAMETERS", "Coordinates", "parallax_distance"]

Array = NDArray[np.float64]

PARAMETERS = ("log_age", "mh", "distance", "a_v", "a_v_spread")
"""log10 yr, [Fe/H], pc, mag, mag: those of `populations.cluster_prior.CLUSTER` without the mass,
about which likelihoods conditional on magnitudes say nothing."""

_MH_WIDTH = 0.25


@dataclass(frozen=True)
class Coordinates:
    """Maps z (S, 5) to theta (S, 5) and knows densities over z.

    Age, metallicity, dust and its spread are quantiles of about their priors on the scale of the
    standard normal distribution. Where data leave one open, as the dust of a near cluster, its
    density over z ends like a normal one, not in the long tail that logarithms have.

    Parameters
    ----------
    prior : ClusterPrior
    log_distance : tuple of float
        Middle and width of the natural logarithm of the distance (pc), to begin with.
    """

    prior: ClusterPrior
    log_distance: tuple[float, float]

    def theta(self, z: Array) -> Array:
        """`PARAMETERS` in their units."""
        z = np.asarray(z)
        columns = []
        for column, (low, high) in ((0, self.prior.log_age), (1, self.prior.mh)):
            columns.append(low + (high - low) * ndtr(z[..., column]))
        a_v = -self._dust * log_ndtr(-z[..., 3])
        columns += [np.exp(z[..., 2]), a_v, self.prior.largest_spread * ndtr(z[..., 4]) * a_v]
        return np.stack(columns, -1)

    def log_prior(self, z: Array) -> Array:
        """Log density (S,) of the prior over z; the mass is integrated out."""
        z = np.atleast_2d(z)
        theta = self.theta(z)
        full = np.insert(theta, 2, sum(self.prior.mass) / 2, axis=1)
        low, high = self.prior.mass
        density = self.prior.log_prob(torch.as_tensor(full)).numpy() + math.log(high - low)
        ranges = [bounds[1] - bounds[0] for bounds in (self.prior.log_age, self.prior.mh)]
        stretch = sum(math.log(r) + _log_bell(z[:, i]) for i, r in enumerate(ranges))
        stretch += z[:, 2] + math.log(self._dust) + _log_bell(z[:, 3]) - log_ndtr(-z[:, 3])
        stretch += math.log(self.prior.largest_spread) + _log_bell(z[:, 4])
        with np.errstate(divide="ignore"):
            return np.asarray(density + stretch + np.log(theta[:, 3]))

    def broad_sample(self, n: int, rng: np.random.Generator) -> Array:
        """Places (n, 5): ages and spreads as in the prior, the rest about as in it."""
        middle, width = self.log_distance
        z = rng.standard_normal((n, 5))
        mean, sigma = self._mh
        z[:, 1] = mean + sigma * z[:, 1]
        z[:, 2] = middle + width * rng.standard_t(5, size=n)
        return z

    def broad_log_density(self, z: Array) -> Array:
        """Log density (S,) of `broad_sample`."""
        mean, sigma = self._mh
        middle, width = self.log_distance
        away = (z[:, 2] - middle) / width
        student = math.lgamma(3) - math.lgamma(2.5) - 0.5 * math.log(5 * math.pi)
        return np.asarray(
            sum(_log_bell(z[:, i]) for i in (0, 3, 4))
            + _log_bell((z[:, 1] - mean) / sigma)
            - math.log(sigma)
            + student
            - 3 * np.log1p(away**2 / 5)
            - math.log(width)
        )

    @property
    def _mh(self) -> tuple[float, float]:
        """Mean and width of the second coordinate where [Fe/H] is about the Sun's."""
        low, high = self.prior.mh
        mean = float(ndtri(min(max(-low / (high - low), 0.05), 0.95)))
        bell = math.exp(-0.5 * mean**2) / math.sqrt(2 * math.pi)
        return mean, _MH_WIDTH / ((high - low) * bell)

    @property
    def _dust(self) -> float:
        """Mean A_V, mag, of the prior about where the cluster is."""
        return 0.05 + self.prior.dust_per_kpc * math.exp(self.log_distance[0]) / 1000


def parallax_distance(stars: Candidates, prior: ClusterPrior) -> tuple[float, float]:
    """Middle and width of ln(distance / pc) that the parallaxes allow, generously.

    The median of the best half of the parallaxes; without any, the prior's range.
    """
    low, high = (math.log(edge) for edge in prior.distance)
    sigma = stars.sigma[:, -1]
    known = np.isfinite(sigma)
    if not known.any():
        return 0.5 * (low + high), 0.25 * (high - low)
    best = known & (sigma <= np.median(sigma[known]))
    parallax = float(np.median(stars.value[best, -1]))
    error = float(np.hypot(np.median(sigma[best]) / math.sqrt(best.sum()), 0.02))
    if parallax < 3 * error:
        return math.log(1000 / (2 * error + max(parallax, 0))), 0.7
    return float(np.clip(math.log(1000 / parallax), low, high)), max(2 * error / parallax, 0.05)


def _log_bell(z: Array) -> Array:
    """Log of the standard normal density."""
    return np.asarray(-0.5 * z**2 - 0.5 * math.log(2 * math.pi))
