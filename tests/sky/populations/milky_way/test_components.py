"""The published Galaxy: local densities, symmetry, bounds, and an independent implementation."""

import math

import numpy as np
import pytest
import torch

from maury.sky.populations.milky_way import BLAND_HAWTHORN_2016, ROBIN_2003, Component, Galaxy
from maury.sky.populations.milky_way.densities import BoxyBulge
from maury.sky.populations.milky_way.geometry import Boxes

GALAXIES = [ROBIN_2003, BLAND_HAWTHORN_2016]
PARTS = [(galaxy, part) for galaxy in GALAXIES for part in galaxy.components]
NAMES = [f"{galaxy.name}: {part.name}" for galaxy, part in PARTS]


def at_sun(galaxy: Galaxy) -> torch.Tensor:
    return torch.tensor([-galaxy.sun.radius, 0.0, galaxy.sun.height], dtype=torch.float64)


def test_local_densities_are_the_published_ones() -> None:
    """Robin et al. 2003, table 2: 0.0394 Msun / pc3 in the thin disc, 3.4% of it in the thick."""
    density = ROBIN_2003.density(at_sun(ROBIN_2003))
    thin = density[:7].sum().item()
    assert thin == pytest.approx(0.039477, rel=1e-6)
    assert density[7].item() == pytest.approx(1.34e-3)
    assert density[8].item() == pytest.approx(9.32e-6)
    assert density[9].item() < 1e-6


def test_volume_of_the_bulge() -> None:
    """Without its cutoff: pi x0 y0 z0 2**1.5 Gamma(3/2) B(1/4, 1/2) / 2, in polar coordinates."""
    bulge = BoxyBulge(x0=1590.0, y0=424.0, z0=424.0, cutoff=1e9, angle=11.1)
    axis = torch.linspace(-9000, 9000, 101, dtype=torch.float64)
    place = torch.stack(torch.meshgrid(axis, axis, axis[::2] / 4, indexing="ij"), -1)
    volume = bulge(place).sum().item() * 180**2 * 90
    beta = math.gamma(0.25) * math.gamma(0.5) / math.gamma(0.75)
    closed = math.pi * 1590 * 424**2 * 2**1.5 * math.gamma(1.5) * beta / 2
    assert volume == pytest.approx(closed, rel=1e-3)


@pytest.mark.parametrize(("galaxy", "part"), PARTS, ids=NAMES)
def test_symmetry(galaxy: Galaxy, part: Component) -> None:
    generator = torch.Generator().manual_seed(0)
    place = 6000 * torch.randn(500, 3, generator=generator, dtype=torch.float64)
    density = part(place, galaxy.sun)
    assert (density >= 0).all()
    flip = torch.tensor([1.0, 1.0, -1.0])
    assert torch.allclose(part(place * flip, galaxy.sun), density)
    assert torch.allclose(part(-place, galaxy.sun), density)
    if part.name != "bulge":
        turned = place[:, [1, 0, 2]]
        assert torch.allclose(part(turned, galaxy.sun), density)


@pytest.mark.parametrize(("galaxy", "part"), PARTS, ids=NAMES)
def test_ceilings_hold(galaxy: Galaxy, part: Component) -> None:
    """In boxes of all sizes and places, at 40 points of each."""
    u, v, w, x, y, z = torch.rand(
        6, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    lon, lat, near = 360 * u - 180, 180 * v - 90, 20000 * w**3
    box = Boxes(
        lon, lon + 90 * x**3, lat, (lat + 30 * y**3).clamp(max=90), near, near + 1 + 5e3 * z
    )
    index = torch.arange(1000).repeat_interleave(40)
    places = box[index].draw(torch.Generator().manual_seed(1))
    density = part(galaxy.sun.galactocentric(*places), galaxy.sun)
    assert (density <= part.ceiling(box, galaxy.sun)[index] * (1 + 1e-6)).all()


def test_bar_points_to_positive_longitudes() -> None:
    """Its near end is at l > 0: at 1 kpc before the centre, l = +3 deg is denser than -3 deg."""
    sun, bulge = ROBIN_2003.sun, ROBIN_2003.component("bulge")
    lon = torch.tensor([3.0, -3.0], dtype=torch.float64)
    flat, near = torch.zeros(2, dtype=torch.float64), torch.full((2,), 7500.0, dtype=torch.float64)
    left, right = bulge(sun.galactocentric(lon, flat, near), sun).tolist()
    assert left > 1.5 * right


def test_discs_thicken_with_age() -> None:
    """The height of each disc, its surface density over its density in the plane."""
    z = torch.linspace(0, 5000, 5001, dtype=torch.float64)
    place = torch.stack([torch.full_like(z, -8500.0), torch.zeros_like(z), z], -1)
    profile = ROBIN_2003.density(place)[:, :8]
    heights = (torch.trapezoid(profile, z, dim=0) / profile[0]).tolist()
    assert heights == sorted(heights)


def test_rotation_and_velocity_ellipsoid() -> None:
    part = ROBIN_2003.component("thick disc")
    for place, axes in (([-8500.0, 0.0, 0.0], (0, 1)), ([0.0, 8500.0, 0.0], (1, 0))):
        places = torch.tensor(place, dtype=torch.float64).repeat(50000, 1)
        velocity = part.velocity.draw(
            places, ROBIN_2003.sun, 226.0, torch.Generator().manual_seed(0)
        )
        inward, along = axes
        assert velocity[:, along].mean().item() == pytest.approx(173.0, abs=1.0)
        assert velocity[:, inward].mean().item() == pytest.approx(0.0, abs=1.0)
        spread = velocity.std(0).tolist()
        assert [spread[inward], spread[along], spread[2]] == pytest.approx([67, 51, 42], rel=0.02)


def test_dispersion_grows_inwards() -> None:
    part = ROBIN_2003.component("thin disc 5-7 Gyr")
    place = torch.tensor([[-3500.0, 0.0, 0.0]], dtype=torch.float64).repeat(50000, 1)
    velocity = part.velocity.draw(place, ROBIN_2003.sun, 226.0, torch.Generator().manual_seed(0))
    expected = 43.1 * math.exp(0.2 * 5 / 2)
    assert velocity[:, 0].std().item() == pytest.approx(expected, rel=0.02)


def test_rotation_ends_at_the_centre() -> None:
    """Flat outside 1 kpc, in proportion to the radius inside, always across it."""
    ellipsoid = ROBIN_2003.component("bulge").velocity
    place = torch.tensor(
        [[0.0, 0, 0], [-250.0, 0, 0], [0, 500.0, 90.0], [-3000.0, 0, 0]], dtype=torch.float64
    )
    mean = ellipsoid.mean(place, 226.0)
    assert torch.isfinite(mean).all()
    assert mean.norm(dim=1).tolist() == pytest.approx([0.0, 147 * 0.25, 147 * 0.5, 147.0])
    assert (mean * place)[:, :2].sum(1).abs().max() < 1e-6


def test_metallicity_falls_outwards() -> None:
    part = ROBIN_2003.component("thin disc 1-2 Gyr")
    place = torch.tensor([[-8500.0, 0, 0], [-10500.0, 0, 0]], dtype=torch.float64)
    assert part.mean_mh(place, ROBIN_2003.sun).tolist() == pytest.approx([0.03, -0.11])


def test_densities_match_brutus() -> None:
    """Ours of its three components, up to one factor, against brutus' own code, within 5%."""
    galactic = pytest.importorskip("brutus.priors.galactic")
    generator = torch.Generator().manual_seed(0)
    lon = 360 * torch.rand(300, generator=generator, dtype=torch.float64)
    lat = 180 * torch.rand(300, generator=generator, dtype=torch.float64) - 90
    distance = 10 ** (1.5 + 3 * torch.rand(300, generator=generator, dtype=torch.float64))
    galaxy = BLAND_HAWTHORN_2016
    ours = galaxy.density(galaxy.sun.galactocentric(lon, lat, distance)) * distance[:, None] ** 2
    _, parts = galactic.logp_galactic_structure(
        distance.numpy() / 1000, (lon.numpy(), lat.numpy()), return_components=True
    )
    theirs = np.exp(np.stack(parts["number_density"], -1))
    ratio = ours.numpy() / theirs
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=0.05)
