"""The densities beside a second implementation, written from the papers' formulae in numpy, kpc."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from maury.sky.populations.milky_way import BLAND_HAWTHORN_2016, ROBIN_2003
from maury.sky.populations.milky_way.densities import ParabolicDisc

Array = NDArray[np.float64]

# Robin et al. 2003, table 2: local density in Msun / pc3 and axis ratio, as printed.
THIN = {
    "thin disc 0-0.15 Gyr": (4.0e-3, 0.0140),
    "thin disc 0.15-1 Gyr": (7.9e-3, 0.0268),
    "thin disc 1-2 Gyr": (6.2e-3, 0.0375),
    "thin disc 2-3 Gyr": (4.0e-3, 0.0551),
    "thin disc 3-5 Gyr": (5.8e-3, 0.0696),
    "thin disc 5-7 Gyr": (4.9e-3, 0.0785),
    "thin disc 7-10 Gyr": (6.6e-3, 0.0791),
}


def thin_disc(name: str, radius: Array, z: Array) -> Array:
    """Table 3, the two laws of the thin disc, normalised at the Sun."""
    local, ratio = THIN[name]

    def law(r: Array, height: Array) -> Array:
        a2 = r**2 + (height / ratio) ** 2
        if name == "thin disc 0-0.15 Gyr":
            return np.exp(-a2 / 5.0**2) - np.exp(-a2 / 3.0**2)
        inner = np.exp(-np.sqrt(0.5**2 + a2 / 1.32**2))
        return np.exp(-np.sqrt(0.5**2 + a2 / 2.53**2)) - inner

    return local * law(radius, z) / law(np.array(8.5), np.array(0.015))


def thick_disc(radius: Array, z: Array) -> Array:
    """Table 3: hR = 2.5, hz = 0.8, xl = 0.4 kpc."""

    def law(height: Array) -> Array:
        near = 1 - (1 / 0.8) / (0.4 * (2 + 0.4 / 0.8)) * height**2
        far = np.exp(0.4 / 0.8) / (1 + 0.4 / (2 * 0.8)) * np.exp(-np.abs(height) / 0.8)
        return np.where(np.abs(height) <= 0.4, near, far)

    return 1.34e-3 * np.exp(-(radius - 8.5) / 2.5) * law(z) / law(np.array(0.015))


def halo(radius: Array, z: Array) -> Array:
    """Table 3: slope -2.44, axis ratio 0.76, core 0.5 kpc."""
    a = np.sqrt(radius**2 + (z / 0.76) ** 2)
    local = np.hypot(8.5, 0.015 / 0.76)
    return 9.32e-6 * (np.maximum(a, 0.5) / local) ** -2.44


def bulge(x: Array, y: Array, z: Array) -> Array:
    """Table 5: 13.70 stars / pc3, x0 = 1.59, y0 = z0 = 0.424, Rc = 2.54 kpc, alpha = 78.9 deg."""
    turn = np.radians(90 - 78.9)
    # Towards the Sun and along the rotation there: the near end of the bar is at y > 0.
    along = -x * np.cos(turn) + y * np.sin(turn)
    across = x * np.sin(turn) + y * np.cos(turn)
    rs = (((along / 1.59) ** 2 + (across / 0.424) ** 2) ** 2 + (z / 0.424) ** 4) ** 0.25
    beyond = np.maximum(np.hypot(x, y) - 2.54, 0)
    return 13.70 * np.exp(-0.5 * rs**2) * np.exp(-0.5 * (beyond / 0.5) ** 2)


def bland_hawthorn(name: str, radius: Array, z: Array) -> Array:
    """Relative to the thin disc at the Sun (8.2 and 0.025 kpc), as brutus 1.2 evaluates it."""

    def disc(r: Array, height: Array, length: float, scale: float) -> Array:
        return np.exp(-np.sqrt(r**2 + 4.0) / length) * np.exp(-np.abs(height) / scale)

    def round_halo(r: Array, height: Array) -> Array:
        flat = 0.8 - 0.6 * np.exp(1 - np.sqrt(r**2 + height**2 + 36.0) / 6.0)
        return (r**2 + (height / flat) ** 2 + 4.0) ** (-4.2 / 2)

    sun = np.array(8.2), np.array(0.025)
    if name == "halo":
        return 0.005 * round_halo(radius, z) / round_halo(*sun)
    scales, share = {"thin disc": ((2.6, 0.3), 1.0), "thick disc": ((2.0, 0.9), 0.04)}[name]
    return share * disc(radius, z, *scales) / disc(*sun, *scales)


@pytest.fixture(scope="module")
def places() -> Array:
    """Galactocentric, kpc (N, 3): all over the Galaxy, some of it near the plane."""
    generator = np.random.default_rng(0)
    place = 7 * generator.standard_normal((4000, 3))
    place[::2, 2] *= 0.05
    return place


def test_robin_2003(places: Array) -> None:
    x, y, z = places.T
    radius = np.hypot(x, y)
    expected = {name: thin_disc(name, radius, z) for name in THIN}
    expected |= {
        "thick disc": thick_disc(radius, z),
        "halo": halo(radius, z),
        "bulge": bulge(x, y, z),
    }
    assert tuple(expected) == tuple(part.name for part in ROBIN_2003.components)
    for name, theirs in expected.items():
        ours = ROBIN_2003.component(name)(torch.from_numpy(1000 * places), ROBIN_2003.sun).numpy()
        # Printed densities have two digits; the laws themselves agree to rounding.
        there = theirs > 1e-200
        assert (ours[~there] < 1e-190).all()
        ratio = ours[there] / theirs[there]
        np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-9, err_msg=name)
        assert np.median(ratio) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", ["thin disc", "thick disc", "halo"])
def test_bland_hawthorn_2016(places: Array, name: str) -> None:
    galaxy = BLAND_HAWTHORN_2016
    unit = galaxy.component("thin disc").density
    ours = galaxy.component(name)(torch.from_numpy(1000 * places), galaxy.sun).numpy() / unit
    theirs = bland_hawthorn(name, np.hypot(places[:, 0], places[:, 1]), places[:, 2])
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_thick_disc_is_smooth_at_its_join() -> None:
    disc = ParabolicDisc(length=2500.0, height=800.0, join=400.0)
    z = torch.tensor([399.0, 400.0, 401.0], dtype=torch.float64)
    place = torch.stack([torch.full_like(z, 8000.0), torch.zeros_like(z), z], -1)
    below, here, above = disc(place).tolist()
    assert above - here == pytest.approx(here - below, rel=5e-3)


def test_columns_of_the_discs() -> None:
    """Surface densities at the Sun in closed form: 2 height times the local density and such."""
    z = torch.linspace(0, 20_000, 200_001, dtype=torch.float64)
    place = torch.stack([torch.full_like(z, -8500.0), torch.zeros_like(z), z], -1)
    thick = ROBIN_2003.component("thick disc")
    shape = thick.shape(place)
    column = torch.trapezoid(shape / shape[0], z).item()
    # The parabola to its join, and 800 pc of exponential beyond.
    parabola = 400 - 400**3 / (3 * 400 * (2 * 800 + 400))
    assert column == pytest.approx(parabola + 800 / (1 + 400 / 1600), rel=1e-4)
    place[:, 0] = -8200.0
    shape = BLAND_HAWTHORN_2016.component("thin disc").shape(place)
    assert torch.trapezoid(shape / shape[0], z).item() == pytest.approx(300.0, rel=1e-4)


def test_unknown_component() -> None:
    with pytest.raises(KeyError, match="nucleus"):
        ROBIN_2003.component("nucleus")


def test_metallicity_gradient_ends() -> None:
    part = ROBIN_2003.component("thin disc 1-2 Gyr")
    place = torch.tensor([[17_000.0, 0, 0], [90_000.0, 0, 0]], dtype=torch.float64)
    near, far = part.mean_mh(place, ROBIN_2003.sun).tolist()
    assert near == far == pytest.approx(0.03 - 0.07 * 8.5)
