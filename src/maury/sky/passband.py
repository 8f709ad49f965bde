"""A passband, and the exact integral of a spectrum over it.

A magnitude is made from the band-averaged flux density per unit frequency,

    <F_nu> = int F_lambda T lambda dlambda / (c int T / lambda dlambda)     photon counting
    <F_nu> = int F_lambda T dlambda / (c int T / lambda^2 dlambda)          energy counting

(Koornneef et al. 1986; Bessell & Murphy 2012, PASP 124, 140), as
``m_AB = -2.5 log10 <F_nu> - 48.60`` (Oke & Gunn 1983, ApJ 266, 713; F_nu in erg/s/cm2/Hz), and
the catalogue's magnitude is ``m = m_AB - zero_point``: nothing for a pure AB system, the AB
magnitude of the zero-magnitude source for a Vega system.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from maury.errors import MauryError

__all__ = ["AB_CONSTANT", "SPEED_OF_LIGHT", "Band", "FloatArray"]

FloatArray = NDArray[np.float64]

SPEED_OF_LIGHT = 2.99792458e18
"""Speed of light in Angstrom per second (exact, SI)."""

AB_CONSTANT = -48.60
"""AB magnitude of 1 erg/s/cm2/Hz (Oke & Gunn 1983)."""

# Three Gauss-Legendre nodes integrate a quintic exactly: between two neighbouring nodes of curve
# and spectrum the integrand F T lambda is a cubic.
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(3)

_BEYOND_GRID = 0.01
"""Largest share of a band's area that may fall off a spectrum before it is an error."""


@dataclass(frozen=True, eq=False)
class Band:
    """One passband.

    Parameters
    ----------
    id : str
        Identifier of the SVO Filter Profile Service, such as ``"2MASS/2MASS.J"``.
    system : {"AB", "Vega"}
        What the survey calls its magnitudes; the number that counts is `zero_point`.
    detector : {"photon", "energy"}
        What the curve weights: photons, or energy (curves already multiplied by wavelength).
    zero_point : float
        In mag: ``m = m_AB - zero_point``.
    zero_point_source : str
        Where that number is published.
    floor : float
        Systematic error of model and calibration together, mag.
    wave, throughput : array of shape (P,)
        The curve, linear between points and zero outside: Angstrom in vacuum, ascending, and
        response in any unit, not negative.
    description : str
        One line for a listing.

    Raises
    ------
    MauryError
        Where one of these is not as said.
    """

    id: str
    system: Literal["AB", "Vega"]
    detector: Literal["photon", "energy"]
    zero_point: float
    zero_point_source: str
    floor: float
    wave: FloatArray
    throughput: FloatArray
    description: str = ""

    def __post_init__(self) -> None:
        where = f"Band {self.id!r}"
        if self.system not in ("AB", "Vega"):
            raise MauryError(f"{where}: system {self.system!r}: must be 'AB' or 'Vega'.")
        if self.detector not in ("photon", "energy"):
            raise MauryError(f"{where}: detector {self.detector!r}: must be 'photon' or 'energy'.")
        if not np.isfinite(self.zero_point):
            raise MauryError(f"{where}: zero point {self.zero_point}: must be a finite magnitude.")
        if not 0 <= self.floor < np.inf:
            raise MauryError(f"{where}: floor {self.floor}: must be a magnitude of 0 or more.")
        wave = np.array(self.wave, dtype=np.float64)
        throughput = np.array(self.throughput, dtype=np.float64)
        _check_curve(where, wave, throughput)
        for name, array in (("wave", wave), ("throughput", throughput)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def _power(self) -> int:
        return 1 if self.detector == "photon" else 0

    @cached_property
    def pivot(self) -> float:
        """Pivot wavelength, Angstrom: <F_nu> = <F_lambda> pivot^2 / c for any spectrum."""
        points, steps = _quadrature(self.wave)
        response = np.interp(points, self.wave, self.throughput) * steps
        top = np.sum(response * points**self._power)
        return float(np.sqrt(top / np.sum(response * points ** (self._power - 2))))

    def weights(self, wave: FloatArray) -> FloatArray:
        """Weights that turn a spectrum on `wave` into the band's <F_nu>.

        The spectrum is taken as linear between its points, and the product with the curve is
        integrated exactly on the points of both.

        Parameters
        ----------
        wave : array of shape (W,)
            Wavelengths in Angstrom in vacuum, ascending.

        Returns
        -------
        array of shape (W,)
            ``weights @ flam`` is <F_nu> in erg/s/cm2/Hz for flam in erg/s/cm2/Angstrom.

        Raises
        ------
        MauryError
            If `wave` is not ascending, or if more than 1% of the band lies outside it.
        """
        grid = np.asarray(wave, dtype=np.float64)
        if grid.ndim != 1 or len(grid) < 2 or not np.all(np.diff(grid) > 0):
            raise MauryError(
                "The wavelengths of a spectrum must be one ascending row of 2 or more."
            )
        points, steps = _quadrature(np.union1d(grid, self.wave))
        response = np.interp(points, self.wave, self.throughput, left=0, right=0) * steps
        inside = (points >= grid[0]) & (points <= grid[-1])
        outside = 1 - np.sum(response[inside]) / np.sum(response)
        if outside > _BEYOND_GRID:
            raise MauryError(
                f"Band {self.id!r} spans {self.wave[0]:.0f} to {self.wave[-1]:.0f} Angstrom, and "
                f"{outside:.0%} of it lies outside the spectrum, which spans {grid[0]:.0f} to "
                f"{grid[-1]:.0f}: leave this band out or extend the spectrum."
            )
        points, response = points[inside], response[inside]
        numerator = response * points**self._power
        norm = SPEED_OF_LIGHT * np.sum(response * points ** (self._power - 2))
        right = np.clip(np.searchsorted(grid, points), 1, len(grid) - 1)
        share = (points - grid[right - 1]) / (grid[right] - grid[right - 1])
        folded = np.bincount(right, numerator * share, len(grid))
        folded += np.bincount(right - 1, numerator * (1 - share), len(grid))
        return cast(FloatArray, folded / norm)

    def magnitude(self, wave: FloatArray, flam: FloatArray) -> FloatArray:
        """Magnitude in the band's own system.

        Parameters
        ----------
        wave : array of shape (W,)
            Angstrom in vacuum, ascending.
        flam : array of shape (..., W)
            erg/s/cm2/Angstrom at the observer.

        Returns
        -------
        array of shape (...)
            mag; NaN where the flux in the band is not positive.
        """
        flux = np.asarray(flam, dtype=np.float64) @ self.weights(wave)
        with np.errstate(invalid="ignore", divide="ignore"):
            mags = -2.5 * np.log10(np.where(flux > 0, flux, np.nan))
        return cast(FloatArray, mags + AB_CONSTANT - self.zero_point)


def _quadrature(nodes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre points and step weights, both (Q,), on the cells of `nodes` (M,).

    Cells are split where they are broader than 1%, so that 1 / lambda is integrated well too.
    """
    count = int(np.log(nodes[-1] / nodes[0]) / 0.01) + 2
    nodes = np.union1d(nodes, np.geomspace(nodes[0], nodes[-1], count)[1:-1])
    half = np.diff(nodes)[:, None] / 2
    middle = (nodes[1:] + nodes[:-1])[:, None] / 2
    return (middle + half * _NODES).ravel(), (half * _NODE_WEIGHTS).ravel()


def _check_curve(where: str, wave: FloatArray, throughput: FloatArray) -> None:
    """Say what is wrong with a curve, if anything is."""
    if wave.ndim != 1 or wave.shape != throughput.shape:
        raise MauryError(f"{where}: wavelength and throughput must be two rows of equal length.")
    if len(wave) < 3:
        raise MauryError(f"{where}: {len(wave)} points: a curve needs at least 3.")
    for name, array in (("wavelength", wave), ("throughput", throughput)):
        bad = np.flatnonzero(~np.isfinite(array))
        if len(bad):
            raise MauryError(f"{where}: the {name} of point {bad[0] + 1} is {array[bad[0]]}.")
    if wave[0] <= 0:
        raise MauryError(f"{where}: wavelength {wave[0]:g}: must be positive (Angstrom).")
    unsorted = np.flatnonzero(np.diff(wave) <= 0)
    if len(unsorted):
        at = unsorted[0]
        raise MauryError(
            f"{where}: wavelengths must ascend, but {wave[at]:g} is followed by {wave[at + 1]:g} "
            f"(point {at + 2}): sort the curve and drop repeated points."
        )
    negative = np.flatnonzero(throughput < 0)
    if len(negative):
        at = negative[0]
        raise MauryError(
            f"{where}: throughput {throughput[at]:g} at {wave[at]:g} Angstrom is negative: "
            "set it to 0 or drop the point."
        )
    if not np.any(throughput > 0):
        raise MauryError(f"{where}: the throughput is zero everywhere.")
