"""A spectral library held as a grid of logarithmic fluxes relative to a black body.

What is stored and interpolated is log10(F_lambda / pi B_lambda(Teff)), in a linear basis: the
black body, which changes by tens of dex in the ultraviolet, is exact, and the smooth rest
interpolates well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.sky.libraries.interpolation import stencil

__all__ = ["GridLibrary", "log_black_body"]

# pi B_lambda = C1 / lambda^5 / (exp(C2 / lambda T) - 1), CODATA 2018: C1 = 2 pi h c^2, C2 = h c / k
_C1 = 3.741771852e-5  # erg cm^2 / s
_C2 = 1.438776877  # cm K
_CHUNK = 1024


def log_black_body(wave: ArrayLike, teff: ArrayLike) -> NDArray[np.float64]:
    """Logarithm of a black body's surface flux, log10(pi B_lambda).

    Parameters
    ----------
    wave
        Wavelengths in Angstrom, broadcast against `teff`.
    teff
        Temperature in K.

    Returns
    -------
    Array of the broadcast shape, log10 of erg/s/cm2/Angstrom (Planck's law).
    """
    centimetres = np.asarray(wave, dtype=np.float64) * 1e-8
    x = _C2 / (centimetres * np.asarray(teff, dtype=np.float64))
    log_bose = x / np.log(10.0) + np.log10(-np.expm1(-x))
    return np.log10(_C1 * 1e-8) - 5.0 * np.log10(centimetres) - log_bose


@dataclass(frozen=True, eq=False)
class GridLibrary:
    """Spectra on a tensor-product grid of (Teff, log g, [M/H]) with missing nodes.

    Attributes
    ----------
    name
        What `load_library` calls it.
    wave
        (W,) vacuum wavelengths in Angstrom, increasing.
    teff_nodes, logg_nodes, mh_nodes
        Increasing node values in K, dex (cgs) and dex, of lengths T, G, M.
    exists
        (T, G, M), the nodes that hold a model.
    coefficients
        (T, G, M, C), float32; anything where `exists` is False.
    basis, mean
        (C, W) and (W,), float32: log10(F_lambda / pi B_lambda) = coefficients @ basis + mean.
    """

    name: str
    wave: NDArray[np.float64]
    teff_nodes: NDArray[np.float64]
    logg_nodes: NDArray[np.float64]
    mh_nodes: NDArray[np.float64]
    exists: NDArray[np.bool_]
    coefficients: NDArray[np.float32]
    basis: NDArray[np.float32]
    mean: NDArray[np.float32]

    def node_flux(self, i: int, j: int, k: int) -> NDArray[np.float32]:
        """Surface flux of one node, (W,) in erg/s/cm2/Angstrom.

        Raises
        ------
        MauryError
            Where the library has no model.
        """
        if not self.exists[i, j, k]:
            raise MauryError(
                f"library {self.name} has no model at Teff {self.teff_nodes[i]:g} K, log g "
                f"{self.logg_nodes[j]:g}, [M/H] {self.mh_nodes[k]:g}: see its `exists`"
            )
        return self._flux(self.coefficients[i, j, k][None], self.teff_nodes[i : i + 1])[0]

    def fluxes(
        self, teff: ArrayLike, logg: ArrayLike, mh: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Interpolate spectra: local cubic in log Teff, log g and [M/H], in log flux.

        Parameters
        ----------
        teff, logg, mh
            Broadcastable to (N,); K, dex (cgs), dex.

        Returns
        -------
        flam
            (N, W) surface flux F_lambda in erg/s/cm2/Angstrom; rows outside are NaN.
        inside
            (N,), whether the models that bound the point exist. Nothing is extrapolated.
        """
        t, g, m = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(x, float)) for x in (teff, logg, mh))
        )
        flam = np.full((len(t), len(self.wave)), np.nan, dtype=np.float32)
        inside = np.zeros(len(t), dtype=bool)
        table = self.coefficients.reshape(-1, self.coefficients.shape[-1])
        axes = (np.log(self.teff_nodes), self.logg_nodes, self.mh_nodes)
        for start in range(0, len(t), _CHUNK):
            part = slice(start, start + _CHUNK)
            log_t = np.log(np.where(t[part] > 0, t[part], np.nan))
            # Rounding in the logarithm must not push a star on the grid's edge outside it.
            nearest = np.argmin(np.abs(axes[0][:, None] - np.nan_to_num(log_t)), axis=0)
            log_t = np.where(np.abs(log_t - axes[0][nearest]) < 1e-12, axes[0][nearest], log_t)
            index, weight, within = stencil(axes, self.exists, (log_t, g[part], m[part]))
            inside[part] = within
            rows = start + np.flatnonzero(within)
            near = table[index[within]]
            mixed = (weight[within].astype(np.float32)[:, None, :] @ near)[:, 0]
            flam[rows] = self._flux(mixed, t[rows])
        return flam, inside

    def select(
        self, *, teff: Sequence[int], logg: Sequence[int], mh: Sequence[int]
    ) -> "GridLibrary":
        """Keep only the nodes with these indices: a coarser grid, to measure interpolation."""
        index = np.ix_(list(teff), list(logg), list(mh))
        return GridLibrary(
            name=f"{self.name} (part)",
            wave=self.wave,
            teff_nodes=self.teff_nodes[list(teff)],
            logg_nodes=self.logg_nodes[list(logg)],
            mh_nodes=self.mh_nodes[list(mh)],
            exists=self.exists[index],
            coefficients=self.coefficients[index],
            basis=self.basis,
            mean=self.mean,
        )

    def _flux(
        self, coefficients: NDArray[np.float32], teff: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Surface flux (N, W) of coefficients (N, C) at temperatures (N,)."""
        # 32 bits suffice: the largest exponents, about 70, lose 4e-6 of the flux.
        ratio = np.exp((coefficients @ self.basis + self.mean) * np.float32(np.log(10.0)))
        centimetres = self.wave * 1e-8
        x = np.outer(1.0 / teff, _C2 / centimetres).astype(np.float32)
        scale = (_C1 * 1e-8 / centimetres**5).astype(np.float32)
        with np.errstate(over="ignore"):  # far in the Wien tail the flux underflows to 0
            return ratio * scale / np.expm1(x)
