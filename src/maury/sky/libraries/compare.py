"""How two libraries differ in every band over the HR diagram.

Magnitudes are exact (`maury.sky.synthesis`), of stars of one nominal solar radius without dust, so
that a difference is one of surface flux; what a colour would see is the same less its mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from maury.errors import MauryError
from maury.sky.bands import Band
from maury.sky.libraries.base import SpectralLibrary
from maury.sky.synthesis import exact_magnitudes

__all__ = ["MH_RANGES", "TEFF_RANGES", "LibraryComparison", "compare_libraries"]

TEFF_RANGES = (2300.0, 3500.0, 4000.0, 5000.0, 6500.0, 8500.0, 12000.0, 30000.0, 50000.0)
"""Edges (K) of the ranges in which medians are taken, the last one included."""

MH_RANGES = (-5.0, -1.25, -0.25, 1.0)
"""Edges (dex) of the ranges of metallicity, the last one included."""

_SPREAD = 1.4826  # from median absolute deviation to the standard deviation of a Gaussian


@dataclass(frozen=True)
class LibraryComparison:
    """Differences of two libraries, first minus second.

    Attributes
    ----------
    names
        Of the two libraries.
    bands
        SVO ids of the B bands that both cover.
    left_out
        SVO ids of bands that one of them does not reach.
    teff, logg, mh
        (N,) nodes of one library inside the other; K, dex, dex.
    difference
        (N, B) mag.
    """

    names: tuple[str, str]
    bands: tuple[str, ...]
    left_out: tuple[str, ...]
    teff: NDArray[np.float64]
    logg: NDArray[np.float64]
    mh: NDArray[np.float64]
    difference: NDArray[np.float64]

    def medians(self, mh: tuple[float, float] | None = None) -> NDArray[np.float64]:
        """Median differences (B, ranges of `TEFF_RANGES`), mag; NaN where there is no star.

        Parameters
        ----------
        mh
            One of the ranges that `MH_RANGES` bound; all metallicities where None.
        """
        return self._reduce(np.median, mh)

    def spreads(self, mh: tuple[float, float] | None = None) -> NDArray[np.float64]:
        """Scatter about the medians, of the same shape: 1.4826 times the median deviation."""

        def spread(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
            apart = np.abs(values - np.median(values, axis=axis, keepdims=True))
            return np.asarray(_SPREAD * np.median(apart, axis=axis))

        return self._reduce(spread, mh)

    def counts(self, mh: tuple[float, float] | None = None) -> NDArray[np.int64]:
        """Number of stars (ranges of `TEFF_RANGES`,)."""
        return np.array([part.sum() for part in self._parts(mh)])

    def _parts(self, mh: tuple[float, float] | None) -> list[NDArray[np.bool_]]:
        low, high = mh or (-np.inf, np.inf)
        # A metallicity on an edge belongs to the range above, but for the last edge.
        rich = (self.mh >= low) & ((self.mh < high) | (high == MH_RANGES[-1]))
        parts = []
        for cool, hot in pairwise(TEFF_RANGES):
            warm = (self.teff >= cool) & ((self.teff < hot) | (hot == TEFF_RANGES[-1]))
            parts.append(rich & warm)
        return parts

    def _reduce(
        self,
        reduce: Callable[..., NDArray[np.float64]],
        mh: tuple[float, float] | None,
    ) -> NDArray[np.float64]:
        result = np.full((len(self.bands), len(TEFF_RANGES) - 1), np.nan)
        for column, part in enumerate(self._parts(mh)):
            if part.any():
                result[:, column] = reduce(self.difference[part], axis=0)
        return result


def compare_libraries(
    first: SpectralLibrary, second: SpectralLibrary, bands: Sequence[Band]
) -> LibraryComparison:
    """Compare magnitudes at the nodes of one library, of which the other makes an answer.

    The nodes are those of the library with fewer of them inside the other. There they are exact,
    and the other is interpolated: differences hold its error of interpolation (0.01 mag or less
    from g to Ks above 4000 K for the default library).

    Raises
    ------
    MauryError
        If the libraries have no point or no band in common.
    """
    usable = [band for band in bands if _covers(first, band) and _covers(second, band)]
    left_out = tuple(band.id for band in bands if band not in usable)
    names = (first.name, second.name)
    if not usable:
        raise MauryError(f"libraries {names[0]} and {names[1]} have no band in common")
    points = _points(first, second)
    stars = points[:, 0], points[:, 1], points[:, 2], 0.0, 3.1
    ours, inside = exact_magnitudes(first, usable, *stars)
    theirs, also = exact_magnitudes(second, usable, *stars)
    both = inside & also
    if not both.any():
        raise MauryError(f"libraries {names[0]} and {names[1]} have no star in common")
    teff, logg, mh = points[both].T
    return LibraryComparison(
        names, tuple(b.id for b in usable), left_out, teff, logg, mh, (ours - theirs)[both]
    )


def _covers(library: SpectralLibrary, band: Band) -> bool:
    try:
        band.weights(library.wave)
    except MauryError:
        return False
    return True


def _points(first: SpectralLibrary, second: SpectralLibrary) -> NDArray[np.float64]:
    """Nodes (N, 3) of the library with fewer of them within the bounds of the other."""
    listed = []
    for own, other in ((first, second), (second, first)):
        axes = (own.teff_nodes, own.logg_nodes, own.mh_nodes)
        nodes = np.argwhere(own.exists)
        points = np.stack([axis[nodes[:, n]] for n, axis in enumerate(axes)], axis=1)
        limits = (other.teff_nodes, other.logg_nodes, other.mh_nodes)
        within = np.ones(len(points), dtype=bool)
        for n, axis in enumerate(limits):
            within &= (points[:, n] >= axis[0]) & (points[:, n] <= axis[-1])
        listed.append(points[within])
    return min(listed, key=len)
