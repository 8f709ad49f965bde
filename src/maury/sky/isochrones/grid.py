"""Isochrones on a grid of metallicity, age and phase, and stars interpolated in it.

A point of the grid is named by [M/H], log10 age and EEP, the equivalent evolutionary phase
(Dotter 2016, ApJS 222, 8): a number that stands for the same moment of life in stars of any mass,
so that interpolation at fixed EEP never mixes a dwarf with a giant. Everything is linear in it:
log mass, log Teff, log g and log L between the two nodes on each side along all three axes.
A star exists only where all nodes around it do and agree about the phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.isochrones.phases import Phase
from maury.sun import radius_from_light

__all__ = ["IsochroneStars", "Isochrones"]

CHUNK = 1 << 15
"""Stars at a time: their intermediate arrays stay in the processor's cache."""

EDGE = 2e-6
"""How far outside an axis (dex, or EEP / 1e3) still counts as rounding."""

LN10 = math.log(10.0)


@dataclass(frozen=True)
class IsochroneStars:
    """N stars of known mass, age and metallicity; tensors (N,), NaN where ``inside`` is False.

    ``mass`` is the initial one (solar), ``teff`` K, ``logg`` dex (cgs, of the present mass),
    ``log_lum`` log10 of the nominal solar luminosity, ``radius`` nominal solar, ``eep`` the
    phase coordinate of the set, ``phase`` int8 codes of `Phase` (ABSENT where not inside).
    """

    mass: Tensor
    teff: Tensor
    logg: Tensor
    log_lum: Tensor
    radius: Tensor
    eep: Tensor
    phase: Tensor
    inside: Tensor

    def __len__(self) -> int:
        return len(self.mass)


@dataclass(frozen=True)
class Isochrones:
    """A set of isochrones; NaN (phase ABSENT) where a point does not exist.

    Parameters
    ----------
    name : str
    mh, log_age, eep : Tensor (M,), (A,), (E,)
        Axes, growing: overall metallicity (dex), log10 of the age in years, and the equivalent
        evolutionary phase, or what stands for it in a set without (its reader says what).
    mass : Tensor (M, A, E)
        Initial mass, solar; must not fall along an isochrone.
    log_teff, logg, log_lum : Tensor (M, A, E)
        log10 K, dex (cgs), log10 of the solar luminosity.
    phase : Tensor (M, A, E)
        int8 codes of `Phase`.
    lowest_mass : float
        Stars below have no models, though nodes may lie there (see `assembly.extend_below`).

    Raises
    ------
    MauryError
        Where shapes disagree, an axis does not grow, or mass falls along an isochrone.
    """

    name: str
    mh: Tensor
    log_age: Tensor
    eep: Tensor
    mass: Tensor
    log_teff: Tensor
    logg: Tensor
    log_lum: Tensor
    phase: Tensor
    lowest_mass: float = 0.0

    def __post_init__(self) -> None:
        shape = (len(self.mh), len(self.log_age), len(self.eep))
        for name in ("mass", "log_teff", "logg", "log_lum", "phase"):
            if (found := tuple(getattr(self, name).shape)) != shape:
                raise MauryError(f"isochrones {self.name}: {name} has shape {found}, not {shape}")
        for name in ("mh", "log_age", "eep"):
            if (getattr(self, name).diff() <= 0).any():
                raise MauryError(f"isochrones {self.name}: the axis {name} does not grow")
        reached = self.mass.nan_to_num(-math.inf).cummax(-1).values
        if (self.mass < reached).any():
            curve = (self.mass < reached).any(-1).nonzero()[0].tolist()
            raise MauryError(
                f"isochrones {self.name}: mass falls along the one of "
                f"[M/H] {float(self.mh[curve[0]]):g}, log age {float(self.log_age[curve[1]]):g}"
            )

    def at(
        self, mh: Tensor | float, log_age: Tensor | float, eep: Tensor | float
    ) -> IsochroneStars:
        """Stars at given metallicity, age and phase.

        Parameters
        ----------
        mh, log_age, eep : Tensor (N,) or float
            Overall metallicity of the isochrone (`overall_metallicity` gives it from [Fe/H]),
            log10 years, and phase; broadcast together.

        Returns
        -------
        IsochroneStars
            In the wider of float32 and the arguments' type.
        """
        return _in_chunks(self._at, mh, log_age, eep)

    def evolve(
        self, mass: Tensor | float, log_age: Tensor | float, mh: Tensor | float
    ) -> IsochroneStars:
        """Stars of given initial mass, age and metallicity: the inverse of `at` in mass.

        The isochrone is interpolated in metallicity and age, then followed to the mass. Where
        mass stands still along it, the latest phase of that mass is given.

        Parameters
        ----------
        mass : Tensor (N,) or float
            Initial, solar.
        log_age, mh : Tensor (N,) or float
            As in `at`; broadcast together.

        Returns
        -------
        IsochroneStars
            Not inside: dead stars, masses without models, ages and metallicities off the axes, and
            the jump of the helium flash.
        """
        return _in_chunks(self._evolve, mass, log_age, mh)

    def to(self, device: torch.device | str) -> Isochrones:
        """The same set on another device."""
        moved: dict[str, Any] = {
            field.name: value.to(device)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved)

    @cached_property
    def _log_mass(self) -> Tensor:
        return self.mass.double().log10().float()

    @cached_property
    def _table(self) -> Tensor:
        """Nodes (M * A * E, 4): log mass, log Teff, log g, log L, side by side in memory."""
        columns = (self._log_mass, self.log_teff, self.logg, self.log_lum)
        return torch.stack(columns, -1).reshape(-1, 4).float()

    @cached_property
    def _search(self) -> Tensor:
        """Log mass (M * A * E,) to be searched: a gap has the mass of the node that ends it."""
        backwards = self._log_mass.nan_to_num(math.inf).flip(-1)
        return backwards.cummin(-1).values.flip(-1).flatten().contiguous()

    @cached_property
    def _ends(self) -> tuple[Tensor, Tensor]:
        """First and last node (M * A,) of each isochrone; first > last where there is none."""
        known = torch.isfinite(self.mass).flatten(0, 1).to(torch.int8)
        count = known.shape[-1]
        some = known.any(-1)
        first = torch.where(some, known.argmax(-1), count)
        last = torch.where(some, count - 1 - known.flip(-1).argmax(-1), -1)
        return first, last

    def _at(self, mh: Tensor, log_age: Tensor, eep: Tensor) -> IsochroneStars:
        starts, weights, inside = self._around(mh, log_age)
        low, step, known = _locate(self.eep, eep, tolerance=EDGE * 1e3)
        return self._stars(starts, weights, low, step, inside & known)

    def _evolve(self, mass: Tensor, log_age: Tensor, mh: Tensor) -> IsochroneStars:
        starts, weights, inside = self._around(mh, log_age)
        positive = mass > 0
        wanted = torch.where(positive, mass, 1.0).log10()
        count = len(self.eep)

        def log_mass(node: Tensor) -> Tensor:
            return (weights * _gather(self._search, starts + node)).sum(0)

        first, last = self._ends
        curves = starts // count
        low, high = _gather(first, curves).amax(0), _gather(last, curves).amin(0)
        inside = inside & positive & (low <= high)
        low, high = torch.where(inside, low, 0), torch.where(inside, high, 0)
        inside &= (wanted >= log_mass(low) - EDGE) & (wanted <= log_mass(high) + EDGE)
        for _ in range(count.bit_length()):
            middle = (low + high + 1) >> 1
            reached = log_mass(middle) <= wanted
            low, high = torch.where(reached, middle, low), torch.where(reached, high, middle - 1)
        low = low.clamp(max=max(count - 2, 0))
        below = log_mass(low)
        rise = log_mass((low + 1).clamp(max=count - 1)) - below
        # Where the isochrone ends, the rise is not a number.
        step = torch.where(rise > 0, (wanted - below) / rise, 0.0).nan_to_num(0.0).clamp(0, 1)
        return self._stars(starts, weights, low, step, inside)

    def _around(self, mh: Tensor, log_age: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """First nodes of the four isochrones around (4, N), their weights, whether any are."""
        m, dm, m_known = _locate(self.mh, mh)
        a, da, a_known = _locate(self.log_age, log_age)
        # On a node, the next one has no say, not even about what exists.
        m_next, a_next = m + (dm > 0), a + (da > 0)
        ages = len(self.log_age)
        curves = (m * ages + a, m * ages + a_next, m_next * ages + a, m_next * ages + a_next)
        weights = ((1 - dm) * (1 - da), (1 - dm) * da, dm * (1 - da), dm * da)
        return torch.stack(curves) * len(self.eep), torch.stack(weights), m_known & a_known

    def _stars(
        self, starts: Tensor, weights: Tensor, low: Tensor, step: Tensor, inside: Tensor
    ) -> IsochroneStars:
        """Stars between nodes ``low`` and ``low + 1`` of four isochrones."""
        here = starts + low
        there = here + (step > 0)
        phases = self.phase.flatten()
        phase, following = _gather(phases, here), _gather(phases, there)
        for kind in (phase, following):
            # Young stars and dwarfs are one kind: sets without EEPs have both at one place.
            kind = kind.clamp(min=int(Phase.MAIN_SEQUENCE))
            inside = inside & (kind == kind[0]).all(0)
        weights = weights[..., None]
        below = (weights * _gather(self._table, here)).sum(0)
        above = (weights * _gather(self._table, there)).sum(0)
        log_mass, log_teff, logg, log_lum = torch.lerp(below, above, step[:, None]).unbind(-1)
        inside = inside & torch.isfinite(log_mass)
        inside &= log_mass >= math.log10(max(self.lowest_mass, 1e-9)) - EDGE
        nodes = self.eep.to(step.dtype)
        eep = torch.lerp(nodes[low], nodes[low + (step > 0)], step)

        def known(value: Tensor) -> Tensor:
            return torch.where(inside, value, math.nan)

        return IsochroneStars(
            mass=known(torch.exp(LN10 * log_mass)),
            teff=known(torch.exp(LN10 * log_teff)),
            logg=known(logg),
            log_lum=known(log_lum),
            radius=known(radius_from_light(log_lum, log_teff)),
            eep=known(eep),
            phase=torch.where(inside, phase[0], int(Phase.ABSENT)).to(torch.int8),
            inside=inside,
        )


def _gather(values: Tensor, index: Tensor) -> Tensor:
    """``values[index]`` along the first axis, in the way that is fastest."""
    return values.index_select(0, index.flatten()).view(*index.shape, *values.shape[1:])


def _locate(nodes: Tensor, value: Tensor, tolerance: float = EDGE) -> tuple[Tensor, Tensor, Tensor]:
    """Node below (N,), fraction of the way to the next in [0, 1), and whether on the axis.

    The last node is reached as (last, 0); off the axis the first node is given.
    """
    nodes = nodes.to(value.dtype)
    known = (value >= nodes[0] - tolerance) & (value <= nodes[-1] + tolerance)
    value = torch.where(known, value, nodes[0]).clamp(nodes[0], nodes[-1])
    low = torch.bucketize(value, nodes, right=True) - 1
    following = (low + 1).clamp(max=len(nodes) - 1)
    gap = nodes[following] - nodes[low]
    fraction = (value - nodes[low]) / torch.where(gap > 0, gap, torch.ones_like(gap))
    return low, fraction, known


def _in_chunks(
    function: Callable[..., IsochroneStars], *arguments: Tensor | float
) -> IsochroneStars:
    """Apply ``function`` to broadcast, flattened arguments, a cacheful of stars at a time."""
    given = [a for a in arguments if isinstance(a, Tensor)]
    device = given[0].device if given else torch.device("cpu")
    kind = torch.float32
    for tensor in given:
        kind = torch.promote_types(kind, tensor.dtype)
    vectors = [torch.atleast_1d(torch.as_tensor(a, device=device).to(kind)) for a in arguments]
    vectors = [v.contiguous() for v in torch.broadcast_tensors(*vectors)]
    if vectors[0].ndim != 1:
        raise MauryError(f"stars should come as vectors (N,), not shape {tuple(vectors[0].shape)}")
    pieces = [function(*part) for part in zip(*(v.split(CHUNK) for v in vectors), strict=True)]
    if len(pieces) == 1:
        return pieces[0]
    return IsochroneStars(
        **{f.name: torch.cat([getattr(p, f.name) for p in pieces]) for f in fields(IsochroneStars)}
    )
