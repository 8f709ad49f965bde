"""How far models of stars are off: errors that all stars of a cluster share, by temperature.

Isochrones put stars of a given luminosity at wrong temperatures, and spectral libraries give them
wrong colours. Either error is about the same in neighbouring stars, so more stars do not average it
away. Each is a sum of a few ramps in log Teff, of unknown heights that are normal about 0. How
wide they are was read off sets of models that differ, not off clusters:

- temperature at given luminosity: PARSEC less MIST on the dwarfs' sequence, both as observed
  (`benchmarks/isochrone_sets.py`): 0.2 to 0.7% at 4700 to 6500 K, 1 to 4% above 7000 K, where one
  set rotates and the other does not, 3 to 8% below 4000 K. For giants 1.5% (Tayar et al. 2022,
  ApJ 927, 31; mixing lengths).
- magnitudes at given temperature: our library less MIST's bolometric corrections
  (`benchmarks/library_against_others.py`): up to 0.04 mag above 4000 K, 0.12 below.
- each star's own temperature: rotation spreads hot stars, spots and inflated radii cool ones.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "BAND_RAMPS",
    "TEMPERATURE_ERRORS",
    "band_shapes",
    "own_temperature",
    "temperature_shapes",
]

Array = NDArray[np.float64]

_BELOW_4700, _BELOW_3900, _BELOW_3400 = (4700.0, 3900.0), (3900.0, 3400.0), (3400.0, 2900.0)

BAND_RAMPS: dict[str, tuple[tuple[float, float], float]] = {
    "below 4700 K": (_BELOW_4700, 0.06),
    "below 3900 K": (_BELOW_3900, 0.06),
    "below 3400 K": (_BELOW_3400, 0.06),
    "above 6500 K": ((6500.0, 10_000.0), 0.02),
}
"""Where (K) an error of magnitudes sets in and where it is whole, and its width there (mag)."""

_TEMPERATURE_RAMPS: dict[str, tuple[tuple[float, float], float]] = {
    "below 4700 K": (_BELOW_4700, 0.025),
    "below 3900 K": (_BELOW_3900, 0.025),
    "below 3400 K": (_BELOW_3400, 0.025),
    "above 6500 K": ((6500.0, 8500.0), 0.025),
}

TEMPERATURE_ERRORS: dict[str, float] = {
    "all stars": 0.005,
    **{name: width for name, (_, width) in _TEMPERATURE_RAMPS.items()},
    "giants": 0.015,
}
"""Widths of the errors in ln Teff at given luminosity, in the order of `temperature_shapes`."""

_GIANT_LOGG, _GIANT_WIDTH = 3.7, 0.05
"""Stars of less gravity (dex) are giants, over this width of a logistic function."""

_OWN = 0.005, 0.02
"""Standard deviation of a star's own ln Teff at given luminosity: at the Sun's temperature; and
below 3900 K, as active red dwarfs of one luminosity scatter (Mann et al. 2015, ApJ 804, 64: 3% in
radius with the metals' share), and above 8500 K, where stars turn fast."""


def band_shapes(teff: Tensor) -> Tensor:
    """Shares (J, R) of `BAND_RAMPS` at temperatures (J,) in K."""
    return torch.stack([_ramp(teff, *ends) for ends, _ in BAND_RAMPS.values()], -1)


def temperature_shapes(teff: Tensor, logg: Tensor) -> Tensor:
    """Shares (J, R) of `TEMPERATURE_ERRORS` at temperatures (J,) in K and gravities in dex."""
    giant = torch.sigmoid((_GIANT_LOGG - logg) / _GIANT_WIDTH)
    ramps = [(1 - giant) * _ramp(teff, *ends) for ends, _ in _TEMPERATURE_RAMPS.values()]
    return torch.stack([torch.ones_like(teff), *ramps, giant], -1)


def own_temperature(teff: Tensor) -> Tensor:
    """Standard deviations (J,) of stars' own ln Teff at temperatures (J,) in K."""
    away = torch.maximum(_ramp(teff, 4700.0, 3900.0), _ramp(teff, 6500.0, 8500.0))
    return _OWN[0] + (_OWN[1] - _OWN[0]) * away


def _ramp(teff: Tensor, begin: float, end: float) -> Tensor:
    """0 up to where it begins, 1 from where it ends, linear in log Teff."""
    span = float(np.log(end / begin))
    return ((teff / begin).log() / span).clamp(0.0, 1.0)
