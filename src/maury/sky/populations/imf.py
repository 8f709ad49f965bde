"""Initial mass functions: numbers of stars per unit of initial mass, exact to sample and evaluate.

Kroupa 2001, MNRAS 322, 231, eq. 2: ``dN/dm ~ m^-0.3`` below 0.08 Msun, ``m^-1.3`` up to 0.5,
``m^-2.3`` above. Chabrier 2003, PASP 115, 763, table 1 (the Galactic disc): log-normal in
log10 m up to 1 Msun, around 0.079 Msun with sigma 0.69 for stars one by one and around 0.22 with
0.57 (eq. 18) for unresolved systems, and ``dN/dlog m ~ m^-1.3`` above; joined at 1 Msun, where his
two tabulated amplitudes agree within 1%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.populations.densities import float32_bounds, uniform

__all__ = [
    "BrokenPowerLaw",
    "Chabrier",
    "InitialMassFunction",
    "Kroupa",
    "MassFunction",
    "initial_mass_function",
]

_LN10 = math.log(10.0)


class _Segment(Protocol):
    """A piece of a mass function between two masses; numbers on one scale with the others."""

    @property
    def lower(self) -> float: ...
    @property
    def upper(self) -> float: ...
    def log_density(self, mass: Tensor) -> Tensor: ...
    def number(self, lower: float, upper: float) -> float: ...
    def mass(self, lower: float, upper: float) -> float: ...
    def inverse(self, fraction: Tensor, lower: float, upper: float) -> Tensor: ...


@dataclass(frozen=True)
class _PowerLaw:
    """``dN/dm = height * mass**-slope``; slopes of exactly 1 and 2 do not occur here."""

    lower: float
    upper: float
    height: float
    slope: float

    def log_density(self, mass: Tensor) -> Tensor:
        return math.log(self.height) - self.slope * torch.log(mass)

    def number(self, lower: float, upper: float) -> float:
        return self._moment(lower, upper, 1.0 - self.slope)

    def mass(self, lower: float, upper: float) -> float:
        return self._moment(lower, upper, 2.0 - self.slope)

    def inverse(self, fraction: Tensor, lower: float, upper: float) -> Tensor:
        power = 1.0 - self.slope
        low, high = lower**power, upper**power
        return (low + (high - low) * fraction) ** (1.0 / power)

    def _moment(self, lower: float, upper: float, power: float) -> float:
        return self.height * (upper**power - lower**power) / power


@dataclass(frozen=True)
class _LogNormal:
    """``dN/dlog10 m = height * exp(-(log10 m - log10 centre)**2 / (2 sigma**2))``."""

    lower: float
    upper: float
    height: float
    centre: float
    sigma: float

    def log_density(self, mass: Tensor) -> Tensor:
        z = (torch.log10(mass) - math.log10(self.centre)) / self.sigma
        return math.log(self.height / _LN10) - 0.5 * z**2 - torch.log(mass)

    def number(self, lower: float, upper: float) -> float:
        area = self.height * self.sigma * math.sqrt(2 * math.pi)
        return area * (_normal(self._z(upper)) - _normal(self._z(lower)))

    def mass(self, lower: float, upper: float) -> float:
        # m = 10**x of a normal x: its mean shifts the normal by the width in natural logarithms.
        width = self.sigma * _LN10
        area = self.height * self.sigma * math.sqrt(2 * math.pi)
        share = _normal(self._z(upper) - width) - _normal(self._z(lower) - width)
        return area * share * self.centre * math.exp(width**2 / 2)

    def inverse(self, fraction: Tensor, lower: float, upper: float) -> Tensor:
        low, high = _normal(self._z(lower)), _normal(self._z(upper))
        z = torch.special.ndtri(low + (high - low) * fraction)
        return self.centre * 10 ** (self.sigma * z)

    def _z(self, mass: float) -> float:
        return math.log10(mass / self.centre) / self.sigma


class MassFunction(Protocol):
    """What populations ask of an initial mass function."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor: ...
    def log_prob(self, mass: Tensor) -> Tensor: ...


class InitialMassFunction:
    """A mass function of adjoining pieces, truncated to a range of masses.

    Attributes
    ----------
    lower, upper : float
        Range of the initial mass, Msun, rounded to float32.
    mean_mass : float
        Mean initial mass in that range, Msun.

    Raises
    ------
    MauryError
        If the range is empty or not positive.
    """

    def __init__(self, segments: list[_Segment], lower: float, upper: float) -> None:
        if not 0 < lower < upper < math.inf:
            raise MauryError(
                f"initial masses from {lower} to {upper}: the range must be positive and ascending"
            )
        self.lower, self.upper = float32_bounds(lower, upper)
        pieces = [
            (segment, max(segment.lower, self.lower), min(segment.upper, self.upper))
            for segment in segments
        ]
        self._pieces = [(piece, low, high) for piece, low, high in pieces if low < high]
        numbers = [piece.number(low, high) for piece, low, high in self._pieces]
        self._number = sum(numbers)
        self._shares = [number / self._number for number in numbers]
        self.mean_mass = (
            sum(piece.mass(low, high) for piece, low, high in self._pieces) / self._number
        )

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw ``count`` initial masses, Msun, float64 (n,)."""
        position = uniform(count, generator)
        mass = torch.full_like(position, self.upper)
        before = 0.0
        for (piece, low, high), share in zip(self._pieces, self._shares, strict=True):
            fraction = (position - before) / share
            here = (fraction >= 0) & (fraction < 1)
            mass = torch.where(here, piece.inverse(fraction.clamp(0, 1), low, high), mass)
            before += share
        return mass.clamp_(self.lower, self.upper)

    def log_prob(self, mass: Tensor) -> Tensor:
        """Log density of stars per Msun at ``mass`` (any shape), float64; -inf outside."""
        value = mass.double()
        inside = (value >= self.lower) & (value <= self.upper)
        value = value.masked_fill(~inside, self.lower)
        density = torch.zeros_like(value)
        for piece, low, _ in self._pieces:
            density = torch.where(value >= low, piece.log_density(value), density)
        return (density - math.log(self._number)).masked_fill(~inside, -math.inf)

    def number_fraction(self, lower: float, upper: float) -> float:
        """Share of the stars between two masses, Msun."""
        return self._share("number", lower, upper)

    def mass_fraction(self, lower: float, upper: float) -> float:
        """Share of the stars' total mass between two masses, Msun."""
        return self._share("mass", lower, upper) / self.mean_mass

    def _share(self, what: Literal["number", "mass"], lower: float, upper: float) -> float:
        total = 0.0
        for piece, low, high in self._pieces:
            start, stop = max(low, lower), min(high, upper)
            if start < stop:
                total += getattr(piece, what)(start, stop)
        return total / self._number


class BrokenPowerLaw(InitialMassFunction):
    """``dN/dm ~ m**-slope`` with a slope for each range of masses, continuous between them.

    Parameters
    ----------
    slopes : sequence of float
        None of them 1 or 2 exactly.
    breaks : sequence of float
        Masses at which the slope changes, Msun, ascending: one fewer than slopes.
    lower, upper : float
        Range of masses, Msun.
    """

    def __init__(
        self,
        slopes: Sequence[float],
        breaks: Sequence[float],
        lower: float = 0.08,
        upper: float = 150.0,
    ) -> None:
        edges = [0.0, *breaks, math.inf]
        height = 1.0
        segments: list[_Segment] = []
        for slope, low, high, following in zip(
            slopes, edges[:-1], edges[1:], [*slopes[1:], 0.0], strict=True
        ):
            segments.append(_PowerLaw(low, high, height, slope))
            if math.isfinite(high):
                height *= high ** (following - slope)
        super().__init__(segments, lower, upper)


class Kroupa(InitialMassFunction):
    """Kroupa 2001, eq. 2, between ``lower`` and ``upper`` Msun."""

    def __init__(self, lower: float = 0.08, upper: float = 150.0) -> None:
        segments: list[_Segment] = [
            _PowerLaw(0.0, 0.08, 0.08**-1.0, 0.3),
            _PowerLaw(0.08, 0.5, 1.0, 1.3),
            _PowerLaw(0.5, math.inf, 0.5, 2.3),
        ]
        super().__init__(segments, lower, upper)


class Chabrier(InitialMassFunction):
    """Chabrier 2003, table 1, between ``lower`` and ``upper`` Msun.

    Parameters
    ----------
    systems : bool
        The function of unresolved systems (eq. 18) in place of that of single stars (eq. 17).
    """

    def __init__(self, lower: float = 0.08, upper: float = 150.0, *, systems: bool = False) -> None:
        centre, sigma = (0.22, 0.57) if systems else (0.079, 0.69)
        at_one = math.exp(-0.5 * (math.log10(centre) / sigma) ** 2)
        segments: list[_Segment] = [
            _LogNormal(0.0, 1.0, 1.0, centre, sigma),
            _PowerLaw(1.0, math.inf, at_one / _LN10, 2.3),
        ]
        super().__init__(segments, lower, upper)


_NAMES = ("kroupa", "chabrier", "chabrier-systems")


def initial_mass_function(
    name: str, lower: float = 0.08, upper: float = 150.0
) -> InitialMassFunction:
    """A mass function by name: ``kroupa``, ``chabrier`` or ``chabrier-systems``.

    Raises
    ------
    MauryError
        If there is none of this name, or if the range is empty.
    """
    if name not in _NAMES:
        raise MauryError(f"no initial mass function {name!r}: there are {', '.join(_NAMES)}")
    if name == "kroupa":
        return Kroupa(lower, upper)
    return Chabrier(lower, upper, systems=name == "chabrier-systems")


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
