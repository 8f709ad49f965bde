"""A star cluster: stars of one age, metallicity and distance, from theta_C."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.isochrones import Isochrones, load_isochrones
from maury.sky.populations.binaries import companions
from maury.sky.populations.cluster_prior import CLUSTER
from maury.sky.populations.imf import InitialMassFunction, Kroupa
from maury.sky.populations.plummer import plummer
from maury.sky.populations.starlight import starlight
from maury.sky.populations.systems import Systems

__all__ = ["Cluster"]

_WAVES = 64
"""Plane waves in the field of dust: enough for it to be normal to a per cent."""


class Cluster:
    """Stars of a cluster of given age, [Fe/H], mass, distance and dust.

    Primaries are drawn from the mass function, each with the companion that Moe & Di Stefano give
    it, until the cluster's initial mass is used up. Places and velocities are those of a Plummer
    sphere. Extinction is a smooth log-normal field across the sky: the logarithm of A_V is a
    Gaussian random field with a correlation length of `dust_length`, scaled so that these stars
    have the mean and (nearly) the standard deviation that theta_C gives. So neighbours share their
    dust, and any one star's is log-normal, as column densities of clouds are (Kainulainen et al.
    2009, A&A 508, L35; Lombardi et al. 2010, A&A 512, A67).

    Parameters
    ----------
    isochrones : Isochrones, optional
        The packaged ones by default.
    imf : InitialMassFunction, optional
        Of the primaries; by default that of Kroupa from 0.1 to 100 Msun.
    binaries : bool
        Whether there are companions.
    half_mass_radius : float
        pc. Open clusters near the Sun have 2 to 5 (Piskunov et al. 2007, A&A 468, 151).
    dust_length : float
        pc.
    r_v : float
        The same for all stars.

    Raises
    ------
    MauryError
        If a length is not positive.
    """

    components = ("cluster",)

    def __init__(
        self,
        isochrones: Isochrones | None = None,
        *,
        imf: InitialMassFunction | None = None,
        binaries: bool = True,
        half_mass_radius: float = 3.0,
        dust_length: float = 2.0,
        r_v: float = 3.1,
    ) -> None:
        if not (half_mass_radius > 0 and dust_length > 0):
            raise MauryError(
                f"a cluster's lengths must be positive: half-mass radius {half_mass_radius} pc, "
                f"dust length {dust_length} pc"
            )
        self._isochrones = isochrones if isochrones is not None else load_isochrones()
        self._imf = imf if imf is not None else Kroupa(0.1, 100.0)
        self._binaries = binaries
        self._half_mass_radius = half_mass_radius
        self._dust_length = dust_length
        self._r_v = r_v

    def sample(self, theta: Tensor, generator: torch.Generator) -> Systems:
        """Draw the stars of one cluster.

        Parameters
        ----------
        theta : Tensor
            (6,): log_age, mh, mass, distance, a_v, a_v_spread; see `CLUSTER`.
        generator : torch.Generator

        Returns
        -------
        Systems
            Also those that have died (NaN temperature). Positions are about the cluster's centre,
            the third axis along the line of sight away from us; distances follow from them.

        Raises
        ------
        MauryError
            If theta is not six numbers, or mass or distance is not positive, or the dust negative.
        """
        if theta.shape != (len(CLUSTER),):
            raise MauryError(
                f"theta of one cluster has the shape ({len(CLUSTER)},): {', '.join(CLUSTER)}; "
                f"not {tuple(theta.shape)}"
            )
        log_age, mh, mass, distance, a_v, spread = theta.tolist()
        if not (mass > 0 and distance > 0 and a_v >= 0 and spread >= 0):
            raise MauryError(
                f"a cluster of {mass} Msun at {distance} pc behind {a_v} +- {spread} mag of dust: "
                "mass and distance must be positive, dust not negative"
            )
        primary, q = self._masses(mass, generator)
        count = len(primary)
        one_age, one_mh = torch.full_like(primary, log_age), torch.full_like(primary, mh)
        position, velocity = plummer(
            count, mass=mass, half_mass_radius=self._half_mass_radius, generator=generator
        )
        along = distance + position[:, 2]
        return Systems(
            mass=primary,
            log_age=one_age,
            mh=one_mh,
            q=q,
            **starlight(self._isochrones, mass=primary, log_age=one_age, mh=one_mh, q=q),
            distance=torch.sqrt((position[:, :2] ** 2).sum(1) + along**2).float(),
            a_v=self._dust(position[:, :2], a_v, spread, generator).float(),
            r_v=torch.full_like(primary, self._r_v),
            component=torch.zeros(count, dtype=torch.int8, device=primary.device),
            components=self.components,
            position=position.float(),
            velocity=velocity.float(),
        )

    def _masses(self, mass: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Primaries and mass ratios, float32 (n,), of systems that use up ``mass``.

        The last system is kept if the sum is nearer to the mass with it than without (Krumholz et
        al. 2015, MNRAS 452, 1447, 'stop nearest'), but there is always one.
        """
        batch = int(1.1 * mass / self._imf.mean_mass) + 32
        primaries, ratios = [], []
        used = 0.0
        while used < mass:
            primary = self._imf.sample(batch, generator).float()
            q = companions(primary, generator) if self._binaries else torch.zeros_like(primary)
            primaries.append(primary)
            ratios.append(q)
            used += float((primary.double() * (1 + q.double())).sum())
        primary, q = torch.cat(primaries), torch.cat(ratios)
        total = torch.cumsum(primary.double() * (1 + q.double()), 0)
        before = int((total < mass).sum())
        below = float(total[before - 1]) if before else 0.0
        count = max(before + int(float(total[before]) - mass < mass - below), 1)
        return primary[:count], q[:count]

    def _dust(self, sky: Tensor, mean: float, spread: float, generator: torch.Generator) -> Tensor:
        """A_V (n,) at places (n, 2) across the sky, pc."""
        # Waves of random phase, their numbers normal about 0: the spectrum of a Gaussian field
        # whose correlation falls as exp(-r^2 / (2 length^2)).
        draws: dict[str, Any] = {
            "generator": generator,
            "dtype": torch.float64,
            "device": generator.device,
        }
        waves = torch.randn(2, _WAVES, **draws) / self._dust_length
        phase = 2 * math.pi * torch.rand(_WAVES, **draws)
        height = torch.randn(_WAVES, **draws)
        field = (torch.cos(sky @ waves + phase) * height).sum(1)
        if mean == 0 or len(field) < 2:
            return torch.full_like(field, mean)
        width = math.sqrt(math.log1p((spread / mean) ** 2))
        # Standardised, so that theta_C tells about these stars, not about all such clusters.
        dust = torch.exp(width * (field - field.mean()) / field.std())
        return mean * dust / dust.mean()
