"""The prior over star clusters: age, metallicity, mass, distance and dust of the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.populations.densities import TruncatedNormals, uniform
from maury.sky.populations.local_dust import dust_log_prob, mean_dust, sample_dust

__all__ = ["CLUSTER", "ClusterPrior"]

CLUSTER = ("log_age", "mh", "mass", "distance", "a_v", "a_v_spread")
"""A cluster's parameters: log10 yr, [Fe/H], Msun, pc, mag (mean over its stars), mag (standard
deviation among its stars), in the order of every theta_C (N, 6)."""

_LN10 = math.log(10.0)
_MH = TruncatedNormals([1.0], [0.0], [0.2])


@dataclass(frozen=True, kw_only=True)
class ClusterPrior:
    """Density over theta_C = (log_age, mh, mass, distance, a_v, a_v_spread).

    Parameters
    ----------
    age : {"log-flat", "exponential"}
        Uniform in log10 age, which favours no kind of cluster, or exponential in age with
        `mean_age`: clusters dissolve, half of those near the Sun within 100 to 200 Myr
        (Lamers et al. 2005, A&A 441, 117).
    mean_age : float
        Of the exponential, yr.
    log_age : tuple of float
        Bounds, log10 yr.
    mass : tuple of float
        Bounds of the uniform density of the initial mass, Msun.
    distance : tuple of float
        Bounds, pc. Uniform in its logarithm: near clusters are studied more often.
    mh : tuple of float
        Bounds of [Fe/H], which is normal about 0 with 0.2 dex as open clusters are (Netopil et
        al. 2016, A&A 585, A150).
    dust_per_kpc : float
        Mean A_V grows by so many mag per kpc (`mean_dust`); A_V is exponential about it.
    largest_spread : float
        Differential reddening is uniform up to this share of A_V; see `Cluster`.

    Raises
    ------
    MauryError
        If bounds do not ascend, or a scale is not positive.
    """

    age: Literal["log-flat", "exponential"] = "log-flat"
    mean_age: float = 150e6
    log_age: tuple[float, float] = (6.0, 10.1)
    mass: tuple[float, float] = (20.0, 1000.0)
    distance: tuple[float, float] = (40.0, 10_000.0)
    mh: tuple[float, float] = (-1.0, 0.5)
    dust_per_kpc: float = 0.7
    largest_spread: float = 0.5

    def __post_init__(self) -> None:
        if self.age not in ("log-flat", "exponential"):
            raise MauryError(f"no prior of ages {self.age!r}: there are log-flat, exponential")
        for name in ("log_age", "mass", "distance", "mh"):
            low, high = getattr(self, name)
            if not low < high:
                raise MauryError(f"cluster prior: {name} from {low} to {high} does not ascend")
        for name in ("mean_age", "dust_per_kpc", "largest_spread"):
            if not getattr(self, name) > 0:
                raise MauryError(
                    f"cluster prior: {name} must be positive, not {getattr(self, name)}"
                )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the columns of theta_C."""
        return CLUSTER

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` clusters, float64 (n, 6), on the generator's device."""
        bounds = torch.tensor(self.mh, dtype=torch.float64, device=generator.device)
        nearest, farthest = self.distance
        log_distance = self._between(math.log(nearest), math.log(farthest), n, generator)
        distance = torch.exp(log_distance).clamp(nearest, farthest)
        a_v = sample_dust(mean_dust(distance, self.dust_per_kpc), generator)
        columns = [
            self._sample_age(n, generator),
            _MH.sample(bounds[0], bounds[1], n, generator),
            self._between(*self.mass, n, generator),
            distance,
            a_v,
            a_v * self._between(0.0, self.largest_spread, n, generator),
        ]
        return torch.stack(columns, -1)

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log density (N,) per dex, dex, Msun, pc, mag and mag at theta_C (N, 6); -inf outside."""
        log_age, mh, mass, distance, a_v, spread = theta.double().unbind(-1)
        inside = a_v > 0
        for value, (low, high) in (
            (log_age, self.log_age),
            (mass, self.mass),
            (distance, self.distance),
        ):
            inside = inside & (value >= low) & (value <= high)
        inside = inside & (spread >= 0) & (spread <= self.largest_spread * a_v)
        safe = torch.where(inside, a_v, 1.0)
        far = torch.where(inside, distance, self.distance[0])
        bounds = torch.tensor(self.mh, dtype=torch.float64, device=theta.device)
        log_density = (
            self._log_age_density(log_age)
            + _MH.log_prob(mh, bounds[0], bounds[1])
            - math.log(self.mass[1] - self.mass[0])
            - torch.log(far * math.log(self.distance[1] / self.distance[0]))
            + dust_log_prob(safe, mean_dust(far, self.dust_per_kpc))
            - torch.log(self.largest_spread * safe)
        )
        return log_density.masked_fill(~inside, -math.inf)

    def _sample_age(self, n: int, generator: torch.Generator) -> Tensor:
        if self.age == "log-flat":
            return self._between(*self.log_age, n, generator)
        youngest, oldest = (10**edge for edge in self.log_age)
        kept = math.expm1(-(oldest - youngest) / self.mean_age)
        age = youngest - self.mean_age * torch.log1p(uniform(n, generator) * kept)
        return torch.log10(age).clamp(*self.log_age)

    def _log_age_density(self, log_age: Tensor) -> Tensor:
        """Per dex, (N,), not yet cut at the bounds."""
        low, high = self.log_age
        if self.age == "log-flat":
            return torch.full_like(log_age, -math.log(high - low))
        youngest, oldest = 10**low, 10**high
        kept = -math.expm1(-(oldest - youngest) / self.mean_age)
        age = 10.0 ** log_age.clamp(low, high)
        per_year = -(age - youngest) / self.mean_age - math.log(self.mean_age * kept)
        return per_year + torch.log(age * _LN10)

    @staticmethod
    def _between(low: float, high: float, n: int, generator: torch.Generator) -> Tensor:
        return low + (high - low) * uniform(n, generator)
