"""Boxes that cover a footprint, each place once, and the dust that no star in them escapes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.sky.populations.milky_way import DustDisc, Footprint, MapOnSky
from maury.sky.populations.milky_way.geometry import Boxes
from maury.sky.populations.milky_way.tiles import least_extinction, tile

FOOTPRINTS = st.builds(
    Footprint, l=st.floats(0, 360), b=st.floats(-90, 90), radius=st.floats(0.05, 180)
)


def inside(footprint: Footprint, farthest: float, count: int = 200) -> tuple[torch.Tensor, ...]:
    """Places of the whole sky that a footprint holds: l, b (deg) and distance (pc)."""
    u, v, w = torch.rand(
        3, 40 * count, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    (left, right), (low, high) = footprint.bounds()
    lon, lat = left + (right - left) * u, low + (high - low) * v
    kept = torch.nonzero(footprint.contains(lon, lat)).squeeze(1)[:count]
    return lon[kept], lat[kept], (farthest * w ** (1 / 3))[kept]


def holds(boxes: Boxes, lon: torch.Tensor, lat: torch.Tensor, far: torch.Tensor) -> torch.Tensor:
    """Which boxes hold which places, bool (N, M)."""
    return (
        (lon[:, None] >= boxes.l_low)
        & (lon[:, None] < boxes.l_high)
        & (lat[:, None] >= boxes.b_low)
        & (lat[:, None] < boxes.b_high)
        & (far[:, None] >= boxes.near)
        & (far[:, None] < boxes.far)
    )


@settings(deadline=None, max_examples=25)
@given(footprint=FOOTPRINTS, farthest=st.floats(1, 1e5))
def test_each_place_is_in_one_box(footprint: Footprint, farthest: float) -> None:
    boxes, depth = tile(footprint, farthest)
    assert len(boxes) % depth == 0
    places = inside(footprint, farthest)
    assert (holds(boxes, *places).sum(1) == 1).all()


def test_boxes_fill_the_whole_sky() -> None:
    boxes, _ = tile(Footprint(), 1000.0)
    assert boxes.volume.sum().item() == pytest.approx(4 / 3 * math.pi * 1e9, rel=1e-9)


@settings(deadline=None, max_examples=10)
@given(footprint=FOOTPRINTS)
def test_least_extinction(footprint: Footprint) -> None:
    dust = DustDisc()
    boxes, depth = tile(footprint, 2e4)
    least = least_extinction(dust, boxes, depth)
    lon, lat, distance = inside(footprint, 2e4, 100)
    index = holds(boxes, lon, lat, distance).double().argmax(1)
    assert (dust.a_v(lon, lat, distance) >= least[index] - 1e-9).all()
    # Boxes of a sight line come in order, and dust only adds up.
    rows = least.reshape(-1, depth)
    assert (rows[:, 0] == 0).all()
    assert (rows.diff(dim=1) >= 0).all()


def test_maps_promise_no_dust() -> None:
    boxes, depth = tile(Footprint(0.0, 0.0, 1.0), 1000.0)
    assert (least_extinction(MapOnSky(None, 1.0), boxes, depth) == 0).all()
