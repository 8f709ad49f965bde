"""The light of a passive disc: a flat or flared one in closed form, with an inner rim.

A disc that only takes up and gives back the star's light has, at a radius r, a surface whose
temperature follows from the light that falls on it,

    T^4 = T_star^4 [(arcsin x - x sqrt(1 - x^2)) / pi + 0.5 phi x^2],   x = R_star / r,

the first term for a flat disc before a star of finite size (Adams, Lada & Shu 1987, ApJ 312, 788;
Friedjung 1985, A&A 146, 366: it gives back a quarter of the star's light if it reaches down to the
star), the second for a surface that flares, phi = r d(H/r)/dr with H ~ r^(9/7) (Chiang & Goldreich
1997, ApJ 490, 368, eqs. 1, 5, 12). At its inner edge, where dust sublimates or beyond, the disc
shows a rounded rim of a black body's temperature, T_rim = T_star (R_star / r)^(1/2), which takes up
the share H/r of the star's light and gives it back alike to all sides (Dullemond, Dominik & Natta
2001, ApJ 560, 957; rounded: Isella & Natta 2005, A&A 438, 899). What an observer gets is

    F_nu = cos i int B_nu(T) [1 - exp(-tau_nu / cos i)] 2 pi r dr / d^2

with tau_nu from a surface density that falls as 1/r and an opacity of 0.1 cm2/g of gas and dust at
1000 GHz, in proportion to frequency (Beckwith et al. 1990, AJ 99, 924, eq. 2 and section III).

Not in it: accretion, silicate and PAH features, envelopes, scattered light, and discs that hide
their star.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from maury.sky.bands import Band
from maury.sky.populations.discs import Discs
from maury.sun import SUN_RADIUS_CM

__all__ = ["SUBLIMATION", "DiscLight", "luminosity_ratio", "sublimation_radius"]

SUBLIMATION = 1500.0
"""Temperature at which dust sublimates, K (Dullemond et al. 2001)."""

SUN_IN_AU = SUN_RADIUS_CM / 1.495978707e13  # the au of IAU 2012
TEN_PARSEC = 10.0 * 648_000.0 / math.pi  # in au
SOLAR_MASS_OVER_AU2 = 1.98841e33 / 1.495978707e13**2  # g / cm2
OUTER_RADIUS = 100.0  # au
FLARE = 2.0 / 7.0

RIM = 2.0
"""Height of the rim over that of the surface there: hotter, it is puffed up (Dullemond et al.)."""

_H_OVER_K = 1.438776877e8  # hc / k, Angstrom K
_TWO_HC2 = 1.191042972e-5  # erg cm2 / s
_LEGENDRE = np.polynomial.legendre.leggauss(20)
_CHUNK = 4096  # discs at a time, so that their rings fit the cache
_COOLEST, _HOTTEST = 0.3, 3e4


def sublimation_radius(teff: Tensor, radius: Tensor) -> Tensor:
    """Where a wall of dust has 1500 K, au; (N,) of Teff in K and radius in Rsun.

    Not within the star, for stars so cool that dust would last there.
    """
    ratio = (teff / SUBLIMATION) ** 2
    return radius * SUN_IN_AU * ratio.clamp(min=1.0)


def luminosity_ratio(teff: Tensor, radius: Tensor, discs: Discs) -> Tensor:
    """Share (N,) of the star's light that an opaque disc takes up and gives back, rim and all."""
    rings = _Rings(teff, radius, discs)
    both_faces = (rings.radius / rings.star[:, None]) ** 2
    both_faces = both_faces * (rings.temperature / teff.double()[:, None]) ** 4
    share = (both_faces * rings.weight).sum(1) + rings.rim_share
    return torch.where(discs.present, share, 0.0)


class DiscLight:
    """Fluxes of discs in fixed bands.

    Parameters
    ----------
    bands : sequence of Band
        Any, however far in the infrared.
    """

    def __init__(self, bands: Sequence[Band]) -> None:
        opacity = [_opacity(curve) for curve in bands]
        self._opacity = torch.tensor(opacity)
        ends = (math.log(_COOLEST), math.log(_HOTTEST))
        self._log_t = torch.linspace(*ends, 400, dtype=torch.float64)
        planck = [_log_planck(curve, self._log_t) for curve in bands]
        self._log_planck = torch.stack(planck, -1).float()

    def flux(self, teff: Tensor, radius: Tensor, discs: Discs) -> Tensor:
        """Band-averaged F_nu (N, B) of discs at 10 pc, erg/s/cm2/Hz, float64; 0 where none is.

        Parameters
        ----------
        teff, radius : Tensor
            The star's, (N,): K and Rsun.
        discs : Discs
        """
        shape = (len(teff), len(self._opacity))
        out = torch.zeros(shape, dtype=torch.float64, device=teff.device)
        rows = torch.nonzero(discs.present & torch.isfinite(teff)).squeeze(1)
        for part in rows.split(_CHUNK):
            out[part] = self._flux(teff[part], radius[part], discs[part])
        return out

    def _flux(self, teff: Tensor, radius: Tensor, discs: Discs) -> Tensor:
        """As `flux`, of stars that all have a disc."""
        rings = _Rings(teff, radius, discs)
        cosine = discs.cos_inclination.clamp(min=1e-3)
        opacity = self._opacity.to(teff.device)
        depth = (rings.surface_density / cosine[:, None]).float()[..., None] * opacity
        seen = self._planck(rings.temperature) * -torch.expm1(-depth)
        area = 2 * math.pi * rings.weight * rings.radius**2
        disc = cosine[:, None] * torch.bmm(area.float()[:, None], seen)[:, 0]
        # A rim of luminosity L that shines as a black body: F_nu = L pi B / (4 pi d^2 sigma T^4).
        size = math.pi * rings.rim_share * rings.star**2 * (teff / rings.rim_temperature) ** 4
        rim = size.float()[:, None] * self._planck(rings.rim_temperature)
        rim = rim * -torch.expm1(-rings.rim_density.float()[:, None] * opacity)
        return (disc + rim).double() / TEN_PARSEC**2

    def _planck(self, temperature: Tensor) -> Tensor:
        """Band-averaged B_nu (..., B), erg/s/cm2/Hz/sr, float32, by table."""
        nodes, values = self._log_t.to(temperature.device), self._log_planck.to(temperature.device)
        step = nodes[1] - nodes[0]
        place = ((torch.log(temperature) - nodes[0]) / step).clamp(0, len(nodes) - 1.001)
        low = place.long()
        share = (place - low).float()[..., None]
        return torch.exp(torch.lerp(values[low], values[low + 1], share))


class _Rings:
    """Rings of N discs at the nodes of a Gauss-Legendre rule in log radius; float64, in au.

    `radius`, `temperature` and `surface_density` (g/cm2), (N, rings); `weight` (N, rings) of an
    integral over ln r; `star` (N,), the star's radius; `rim_share` of its light (N,),
    `rim_temperature` and `rim_density` (g/cm2).
    """

    def __init__(self, teff: Tensor, radius: Tensor, discs: Discs) -> None:
        nodes, weights = (torch.from_numpy(x).to(teff.device) for x in _LEGENDRE)
        hot = teff.double()
        self.star = radius.double() * SUN_IN_AU
        inner = sublimation_radius(hot, radius.double()) * 10.0 ** discs.log_inner_radius.double()
        outer = torch.clamp(10.0 * inner, min=OUTER_RADIUS)
        span = torch.log(outer / inner)[:, None]
        self.radius = inner[:, None] * torch.exp(span * (0.5 + 0.5 * nodes))
        self.weight = 0.5 * span * weights
        flaring = discs.flaring.double()
        height = flaring[:, None] * (self.radius / 100.0) ** FLARE
        x = self.star[:, None] / self.radius
        falling = _flat(x) + 0.5 * FLARE * height * x**2
        self.temperature = hot[:, None] * falling**0.25
        mass = 10.0 ** discs.log_mass.double() * SOLAR_MASS_OVER_AU2
        column = mass / (2 * math.pi * (outer - inner))
        self.surface_density = column[:, None] / self.radius
        self.rim_density = column / inner
        self.rim_share = (RIM * flaring * (inner / 100.0) ** FLARE).clamp(max=0.5)
        self.rim_temperature = hot * torch.sqrt(self.star / inner)


def _flat(x: Tensor) -> Tensor:
    """(arcsin x - x sqrt(1 - x^2)) / pi for 0 <= x <= 1, without cancellation where x is small."""
    small = x.clamp(max=0.1)
    series = small**3 * (2 / 3 + small**2 * (1 / 5 + small**2 * (3 / 28 + small**2 * (5 / 72))))
    near = x.clamp(0.1, 1.0)
    closed = torch.arcsin(near) - near * torch.sqrt(1.0 - near**2)
    return torch.where(x < 0.1, series, closed) / math.pi


def _opacity(curve: Band) -> float:
    """cm2 per gram of gas and dust at the band's pivot wavelength."""
    return 0.1 * (2.99792458e18 / curve.pivot) / 1e12


def _log_planck(curve: Band, log_t: Tensor) -> Tensor:
    """Natural logarithm (T,) of the band-averaged B_nu at temperatures, erg/s/cm2/Hz/sr."""
    wave = np.geomspace(curve.wave[0], curve.wave[-1], 300)
    exponent = np.minimum(_H_OVER_K / wave / np.exp(log_t.numpy())[:, None], 650.0)
    # B_lambda in erg/s/cm2/Angstrom/sr: 2 h c^2 / lambda^5 in cgs, per cm, is 1e-8 per Angstrom.
    flam = _TWO_HC2 * 1e-8 / (wave * 1e-8) ** 5 / np.expm1(exponent)
    return torch.from_numpy(np.log(np.maximum(flam @ curve.weights(wave), 1e-300)))
