"""How interstellar dust dims starlight: A(lambda) / A_V as a function of R_V.

Two laws. ``G23`` (Gordon et al. 2023, ApJ 950, 86) is the default: the only R_V-dependent law that
was measured all the way from the far ultraviolet to the mid-infrared. ``F99`` (Fitzpatrick 1999,
PASP 111, 63) is the law of most earlier work. Flux is dimmed by ``10 ** (-0.4 * A)``.

Both laws are scaled by A_V. G23 passes through 1.0 at 0.55 micron within 0.2%; F99, which was tuned
to broadband colours of reddened B stars, passes through 0.97 to 0.99 there, depending on R_V: its
A_V is that of the broad Johnson V band.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from dust_extinction.parameter_averages import G23
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from maury.errors import MauryError

__all__ = ["DUST_LAWS", "DustLaw", "dust_law", "extinction"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DustLaw:
    """An extinction law and where it holds.

    Parameters
    ----------
    name, reference : str
    wave_range : tuple of float
        Wavelengths at which the law may be used, Angstrom, in vacuum.
    r_v_range : tuple of float
        Ratios of total to selective extinction at which the law may be used.
    curve : callable
        ``curve(wave (W,), r_v (R,)) -> (R, W)``, A(lambda) / A_V without any check of range.
    """

    name: str
    reference: str
    wave_range: tuple[float, float]
    r_v_range: tuple[float, float]
    curve: Callable[[Array, Array], Array]

    def __call__(self, wave: ArrayLike, r_v: ArrayLike) -> Array:
        """A(lambda) / A_V.

        Parameters
        ----------
        wave : array_like, shape (W,)
            Vacuum wavelengths in Angstrom.
        r_v : array_like, any shape
            A_V / E(B-V).

        Returns
        -------
        ndarray, shape (*r_v.shape, W)

        Raises
        ------
        MauryError
            Where a wavelength or an R_V lies outside the range of the law.
        """
        wave = np.asarray(wave, dtype=float)
        r_v = np.asarray(r_v, dtype=float)
        _check_range(self.name, "wavelength", " Angstrom", wave, self.wave_range)
        _check_range(self.name, "R_V", "", r_v, self.r_v_range)
        return self.curve(wave, r_v.reshape(-1)).reshape(*r_v.shape, wave.size)


def dust_law(name: str) -> DustLaw:
    """Look an extinction law up by its name.

    Raises
    ------
    MauryError
        Where no law has that name.
    """
    try:
        return DUST_LAWS[name]
    except KeyError:
        known = ", ".join(DUST_LAWS)
        raise MauryError(f"there is no dust law {name!r}: choose one of {known}") from None


def extinction(law: str, wave: ArrayLike, r_v: ArrayLike) -> Array:
    """A(lambda) / A_V of a law given by name; see `DustLaw.__call__`."""
    return dust_law(law)(wave, r_v)


def _check_range(
    law: str, quantity: str, unit: str, values: Array, limits: tuple[float, float]
) -> None:
    # Grids are written in rounded decimals: a hair beyond the limit is the limit.
    hair = 1e-6 * limits[1]
    bad = ~((values >= limits[0] - hair) & (values <= limits[1] + hair))
    if bad.any():
        value = values[bad].flat[0]
        raise MauryError(
            f"the dust law {law} holds for a {quantity} from {limits[0]:g} to {limits[1]:g}{unit},"
            f" not at {value:g}: stay inside, or choose another law ({', '.join(DUST_LAWS)})"
        )


def _g23(wave: Array, r_v: Array) -> Array:
    """Gordon et al. 2023, eq. 5: A / A_V = a(x) + b(x) (1 / R_V - 1 / 3.1), linear in 1 / R_V.

    Two evaluations of the law therefore give it at every R_V.
    """
    micron = np.clip(wave, *_G23_WAVE) * 1e-4 * u.micron
    a = np.asarray(G23(Rv=3.1)(micron))
    b = (np.asarray(G23(Rv=5.0)(micron)) - a) / (1 / 5.0 - 1 / 3.1)
    return a + b * (1 / r_v[:, None] - 1 / 3.1)


def _f99(wave: Array, r_v: Array) -> Array:
    """Fitzpatrick 1999: ultraviolet formula below 2700 Angstrom, cubic spline above it.

    The spline is natural, as in the paper's own code, and its anchor at x = 0 carries it through
    the mid-infrared. It is linear in its anchors, so that one basis serves every R_V.
    """
    x = 1e4 / wave
    ultraviolet = x >= _F99_KNOTS[-2]
    curve = np.empty((r_v.size, wave.size))
    curve[:, ultraviolet] = _f99_ultraviolet(x[ultraviolet], r_v)
    basis = CubicSpline(_F99_KNOTS, np.eye(_F99_KNOTS.size), bc_type="natural")
    curve[:, ~ultraviolet] = _f99_anchors(r_v) @ basis(x[~ultraviolet]).T
    return curve / r_v[:, None]


def _f99_ultraviolet(x: Array, r_v: Array) -> Array:
    """A(x) / E(B-V): the form of Fitzpatrick & Massa 1990 with F99's coefficients (appendix)."""
    x0, gamma, c3, c4 = 4.596, 0.99, 3.23, 0.41
    c2 = -0.824 + 4.717 / r_v[:, None]
    c1 = 2.030 - 3.007 * c2
    bump = x**2 / ((x**2 - x0**2) ** 2 + (x * gamma) ** 2)
    far = np.clip(x - 5.9, 0, None)
    rise = 0.5392 * far**2 + 0.05644 * far**3
    return r_v[:, None] + c1 + c2 * x + c3 * bump + c4 * rise


def _f99_anchors(r_v: Array) -> Array:
    """A / E(B-V) at the spline's anchors: F99 tables 3 and 4.

    The constant of the 4110 Angstrom anchor is printed as -1.208 in table 4; only +1.208
    reproduces table 3.
    """
    r = r_v
    optical_and_infrared = np.stack(
        [
            0.0 * r,
            0.265 * r / 3.1,
            0.829 * r / 3.1,
            -0.426 + 1.0044 * r,
            -0.050 + 1.0016 * r,
            0.701 + 1.0016 * r,
            1.208 + 1.0032 * r - 0.00033 * r**2,
        ],
        axis=1,
    )
    return np.hstack([optical_and_infrared, _f99_ultraviolet(_F99_KNOTS[-2:], r)])


_G23_WAVE = (912.0, 320000.0)
# Wave numbers (1 / micron) of the anchors, from x = 0 to 2600 Angstrom.
_F99_KNOTS = np.concatenate(
    [[0.0], 1e4 / np.array([26500.0, 12200.0, 6000.0, 5470.0, 4670.0, 4110.0, 2700.0, 2600.0])]
)

DUST_LAWS: dict[str, DustLaw] = {
    law.name: law
    for law in (
        DustLaw(
            name="G23",
            reference="Gordon et al. 2023, ApJ 950, 86",
            wave_range=_G23_WAVE,
            r_v_range=(2.3, 5.6),
            curve=_g23,
        ),
        # Published from 1000 Angstrom to 3.5 micron; beyond, the same formula and the same spline.
        DustLaw(
            name="F99",
            reference="Fitzpatrick 1999, PASP 111, 63",
            wave_range=(910.0, 350000.0),
            r_v_range=(2.0, 6.0),
            curve=_f99,
        ),
    )
}
