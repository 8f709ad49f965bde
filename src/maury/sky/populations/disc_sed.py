"""How much brighter a disc makes its star in each band: the disc's light over the photosphere's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from maury.sky.bands import AB_CONSTANT, Band, band
from maury.sky.photometry import cached_table
from maury.sky.populations.disc_light import DiscLight
from maury.sky.populations.discs import Discs

__all__ = ["DiscSED"]

_LIBRARY_END = 3.25e5
"""Angstrom: redder bands lie beyond libraries and dust laws. MIPS 24 ends at 3.23e5."""

_REFERENCE = "Spitzer/MIPS.24mu"


class DiscSED:
    """Flux ratios of discs to their stars in fixed bands.

    Parameters
    ----------
    bands : sequence of str
        SVO ids.
    library : str
        Of the photospheres' spectra. Bands beyond 32 micron, where libraries and dust laws end
        (PACS), take the star's flux at 24 micron continued as Rayleigh and Jeans have it.

    Raises
    ------
    MauryError
        If there is no band or no library of such a name.
    """

    def __init__(self, bands: Sequence[str], library: str = "phoenix-kurucz") -> None:
        self.bands = tuple(bands)
        curves = [band(name) for name in self.bands]
        far = [curve.wave[-1] > _LIBRARY_END for curve in curves]
        near = [name for name, beyond in zip(self.bands, far, strict=True) if not beyond]
        self._stars = cached_table(library, tuple(dict.fromkeys([*near, _REFERENCE])))
        places = {name: place for place, name in enumerate(self._stars.bands)}
        self._column = torch.tensor([places.get(name, places[_REFERENCE]) for name in self.bands])
        self._offset = torch.tensor(
            [_beyond(curve) if away else 0.0 for curve, away in zip(curves, far, strict=True)]
        )
        self._zero = torch.tensor([curve.zero_point for curve in curves])
        self._light = DiscLight(curves)

    def star_magnitudes(self, teff: Tensor, logg: Tensor, mh: Tensor, radius: Tensor) -> Tensor:
        """Unreddened magnitudes (N, B) of photospheres at 10 pc; NaN off the library.

        Parameters
        ----------
        teff, logg, mh, radius : Tensor
            (N,): K, dex(cgs), [Fe/H], Rsun.
        """
        columns = (teff, logg, mh, torch.zeros_like(teff), torch.full_like(teff, 3.1))
        mags, _ = self._stars(torch.stack(columns, -1))
        chosen = mags[:, self._column.to(teff.device)] + self._offset.to(teff.device)
        return chosen - 5.0 * torch.log10(radius)[:, None]

    def excess(
        self, teff: Tensor, logg: Tensor, mh: Tensor, radius: Tensor, discs: Discs
    ) -> Tensor:
        """Flux of the disc over that of its star in each band.

        Dust before both dims both alike, so the star's magnitude, reddened or not, becomes
        ``m - 2.5 log10(1 + excess)``.

        Parameters
        ----------
        teff, logg, mh, radius : Tensor
            The star's, (N,): K, dex(cgs), [Fe/H], Rsun.
        discs : Discs

        Returns
        -------
        Tensor
            (N, B), 0 where there is no disc; NaN where there is one about a star that the
            library does not cover.
        """
        ratio = torch.zeros(len(teff), len(self.bands), device=teff.device)
        rows = torch.nonzero(discs.present).squeeze(1)
        star = self.star_magnitudes(teff[rows], logg[rows], mh[rows], radius[rows])
        # By magnitudes: the fluxes themselves are below what float32 holds.
        flux = self._light.flux(teff[rows], radius[rows], discs[rows])
        disc = -2.5 * torch.log10(flux) + AB_CONSTANT - self._zero.to(teff.device)
        ratio[rows] = (10.0 ** (-0.4 * (disc - star))).float()
        return ratio


def _beyond(curve: Band) -> float:
    """Magnitude in a far band minus that at 24 micron of a spectrum that falls as lambda^-4."""

    def magnitude(this: Band) -> float:
        wave = np.geomspace(this.wave[0], this.wave[-1], 600)
        return float(this.magnitude(wave, (wave / 1e5) ** -4.0))

    return magnitude(curve) - magnitude(band(_REFERENCE))
