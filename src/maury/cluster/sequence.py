"""What the stars of a cluster can look like: an isochrone of single stars and of pairs.

An isochrone is a broken line in the space of all bands, drawn once for single stars and once for
each of some mass ratios. Each piece of a line carries the share of stars that the mass function
and the companions' law put there. A star's likelihood is integrated along each piece, so that
precise photometry does not fall between two models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from maury.sky.isochrones import Isochrones, Phase, overall_metallicity
from maury.sky.photometry import MagnitudeTable
from maury.sky.populations import binaries
from maury.sky.populations.imf import Kroupa

__all__ = ["Sequence", "StellarModel"]

Array = NDArray[np.float64]

R_V = 3.1

COOL, COLD = 4700.0, 3500.0
"""Between these temperatures (K) the models' shared error in cool stars sets in; see `likelihood`.
Convection, molecular lines and magnetic fields make isochrones and spectra of M dwarfs disagree
with observed ones, and with each other, by about 0.1 mag."""

_Q_EDGES = np.array([0.25, 0.4, 0.5, 0.58, 0.66, 0.73, 0.79, 0.85, 0.9, 0.95, 1.0])
"""Companions of less than a quarter of the mass are not seen: those systems count as single."""

_DUST_STEP = 0.1


@dataclass(frozen=True)
class Sequence:
    """J straight pieces of isochrones at 10 pc, in B bands.

    Parameters
    ----------
    start, step : array (J, B)
        Magnitudes where a piece begins, and from there to its end.
    dust : array (J, B)
        Change of the magnitudes with A_V.
    cool : array (J,)
        Share of the models' error in cool stars; 0 above 4700 K, 1 at 3500 K.
    log_weight : array (J,)
        Log of the share of stars on the piece; the shares sum to one.
    mass, q : array (J,)
        Of the middle of the piece.
    """

    start: Array
    step: Array
    dust: Array
    cool: Array
    log_weight: Array
    mass: Array
    q: Array

    def take(self, index: NDArray[np.bool_]) -> Sequence:
        """Some of the pieces."""
        return Sequence(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


class StellarModel:
    """From a cluster's age, metallicity and dust to the pieces of its isochrone.

    Parameters
    ----------
    isochrones : Isochrones
    table : MagnitudeTable
        In the bands of the candidates, in their order.
    """

    def __init__(self, isochrones: Isochrones, table: MagnitudeTable) -> None:
        self.isochrones = isochrones
        self.table = table
        self._eep = isochrones.eep
        imf = Kroupa(0.08, 150.0)
        mass = torch.logspace(np.log10(0.081), np.log10(149.0), 200, dtype=torch.float64)
        self._log_mass = np.log(mass.numpy())
        self._log_imf = imf.log_prob(mass).numpy()
        low, high = _Q_EDGES[:-1], _Q_EDGES[1:]
        self._q = np.concatenate([[0.0], (low + high) / 2])
        middle = torch.as_tensor(self._q[1:])
        density = binaries.log_prob(middle[None, :], mass[:, None]).exp().numpy()
        share = density * (high - low)
        self._share = np.column_stack([1 - share.sum(1).clip(max=0.95), share])

    @torch.no_grad()
    def sequence(self, log_age: float, mh: float, a_v: float) -> Sequence | None:
        """The pieces; None where there are no isochrones or no library."""
        overall = overall_metallicity(torch.tensor([mh]))
        stars = self.isochrones.at(overall, log_age, self._eep)
        alive = stars.inside & (stars.phase < int(Phase.POST_AGB))
        if int(alive.sum()) < 10:
            return None
        teff = stars.teff[alive]
        theta = torch.stack(
            [
                *(teff, stars.logg[alive]),
                *(torch.full_like(teff, value) for value in (mh, a_v, R_V)),
            ],
            -1,
        )
        more = theta.clone()
        more[:, 3] += _DUST_STEP
        mags, inside = self.table(torch.cat([theta, more]))
        count = len(teff)
        inside = inside[:count] & inside[count:]
        mags = mags.double() - 5 * torch.log10(stars.radius[alive].double()).repeat(2)[:, None]
        keep = inside.numpy()
        if keep.sum() < 10:
            return None
        light = mags[:count].numpy()[keep]
        dust = (mags[count:].numpy()[keep] - light) / _DUST_STEP
        node = np.flatnonzero(alive.numpy())[keep]
        mass = stars.mass[alive].double().numpy()[keep]
        temperature = teff.double().numpy()[keep]
        return self._pieces(light, dust, node, mass, temperature)

    def _pieces(
        self, light: Array, dust: Array, node: Array, mass: Array, temperature: Array
    ) -> Sequence | None:
        adjacent = (np.diff(node) == 1) & (np.diff(mass) > 0)
        log_mass = np.log(mass)
        middle = 0.5 * (log_mass[1:] + log_mass[:-1])
        with np.errstate(divide="ignore"):
            number = np.log(np.diff(mass)) + np.interp(middle, self._log_mass, self._log_imf)
        cool = np.log(COOL / temperature) / np.log(COOL / COLD)
        cool = np.clip(0.5 * (cool[1:] + cool[:-1]), 0.0, 1.5)
        parts = []
        for index, q in enumerate(self._q):
            together = light if q == 0 else self._pair(light, log_mass, q)
            share = np.interp(middle, self._log_mass, self._share[:, index])
            parts.append(
                (
                    *(together[:-1], np.diff(together, axis=0)),
                    *(0.5 * (dust[1:] + dust[:-1]), cool),
                    *(
                        number + np.log(share.clip(min=1e-30)),
                        np.exp(middle),
                        np.full(len(middle), q),
                    ),
                )
            )
        whole = Sequence(
            *(
                np.concatenate([p[i] for p in parts])[np.tile(adjacent, len(parts))]
                for i in range(7)
            )
        )
        if not len(whole.mass):
            return None
        return replace(whole, log_weight=whole.log_weight - logsumexp(whole.log_weight))

    @staticmethod
    def _pair(light: Array, log_mass: Array, q: float) -> Array:
        """Magnitudes of the stars with companions of ``q`` times their mass."""
        wanted = log_mass + np.log(q)
        low = np.clip(np.searchsorted(log_mass, wanted, side="right") - 1, 0, len(log_mass) - 2)
        gap = np.maximum(log_mass[low + 1] - log_mass[low], 1e-12)
        share = np.clip((wanted - log_mass[low]) / gap, 0.0, 1.0)[:, None]
        other = light[low] + share * (light[low + 1] - light[low])
        brighter = 2.5 * np.log10(1 + 10 ** (0.4 * np.clip(light - other, -40, 40)))
        return light - np.where((wanted >= log_mass[0])[:, None], brighter, 0.0)
