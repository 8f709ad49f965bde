"""Young stars: on their way to the main sequence, some with a disc, most behind some dust."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.isochrones import Isochrones, load_isochrones
from maury.sky.populations.binaries import companions
from maury.sky.populations.binaries import log_prob as companion_log_prob
from maury.sky.populations.densities import TruncatedNormals, float32_bounds, uniform
from maury.sky.populations.discs import DiscPrior, Discs
from maury.sky.populations.imf import InitialMassFunction, Kroupa
from maury.sky.populations.local_dust import dust_log_prob, mean_dust, sample_dust
from maury.sky.populations.starlight import starlight
from maury.sky.populations.systems import Systems

__all__ = ["Young", "YoungStars"]

_MH = TruncatedNormals([1.0], [0.0], [0.1])
_MH_BOUNDS = float32_bounds(-0.4, 0.4)
_R_V = TruncatedNormals([1.0], [3.2], [0.35])
_R_V_BOUNDS = float32_bounds(2.3, 5.6)
_AMBIENT_LIFE = 5e6  # yr


@dataclass(frozen=True)
class YoungStars:
    """N young systems and the discs of their primaries.

    Parameters
    ----------
    systems : Systems
        Of the components "with disc" and "without disc".
    discs : Discs
    """

    systems: Systems
    discs: Discs

    def __len__(self) -> int:
        return len(self.systems)

    def __getitem__(self, index: slice | Tensor) -> YoungStars:
        """Some of them, by a slice, a mask (N,) or indices."""
        return YoungStars(self.systems[index], self.discs[index])


class Young:
    """Density over young stars: mass, age, [Fe/H], companion, distance, dust and disc.

    Ages are uniform in their logarithm; masses follow the mass function, companions Moe & Di
    Stefano, discs `DiscPrior`. [Fe/H] is normal about 0 with 0.1 dex (star-forming regions near
    the Sun: Spina et al. 2014, A&A 567, A55). Distance is uniform in its logarithm. A_V is
    exponential about a mean that grows with distance (`mean_dust`) and that the star's own cloud
    adds to, `ambient` mag at birth, falling as exp(-t / 5 Myr). R_V is normal, 3.2 with 0.35,
    between 2.3 and 5.6: dust in clouds is coarser than elsewhere (Cardelli et al. 1989).

    Parameters
    ----------
    isochrones : Isochrones, optional
        They must reach the pre-main sequence; the packaged MIST do, from 0.25 Msun at 1 Myr and
        from 0.1 at 3 Myr. Stars that they lack are drawn all the same, without temperature.
    log_age : tuple of float
        Bounds, log10 yr.
    distance : tuple of float
        Bounds, pc.
    imf : InitialMassFunction, optional
        Of the primaries; by default that of Kroupa from 0.1 to 50 Msun.
    discs : DiscPrior
    ambient : float
        mag.

    Raises
    ------
    MauryError
        If bounds do not ascend, or the ambient dust is negative.
    """

    components = ("with disc", "without disc")

    def __init__(
        self,
        isochrones: Isochrones | None = None,
        *,
        log_age: tuple[float, float] = (6.0, 8.0),
        distance: tuple[float, float] = (40.0, 4000.0),
        imf: InitialMassFunction | None = None,
        discs: DiscPrior | None = None,
        ambient: float = 1.5,
    ) -> None:
        for name, (low, high) in (("log_age", log_age), ("distance", distance)):
            if not low < high:
                raise MauryError(f"young stars: {name} from {low} to {high} does not ascend")
        if not ambient >= 0:
            raise MauryError(f"young stars: ambient dust of {ambient} mag must not be negative")
        self._isochrones = isochrones if isochrones is not None else load_isochrones()
        self._log_age = float32_bounds(*log_age)
        self._distance = float32_bounds(*distance)
        self._imf = imf if imf is not None else Kroupa(0.1, 50.0)
        self._discs = discs if discs is not None else DiscPrior()
        self._ambient = ambient

    def sample(self, n: int, generator: torch.Generator) -> YoungStars:
        """Draw ``n`` young systems with their discs."""
        device = generator.device
        low, high = self._log_age
        log_age = (low + (high - low) * uniform(n, generator)).float().clamp(low, high)
        near, far = self._distance
        log_ratio = math.log(far / near)
        distance = (near * torch.exp(log_ratio * uniform(n, generator))).float().clamp(near, far)
        mass = self._imf.sample(n, generator).float()
        mh = _MH.sample(*_tensors(_MH_BOUNDS, device), n, generator).float()
        q = companions(mass, generator)
        discs = self._discs.sample(mass, log_age, generator)
        systems = Systems(
            mass=mass,
            log_age=log_age,
            mh=mh,
            q=q,
            **starlight(self._isochrones, mass=mass, log_age=log_age, mh=mh, q=q),
            distance=distance,
            a_v=sample_dust(self._mean_dust(distance, log_age), generator).float(),
            r_v=_R_V.sample(*_tensors(_R_V_BOUNDS, device), n, generator).float(),
            component=(~discs.present).to(torch.int8),
            components=self.components,
        )
        return YoungStars(systems, discs)

    def log_prob(self, stars: YoungStars) -> Tensor:
        """Log density (N,) per Msun, dex of age, dex, unit q (or of being single), pc, mag, unit
        R_V, and of the disc as in `DiscPrior.log_prob`; -inf outside."""
        systems = stars.systems
        log_age, distance = systems.log_age.double(), systems.distance.double()
        inside = (log_age >= self._log_age[0]) & (log_age <= self._log_age[1])
        inside &= (distance >= self._distance[0]) & (distance <= self._distance[1])
        device = log_age.device
        density = (
            -math.log(self._log_age[1] - self._log_age[0])
            - torch.log(distance * math.log(self._distance[1] / self._distance[0]))
            + self._imf.log_prob(systems.mass)
            + _MH.log_prob(systems.mh, *_tensors(_MH_BOUNDS, device))
            + companion_log_prob(systems.q, systems.mass)
            + dust_log_prob(systems.a_v.double(), self._mean_dust(distance, log_age))
            + _R_V.log_prob(systems.r_v, *_tensors(_R_V_BOUNDS, device))
            + self._discs.log_prob(stars.discs, systems.mass, log_age)
        )
        return density.masked_fill(~inside, -math.inf)

    def _mean_dust(self, distance: Tensor, log_age: Tensor) -> Tensor:
        cloud = self._ambient * torch.exp(-(10.0 ** log_age.double()) / _AMBIENT_LIFE)
        return mean_dust(distance.double()) + cloud


def _tensors(bounds: tuple[float, float], device: torch.device) -> tuple[Tensor, Tensor]:
    low, high = torch.tensor(bounds, dtype=torch.float64, device=device)
    return low, high
