"""What the stars of a cluster can look like: an isochrone of single stars and of pairs.

An isochrone is a broken line in the space of all bands, drawn once for single stars and once for
each of some mass ratios. Each piece of a line carries the share of stars that the mass function
and the companions' law put there. A star's likelihood is integrated along each piece, so that
precise photometry does not fall between two models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maury.cluster.model_errors import band_shapes, own_temperature, temperature_shapes
from maury.sky.isochrones import Isochrones, IsochroneStars, Phase, overall_metallicity
from maury.sky.photometry import MagnitudeTable
from maury.sky.populations import binaries
from maury.sky.populations.imf import Kroupa

__all__ = ["Sequence", "StellarModel"]

Array = NDArray[np.float64]

R_V = 3.1

_Q_EDGES = np.array([0.25, 0.4, 0.5, 0.58, 0.66, 0.73, 0.79, 0.85, 0.9, 0.95, 1.0])
"""Companions of less than a quarter of the mass are not seen: those systems count as single."""

_MAG = 0.4 * np.log(10.0)
_TWIN = 2.5 * np.log10(2.0)
_DUST_STEP = 0.1
_WARM_STEP = 0.01
"""In A_V and in ln Teff: how far apart the models are that derivatives are taken from."""

_THINNED = 4
"""Of the isochrones' points, every how many is one of a coarse model's."""

_SMOOTH = 0.05
"""Change of the shapes of the models' errors along a piece above which it is divided. Along a piece
they are taken to be constant; where few isochrone points stand for the red dwarfs, the likelihood
of each would go up and down by 1 as ages move those points past it."""


@dataclass(frozen=True)
class Sequence:
    """J straight pieces of isochrones at 10 pc, in B bands.

    Parameters
    ----------
    start, step : array (J, B)
        Magnitudes where a piece begins, and from there to its end.
    dust : array (J, B)
        Change of the magnitudes with A_V.
    warm : array (J, B)
        Change of the magnitudes with ln Teff at the same luminosity.
    blend : array (J, B)
        Standard deviation of the magnitudes among the mass ratios that the piece stands for.
    band_shape : array (J, R)
        Shares of the models' errors of magnitudes; see `model_errors`.
    temperature_shape : array (J, T)
        Shares of the models' errors in ln Teff.
    own : array (J,)
        Standard deviation of a star's own ln Teff.
    log_weight : array (J,)
        Log of the share of stars on the piece; the shares of all pieces there are sum to one.
    mass, q : array (J,)
        Of the middle of the piece.
    """

    start: Array
    step: Array
    dust: Array
    warm: Array
    blend: Array
    band_shape: Array
    temperature_shape: Array
    own: Array
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
    coarse : bool
        With few and long pieces: enough where errors of 0.1 mag and more are added.
    """

    def __init__(
        self, isochrones: Isochrones, table: MagnitudeTable, *, coarse: bool = False
    ) -> None:
        self.isochrones = isochrones
        self.table = table
        self._eep = isochrones.eep[::_THINNED] if coarse else isochrones.eep
        self._smooth = math.inf if coarse else _SMOOTH
        imf = Kroupa(0.08, 150.0)
        mass = torch.logspace(np.log10(0.081), np.log10(149.0), 200, dtype=torch.float64)
        self._log_mass = np.log(mass.numpy())
        self._log_imf = imf.log_prob(mass).numpy()
        self._edges = _Q_EDGES[::2] if coarse else _Q_EDGES
        low, high = self._edges[:-1], self._edges[1:]
        self._q = np.concatenate([[0.0], (low + high) / 2])
        middle = torch.as_tensor(self._q[1:])
        density = binaries.log_prob(middle[None, :], mass[:, None]).exp().numpy()
        share = density * (high - low)
        self._share = np.column_stack([1 - share.sum(1).clip(max=0.95), share])

    @torch.no_grad()
    def sequence(
        self,
        log_age: float,
        mh: float,
        a_v: float,
        *,
        seen: tuple[int, float, float] | None = None,
    ) -> Sequence | None:
        """The pieces; None where there are no isochrones or no library.

        With ``seen`` only those between two magnitudes at 10 pc in the band of that number.
        """
        overall = overall_metallicity(torch.tensor([mh]))
        stars = self.isochrones.at(overall, log_age, self._eep)
        stars = self.isochrones.at(overall, log_age, self._divided(stars))
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
        dusty, warmer = theta.clone(), theta.clone()
        dusty[:, 3] += _DUST_STEP
        warmer[:, 0] *= np.exp(_WARM_STEP)
        # At the same luminosity radii go as the square, and gravities as the fourth power.
        warmer[:, 1] += 4 * _WARM_STEP / np.log(10.0)
        count = len(teff)
        mags, known = self.table(torch.cat([theta, dusty, warmer]))
        inside = known[:count] & known[count : 2 * count]
        mags = mags.double() - 5 * torch.log10(stars.radius[alive].double()).repeat(3)[:, None]
        light, reddened, warmed = mags.split(count)
        warm = (warmed - light) / _WARM_STEP + 10 / np.log(10.0)
        warm[~known[2 * count :]] = 0.0
        keep = inside.numpy()
        if keep.sum() < 10:
            return None
        nodes = _Nodes(
            number=np.flatnonzero(alive.numpy())[keep],
            log_mass=np.log(stars.mass[alive].double().numpy()[keep]),
            light=light.numpy()[keep],
            dust=((reddened - light) / _DUST_STEP).numpy()[keep],
            warm=warm.numpy()[keep],
            band_shape=band_shapes(teff).double().numpy()[keep],
            temperature_shape=temperature_shapes(teff, stars.logg[alive]).double().numpy()[keep],
            own=own_temperature(teff).double().numpy()[keep],
        )
        return self._pieces(nodes, seen)

    def _divided(self, stars: IsochroneStars) -> Tensor:
        """Phases, more of them where the shapes of the models' errors change fast."""
        shapes = torch.cat(
            [band_shapes(stars.teff), temperature_shapes(stars.teff, stars.logg)[:, 1:-1]], -1
        )
        change = shapes.diff(dim=0).abs().amax(-1).nan_to_num(0.0)
        count = (change / self._smooth).ceil().clamp(min=1).long()
        first = torch.repeat_interleave(self._eep[:-1], count)
        gap = torch.repeat_interleave(self._eep.diff() / count, count)
        place = torch.arange(len(first)) - torch.repeat_interleave(count.cumsum(0) - count, count)
        return torch.cat([first + place * gap, self._eep[-1:]])

    def faintest(self, log_age: float, mh: float, a_v: float, *, band: int) -> float:
        """Magnitude at 10 pc of the least massive single star in the band of that number."""
        pieces = self.sequence(log_age, mh, a_v)
        return np.inf if pieces is None else float(pieces.start[np.argmin(pieces.mass), band])

    def _pieces(self, nodes: _Nodes, seen: tuple[int, float, float] | None) -> Sequence | None:
        mass = np.exp(nodes.log_mass)
        middle = _middle(nodes.log_mass)
        adjacent = (np.diff(nodes.number) == 1) & (np.diff(mass) > 0)
        if not adjacent.any():
            return None
        with np.errstate(divide="ignore"):
            number = np.log(np.diff(mass)) + np.interp(middle, self._log_mass, self._log_imf)
        number = number - _log_total(number[adjacent])
        if seen is not None:
            band, bright, faint = seen
            single = nodes.light[:, band]
            ends = np.stack([single[1:], single[:-1]])
            adjacent &= (ends.max(0) > bright) & (ends.min(0) - _TWIN < faint)
        here = np.flatnonzero(adjacent)
        if not len(here):
            return None
        light, warm = nodes.pairs(self._q, here)
        step = nodes.pairs(self._q, here + 1)[0] - light
        # Evenly spread within each interval of mass ratios.
        blend = np.zeros_like(light)
        blend[1:] = np.gradient(light[1:], self._q[1:], axis=0)
        blend[1:] *= (np.diff(self._edges) / np.sqrt(12.0))[:, None, None]
        share = np.stack(
            [np.interp(middle[here], self._log_mass, column) for column in self._share.T]
        )
        log_weight = number[here] + np.log(share.clip(min=1e-30))

        def alike(values: Array) -> Array:
            """The same for all mass ratios."""
            return np.tile(_middle(values)[here], (len(self._q), *[1] * (values.ndim - 1)))

        bands = light.shape[-1]
        return Sequence(
            start=light.reshape(-1, bands),
            step=step.reshape(-1, bands),
            dust=alike(nodes.dust),
            warm=warm.reshape(-1, bands),
            blend=blend.reshape(-1, bands),
            band_shape=alike(nodes.band_shape),
            temperature_shape=alike(nodes.temperature_shape),
            own=alike(nodes.own),
            log_weight=log_weight.ravel(),
            mass=np.tile(np.exp(middle[here]), len(self._q)),
            q=np.repeat(self._q, len(here)),
        )


@dataclass(frozen=True)
class _Nodes:
    """Single stars along an isochrone: as in `Sequence`, with the isochrone's own numbers."""

    number: NDArray[np.int64]
    log_mass: Array
    light: Array
    dust: Array
    warm: Array
    band_shape: Array
    temperature_shape: Array
    own: Array

    def pairs(self, q: Array, here: NDArray[np.int64]) -> tuple[Array, Array]:
        """Magnitudes (Q, n, B) of the nodes ``here`` with companions of ``q`` (Q,) times the mass,
        and their change with ln Teff of both."""
        with np.errstate(divide="ignore"):
            wanted = self.log_mass[here] + np.log(q)[:, None]
        low = np.searchsorted(self.log_mass, wanted, side="right") - 1
        low = np.clip(low, 0, len(self.log_mass) - 2)
        gap = np.maximum(self.log_mass[low + 1] - self.log_mass[low], 1e-12)
        share = np.clip((wanted - self.log_mass[low]) / gap, 0.0, 1.0)[..., None]
        other = self.light[low] + share * (self.light[low + 1] - self.light[low])
        light = self.light[here]
        ratio = np.exp(_MAG * np.clip(light - other, -40, 40))
        ratio *= (wanted >= self.log_mass[0])[..., None]
        warm = (self.warm[here] + ratio * self.warm[low]) / (1 + ratio)
        return light - np.log1p(ratio) / _MAG, warm


def _log_total(a: Array) -> float:
    top = float(a.max())
    return top + float(np.log(np.exp(a - top).sum()))


def _middle(nodes: Array) -> Array:
    """Means (J - 1, ...) of neighbours."""
    return np.asarray(0.5 * (nodes[1:] + nodes[:-1]))
