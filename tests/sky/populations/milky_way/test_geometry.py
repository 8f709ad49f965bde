"""Places in the Galaxy: there and back, cones, and the limits of boxes."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.sky.populations.milky_way.geometry import Boxes, Footprint, Sun, separation

SUN = Sun(radius=8500.0, height=15.0)


def directions(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    u_, v = torch.rand(2, count, generator=generator, dtype=torch.float64)
    return 360 * u_, torch.rad2deg(torch.asin(2 * v - 1))


def boxes(*limits: float) -> Boxes:
    return Boxes(*(torch.tensor([limit], dtype=torch.float64) for limit in limits))


def test_centre_pole_and_rotation() -> None:
    lon = torch.tensor([0.0, 90.0, 0.0], dtype=torch.float64)
    lat = torch.tensor([0.0, 0.0, 90.0], dtype=torch.float64)
    place = SUN.galactocentric(lon, lat, torch.tensor([8500.0, 100.0, 100.0]))
    expected = [[0.0, 0.0, 15.0], [-8500.0, 100.0, 15.0], [-8500.0, 0.0, 115.0]]
    assert torch.allclose(place, torch.tensor(expected, dtype=torch.float64), atol=1e-9)


def test_there_and_back() -> None:
    lon, lat = directions(1000)
    distance = torch.logspace(0, 5, 1000, dtype=torch.float64)
    back = SUN.sky(SUN.galactocentric(lon, lat, distance))
    for found, given_ in zip(back, (lon, lat, distance), strict=True):
        assert torch.allclose(found, given_, rtol=1e-7, atol=1e-6)


def test_separation_is_astropys() -> None:
    lon, lat = directions(200)
    centre = SkyCoord(l=200 * u.deg, b=-31 * u.deg, frame="galactic")
    others = SkyCoord(l=lon.numpy() * u.deg, b=lat.numpy() * u.deg, frame="galactic")
    np.testing.assert_allclose(
        separation(lon, lat, 200.0, -31.0).numpy(), others.separation(centre).deg, atol=1e-9
    )


@given(
    l_=st.floats(0, 360), b=st.floats(-90, 90), radius=st.floats(0.01, 180), seed=st.integers(0, 99)
)
def test_bounds_hold_the_cone(l_: float, b: float, radius: float, seed: int) -> None:
    footprint = Footprint(l_, b, radius)
    lon, lat = directions(500, seed)
    inside = footprint.contains(lon, lat)
    (left, right), (low, high) = footprint.bounds()
    wrapped = (lon - left) % 360 + left
    edge = 1e-6
    assert (wrapped[inside] <= right + edge).all()
    assert ((lat >= low - edge) & (lat <= high + edge))[inside].all()


def test_areas() -> None:
    assert Footprint().square_degrees == pytest.approx(41252.96, abs=0.01)
    assert Footprint(radius=0.1).square_degrees == pytest.approx(np.pi * 0.01, rel=1e-5)


@pytest.mark.parametrize(("b", "radius"), [(0.0, 0.0), (0.0, 181.0), (91.0, 1.0)])
def test_senseless_footprints_are_refused(b: float, radius: float) -> None:
    with pytest.raises(MauryError, match="footprint"):
        Footprint(0.0, b, radius)


@given(
    l_low=st.floats(-180, 180),
    width=st.floats(0, 180),
    b_low=st.floats(-90, 89),
    height=st.floats(0, 60),
    near=st.floats(0, 20000),
    depth=st.floats(1, 20000),
)
def test_limits_of_a_box_hold(
    l_low: float, width: float, b_low: float, height: float, near: float, depth: float
) -> None:
    box = boxes(l_low, l_low + width, b_low, min(b_low + height, 90.0), near, near + depth)
    index = torch.zeros(200, dtype=torch.int64)
    places = SUN.galactocentric(*box[index].draw(torch.Generator().manual_seed(0)))
    radius, up = torch.hypot(places[:, 0], places[:, 1]), places[:, 2].abs()
    for value, (low, high) in ((radius, box.radii(SUN)), (up, box.heights(SUN))):
        assert (value >= low - 1e-6).all()
        assert (value <= high + 1e-6).all()


def test_draws_fill_a_box() -> None:
    box = boxes(10.0, 30.0, -20.0, 60.0, 100.0, 500.0)
    index = torch.zeros(20000, dtype=torch.int64)
    _, lat, distance = box[index].draw(torch.Generator().manual_seed(0))
    assert ((distance / 500) ** 3).mean().item() == pytest.approx((1 + 0.2**3) / 2, abs=0.01)
    middle = (np.sin(np.radians(60)) + np.sin(np.radians(-20))) / 2
    assert torch.sin(torch.deg2rad(lat)).mean().item() == pytest.approx(middle, abs=0.01)
    whole = boxes(-180.0, 180.0, -90.0, 90.0, 0.0, 1.0)
    assert whole.volume.item() == pytest.approx(4 / 3 * np.pi)
