"""Extinction before a star at a given place: an analytic disc of dust, and maps of the real dust.

The disc is a double exponential: scale length 4.2 kpc and height 88 pc as Galaxia has them (Sharma
et al. 2011, ApJ 730, 3, section 3; the same numbers in Binney et al. 2014, MNRAS 437, 351, eq. 11;
its warp and flare are left out), with 0.7 mag/kpc in V in the plane at the Sun (the diffuse
extinction of Robin et al. 2003). Maps come through the package dustmaps, which the user installs
and whose data they fetch; any object with its ``query(coordinates)`` serves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.populations.milky_way.geometry import Boxes, Sun

__all__ = ["DustDisc", "DustMap", "MapOnSky", "MapWithDistance", "known_map"]

_LEAST = 25.0  # scale heights or lengths beyond which no dust is left (exp(-25) = 1e-11)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@runtime_checkable
class DustMap(Protocol):
    """Extinction by place."""

    def a_v(self, lon: Tensor, lat: Tensor, distance: Tensor) -> Tensor:
        """A_V in mag (N,) of stars at Galactic l, b (deg) and a distance (pc), all (N,)."""
        ...


@dataclass(frozen=True)
class DustDisc:
    """A double exponential of dust: ``exp(-(R - R0) / length - |z| / height)``.

    Parameters
    ----------
    local : float
        A_V per kpc in the plane at the Sun's radius, mag/kpc.
    length, height : float
        Scales, pc.
    sun : Sun
    """

    local: float = 0.7
    length: float = 4200.0
    height: float = 88.0
    sun: Sun = field(default_factory=lambda: Sun(radius=8500.0, height=15.0))

    def density(self, place: Tensor) -> Tensor:
        """mag/pc (...,) at galactocentric places (..., 3), pc."""
        return self._density(torch.hypot(place[..., 0], place[..., 1]), place[..., 2].abs())

    def least(self, boxes: Boxes) -> Tensor:
        """A density (N,), mag/pc, that no place in each box falls below."""
        return self._density(boxes.radii(self.sun)[1], boxes.heights(self.sun)[1])

    def a_v(self, lon: Tensor, lat: Tensor, distance: Tensor) -> Tensor:
        """A_V in mag (N,), integrated by Gauss-Legendre quadrature between the density's kinks.

        The density has a kink where the sight line crosses the plane, and one, if mild, where it
        passes the Galactic centre; pieces end there and where no dust is left.
        """
        lon, lat, distance = (value.double() for value in (lon, lat, distance))
        rise = torch.sin(torch.deg2rad(lat))
        flat = torch.cos(torch.deg2rad(lat))
        # Above the plane by z0 + s * rise; at 25 heights beyond, nothing is left.
        tiny = 1e-12
        crossing = -self.sun.height / torch.where(rise.abs() < tiny, tiny, rise)
        crossing = torch.where(crossing > 0, crossing, 0.0)
        above = _LEAST * self.height / rise.abs().clamp(min=tiny)
        ends = crossing + above
        closest = self.sun.radius * torch.cos(torch.deg2rad(lon)) / flat.clamp(min=tiny)
        stop = torch.minimum(distance, ends)
        stop = stop.clamp(max=self.sun.radius + _LEAST * self.length)
        cuts = torch.stack([torch.zeros_like(stop), crossing, closest.clamp(min=0), stop])
        cuts = torch.minimum(cuts, stop).sort(0).values
        total = torch.zeros_like(distance)
        for begin, end in pairwise(cuts):
            total += self._piece(lon, lat, begin, end)
        return total

    def _piece(self, lon: Tensor, lat: Tensor, begin: Tensor, end: Tensor) -> Tensor:
        """A_V between two distances, most of which may be the same."""
        total = torch.zeros_like(begin)
        some = torch.nonzero(end > begin).squeeze(1)
        half = (end - begin)[some] / 2
        nodes, weights = (torch.from_numpy(array).to(half) for array in (_NODES, _WEIGHTS))
        along = (begin[some] + half)[:, None] + half[:, None] * nodes
        rise, flat = (f(torch.deg2rad(lat[some]))[:, None] for f in (torch.sin, torch.cos))
        toward = self.sun.radius * torch.cos(torch.deg2rad(lon[some]))[:, None]
        in_plane = along * flat
        squared = in_plane**2 - 2 * in_plane * toward + self.sun.radius**2
        height = (along * rise + self.sun.height).abs()
        dust = self._density(squared.clamp(min=0).sqrt(), height)
        total[some] = half * (dust @ weights)
        return total

    def _density(self, radius: Tensor, height: Tensor) -> Tensor:
        exponent = (self.sun.radius - radius) / self.length - height / self.height
        return self.local / 1000.0 * torch.exp(exponent)


@dataclass(frozen=True)
class MapWithDistance:
    """A map of integrated extinction with distance, continued by a disc where it ends.

    Nearer than the map begins, extinction grows in proportion to distance; farther than it ends,
    and in directions that it does not cover (NaN), the disc adds what it has there.

    Parameters
    ----------
    source : object
        With ``query(coordinates)`` of an astropy SkyCoord with distances, such as dustmaps' maps.
    a_v_per_unit : float
        A_V of one unit of the map.
    near, far : float
        Distances between which the map is asked, pc.
    beyond : DustDisc
    options : dict
        Keywords of ``query``, such as ``mode="mean"``.
    """

    source: Any
    a_v_per_unit: float
    near: float
    far: float
    beyond: DustDisc = field(default_factory=DustDisc)
    options: dict[str, Any] = field(default_factory=dict)

    def a_v(self, lon: Tensor, lat: Tensor, distance: Tensor) -> Tensor:
        """A_V in mag (N,)."""
        lon, lat, distance = (value.double() for value in (lon, lat, distance))
        within = distance.clamp(self.near, self.far)
        mapped = self.a_v_per_unit * _ask(self.source, lon, lat, within, self.options)
        mapped = mapped * (distance / self.near).clamp(max=1.0)
        disc = self.beyond.a_v(lon, lat, distance)
        behind = torch.where(distance > self.far, disc - self.beyond.a_v(lon, lat, within), 0.0)
        return torch.where(torch.isfinite(mapped), mapped + behind, disc)


@dataclass(frozen=True)
class MapOnSky:
    """A map of all the dust in each direction, laid along the sight line as a disc has it.

    Parameters
    ----------
    source : object
        With ``query(coordinates)`` of an astropy SkyCoord.
    a_v_per_unit : float
        A_V of one unit of the map.
    profile : DustDisc
        Says what share of the dust lies before each distance; where the map has none, it serves.
    options : dict
        Keywords of ``query``.
    """

    source: Any
    a_v_per_unit: float
    profile: DustDisc = field(default_factory=DustDisc)
    options: dict[str, Any] = field(default_factory=dict)

    def a_v(self, lon: Tensor, lat: Tensor, distance: Tensor) -> Tensor:
        """A_V in mag (N,)."""
        total = self.a_v_per_unit * _ask(self.source, lon, lat, None, self.options)
        disc = self.profile.a_v(lon, lat, distance)
        share = disc / self.profile.a_v(lon, lat, torch.full_like(distance.double(), 1e6))
        return torch.where(torch.isfinite(total), total * share, disc)


def known_map(name: str) -> DustMap:
    """A map of the package dustmaps by name, its data fetched before by ``dustmaps``.

    ``bayestar`` (Green et al. 2019, ApJ 887, 93: 2.742 mag of A_V per unit, which is 0.884 mag of
    E(B-V)), ``edenhofer`` (Edenhofer et al. 2024, A&A 685, A82: 2.8 mag per unit, between 69 and
    1250 pc) or ``planck`` (Planck Collaboration 2014, A&A 571, A11: E(B-V), times 3.1).

    Raises
    ------
    MauryError
        Where the name is unknown, dustmaps is not installed, or its data are not there.
    """
    if name not in ("bayestar", "edenhofer", "planck"):
        raise MauryError(f"no dust map {name!r}: there are bayestar, edenhofer and planck")
    try:
        if name == "bayestar":
            from dustmaps.bayestar import BayestarQuery

            source = BayestarQuery(version="bayestar2019")
            return MapWithDistance(source, 2.742, 63.0, 60e3, options={"mode": "mean"})
        if name == "edenhofer":
            from dustmaps.edenhofer2023 import Edenhofer2023Query

            return MapWithDistance(Edenhofer2023Query(integrated=True), 2.8, 70.0, 1240.0)
        from dustmaps.planck import PlanckQuery

        return MapOnSky(PlanckQuery(), 3.1)
    except ImportError as error:
        raise MauryError(
            f"the dust map {name!r} needs the package dustmaps: pip install 'maury[dustmaps]'"
        ) from error
    except OSError as error:
        raise MauryError(
            f"the data of the dust map {name!r} are not there ({error}): fetch them first with "
            f"dustmaps, see https://dustmaps.readthedocs.io"
        ) from error


def _ask(
    source: Any, lon: Tensor, lat: Tensor, distance: Tensor | None, options: dict[str, Any]
) -> Tensor:
    """A map's own unit (N,) in directions (deg) and, if given, at distances (pc)."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    def degrees(angle: Tensor) -> Any:
        return angle.double().cpu().numpy() * units.deg

    depth = {} if distance is None else {"distance": distance.cpu().numpy() * units.pc}
    coordinates = SkyCoord(l=degrees(lon), b=degrees(lat), frame="galactic", **depth)
    answer = np.asarray(source.query(coordinates, **options), dtype=np.float64)
    return torch.from_numpy(answer).to(lon.device)
