"""What every spectral library offers."""

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SpectralLibrary"]


class SpectralLibrary(Protocol):
    """Surface fluxes of stars over a grid of (Teff, log g, [M/H]) that may have holes."""

    @property
    def name(self) -> str:
        """What `load_library` calls it."""

    @property
    def wave(self) -> NDArray[np.float64]:
        """Vacuum wavelengths (W,) in Angstrom, increasing."""

    @property
    def teff_nodes(self) -> NDArray[np.float64]:
        """Effective temperatures (T,) of the grid, K."""

    @property
    def logg_nodes(self) -> NDArray[np.float64]:
        """Surface gravities (G,) of the grid, dex (cgs)."""

    @property
    def mh_nodes(self) -> NDArray[np.float64]:
        """Metallicities (M,) of the grid, dex."""

    @property
    def exists(self) -> NDArray[np.bool_]:
        """(T, G, M), the nodes that hold a model."""

    def node_flux(self, i: int, j: int, k: int) -> NDArray[np.float32]:
        """Surface flux (W,) of one node, erg/s/cm2/Angstrom."""

    def fluxes(
        self, teff: ArrayLike, logg: ArrayLike, mh: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Surface fluxes (N, W), NaN where outside, and whether inside (N,)."""
