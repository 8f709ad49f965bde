"""Extinction by place: closed forms of the disc, and maps that are asked through one door."""

import builtins
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.sky.populations.milky_way import DustDisc, MapOnSky, MapWithDistance, known_map
from maury.sky.populations.milky_way.geometry import Boxes, Sun

DISC = DustDisc()
FLAT = DustDisc(sun=Sun(radius=8500.0, height=0.0))


def a_v(disc: DustDisc, lon: float, lat: float, distance: float) -> float:
    arguments = (torch.tensor([value], dtype=torch.float64) for value in (lon, lat, distance))
    return disc.a_v(*arguments).item()


@pytest.mark.parametrize("distance", [0.0, 1.0, 100.0, 3e3, 1e5])
def test_towards_the_poles(distance: float) -> None:
    """Exponential in height: 0.7 mag/kpc x 88 pc in all, less what lies below the Sun."""
    scale, z0 = 0.7 * 0.088, 15 / 88
    north = scale * (np.exp(-z0) - np.exp(-z0 - distance / 88))
    assert a_v(DISC, 0.0, 90.0, distance) == pytest.approx(north, abs=1e-9)
    below = distance / 88 - z0
    south = scale * ((1 - np.exp(-z0)) + (1 - np.exp(-below)) if below > 0 else 0)
    if below > 0:
        assert a_v(DISC, 0.0, -90.0, distance) == pytest.approx(south, abs=1e-9)


@pytest.mark.parametrize("distance", [10.0, 1e3, 2e4])
def test_along_the_plane(distance: float) -> None:
    out = 0.7 * 4.2 * (1 - np.exp(-distance / 4200))
    assert a_v(FLAT, 180.0, 0.0, distance) == pytest.approx(out, rel=1e-8)
    inwards = min(distance, 8500.0)
    through = 0.7 * 4.2 * (np.exp(inwards / 4200) - 1)
    behind = 0.7 * 4.2 * np.exp(8.5 / 4.2) * (1 - np.exp(-(distance - inwards) / 4200))
    assert a_v(FLAT, 0.0, 0.0, distance) == pytest.approx(through + behind, rel=1e-8)


@given(lon=st.floats(0, 360), lat=st.floats(-90, 90), distance=st.floats(1, 5e4))
def test_quadrature_against_a_fine_sum(lon: float, lat: float, distance: float) -> None:
    steps = torch.linspace(0, distance, 20001, dtype=torch.float64)
    place = DISC.sun.galactocentric(
        torch.tensor(lon, dtype=torch.float64), torch.tensor(lat, dtype=torch.float64), steps
    )
    fine = torch.trapezoid(DISC.density(place), steps).item()
    assert a_v(DISC, lon, lat, distance) == pytest.approx(fine, rel=1e-3, abs=1e-6)


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 85),
    near=st.floats(0, 2e4),
    depth=st.floats(1, 3e3),
)
def test_least_density_of_a_box(lon: float, lat: float, near: float, depth: float) -> None:
    limits = (lon, lon + 5, lat, lat + 5, near, near + depth)
    box = Boxes(*(torch.tensor([limit], dtype=torch.float64) for limit in limits))
    places = box[torch.zeros(100, dtype=torch.int64)].draw(torch.Generator().manual_seed(0))
    density = DISC.density(DISC.sun.galactocentric(*places))
    assert (density >= DISC.least(box) * (1 - 1e-9)).all()


class Slab:
    """Stands for a map of dustmaps: 0.1 a kpc from 100 pc to 2 kpc, nothing known in the south."""

    def query(self, coords: SkyCoord, mode: str = "best") -> np.ndarray:
        assert mode == "mean"
        depth = coords.distance.to_value("pc")
        outside = (depth < 100) | (depth > 2000) | (coords.galactic.b.deg < 0)
        return np.where(outside, np.nan, depth / 1e4)


class Sky:
    """Stands for a map on the sky: 0.05 everywhere but at the north pole."""

    def query(self, coords: SkyCoord) -> np.ndarray:
        return np.where(coords.galactic.b.deg > 80, np.nan, 0.05)


def test_map_with_distance() -> None:
    source = MapWithDistance(Slab(), 3.0, 100.0, 2000.0, options={"mode": "mean"})
    distance = torch.tensor([50.0, 1000.0, 2000.0, 5000.0, 1000.0], dtype=torch.float64)
    lon = torch.full_like(distance, 120.0)
    lat = torch.tensor([10.0, 10.0, 10.0, 10.0, -10.0], dtype=torch.float64)
    found = source.a_v(lon, lat, distance)
    disc = DISC.a_v(lon, lat, distance)
    behind = disc[3] - disc[2]
    expected = torch.stack(
        [
            torch.tensor(0.015),
            torch.tensor(0.3),
            torch.tensor(0.6),
            0.6 + behind,
            disc[4],
        ]
    )
    assert torch.allclose(found, expected.double(), atol=1e-7)


def test_map_on_the_sky() -> None:
    source = MapOnSky(Sky(), 3.1)
    distance = torch.tensor([10.0, 300.0, 1e6, 300.0], dtype=torch.float64)
    lat = torch.tensor([40.0, 40.0, 40.0, 85.0], dtype=torch.float64)
    lon = torch.zeros_like(lat)
    found = source.a_v(lon, lat, distance)
    assert found[2].item() == pytest.approx(0.155)
    assert 0 < found[0] < found[1] < found[2]
    assert found[3] == DISC.a_v(lon, lat, distance)[3]


def test_maps_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MauryError, match="bayestar, edenhofer and planck"):
        known_map("sfd")
    plain = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("dustmaps"):
            raise ImportError(name)
        return plain(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MauryError, match=r"pip install 'maury\[dustmaps\]'"):
        known_map("planck")


class Half:
    """Stands for a query of dustmaps: 0.5 everywhere, whatever it is asked."""

    def __init__(self, **options: Any) -> None:
        pass

    def query(self, coords: SkyCoord, **options: Any) -> np.ndarray:
        return np.full(coords.shape, 0.5)


@pytest.mark.parametrize(
    ("name", "module", "query", "unit"),
    [
        ("bayestar", "bayestar", "BayestarQuery", 2.742),
        ("edenhofer", "edenhofer2023", "Edenhofer2023Query", 2.8),
        ("planck", "planck", "PlanckQuery", 3.1),
    ],
)
def test_known_maps_have_their_units(
    monkeypatch: pytest.MonkeyPatch, name: str, module: str, query: str, unit: float
) -> None:
    found = ModuleType(f"dustmaps.{module}")
    setattr(found, query, Half)
    monkeypatch.setitem(sys.modules, "dustmaps", ModuleType("dustmaps"))
    monkeypatch.setitem(sys.modules, f"dustmaps.{module}", found)
    lon, lat = torch.tensor([30.0]), torch.tensor([60.0])
    # Far above the dust, where both kinds of map have all of it; the disc ends as near.
    distance = torch.tensor([1000.0 if name == "edenhofer" else 50_000.0])
    a_v = known_map(name).a_v(lon, lat, distance).item()
    assert a_v == pytest.approx(0.5 * unit, rel=1e-3)


def test_missing_data_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def __init__(self, **options: Any) -> None:
            raise FileNotFoundError("planck/HFI_CompMap_ThermalDustModel_2048_R1.20.fits")

    found = ModuleType("dustmaps.planck")
    found.PlanckQuery = Gone  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dustmaps", ModuleType("dustmaps"))
    monkeypatch.setitem(sys.modules, "dustmaps.planck", found)
    with pytest.raises(MauryError, match="fetch them first"):
        known_map("planck")
