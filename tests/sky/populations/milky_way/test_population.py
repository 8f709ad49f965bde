"""The Milky Way's stars: samples against densities, counts against quadrature, limits, seeds."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import kstest

from maury.errors import MauryError
from maury.sky.photometry import cached_table
from maury.sky.populations.brightness import apparent_magnitudes
from maury.sky.populations.imf import Kroupa
from maury.sky.populations.milky_way import (
    ROBIN_2003,
    DustDisc,
    Footprint,
    Limit,
    MilkyWay,
    View,
    star_counts,
)
from maury.sky.populations.systems import Systems

BAND = "GAIA/GAIA3.G"
PLACE = (100.0, -6.0)
TWO = replace(
    ROBIN_2003,
    components=(ROBIN_2003.component("thin disc 5-7 Gyr"), ROBIN_2003.component("thick disc")),
)


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@pytest.fixture(scope="module")
def model() -> MilkyWay:
    return MilkyWay(TWO)


@pytest.fixture(scope="module")
def seen(model: MilkyWay) -> View:
    table = cached_table("phoenix-kurucz", [BAND])
    return model.view(Footprint(*PLACE, 0.3), band=BAND, faintest=16.5, table=table)


@pytest.fixture(scope="module")
def systems(seen: View) -> Systems:
    return seen.sample(8000, seed(1))


@pytest.fixture(scope="module")
def volume() -> View:
    """All single stars of one disc in a wide cone, whatever their brightness."""
    single = MilkyWay(replace(TWO, components=TWO.components[1:]), binaries=False)
    return single.view(Footprint(60.0, 30.0, 15.0), farthest=5000.0)


def test_counts_match_quadrature(model: MilkyWay, seen: View, systems: Systems) -> None:
    assert seen.limit is not None
    counts = star_counts(model, *PLACE, limit=seen.limit, ages=3, metallicities=9)
    assert seen.count_error < 0.007
    found = seen.expected_count / seen.footprint.square_degrees
    assert found == pytest.approx(counts.total.item(), rel=0.02)
    share = torch.bincount(systems.component.long()) / len(systems)
    assert share[1].item() == pytest.approx(
        (counts.number[1] / counts.total).item(), abs=3 * math.sqrt(0.25 / len(systems))
    )


def test_seen_systems_are_bright_enough(seen: View, systems: Systems) -> None:
    assert seen.limit is not None
    magnitude = apparent_magnitudes(seen.limit.table, systems)[:, 0]
    assert (magnitude <= 16.5 + 2e-3).all()
    assert (magnitude > 15.5).float().mean() > 0.4


def test_places_lie_in_the_footprint(model: MilkyWay, seen: View, systems: Systems) -> None:
    assert systems.position is not None
    lon, lat, distance = model.galaxy.sun.sky(systems.position.double())
    assert (abs(lon - PLACE[0]) < 0.31).all()
    assert (abs(lat - PLACE[1]) < 0.31).all()
    assert torch.allclose(distance.float(), systems.distance, rtol=1e-4)
    a_v = model.dust.a_v(lon, lat, distance)
    assert torch.allclose(a_v.float(), systems.a_v, rtol=1e-3, atol=1e-4)


def test_seeds(seen: View) -> None:
    first, again, other = (seen.sample(200, seed(number)) for number in (5, 5, 6))
    assert torch.equal(first.mass, again.mass)
    assert not torch.equal(first.mass, other.mass)
    assert len(first) == 200
    assert first.components == ("thin disc 5-7 Gyr", "thick disc")
    assert first.velocity is not None
    assert first.alive.all()


def test_few_systems_come_twice(systems: Systems) -> None:
    assert len(torch.unique(systems.distance)) > 0.98 * len(systems)


def test_distances_follow_the_density(volume: View) -> None:
    """Kolmogorov and Smirnov against the density integrated over the cone by a fine grid."""
    found = volume.sample(5000, seed(2)).distance.double().numpy()
    distance = torch.linspace(0, 5000, 101, dtype=torch.float64)
    unit = torch.quasirandom.SobolEngine(2, seed=0).draw(1024, dtype=torch.float64)
    cosine = 1 - unit[:, 0] * (1 - math.cos(math.radians(15.0)))
    turn = 2 * math.pi * unit[:, 1]
    sine = torch.sqrt(1 - cosine**2)
    # Directions in the cone: turned from the pole to b = 30 deg, then to l = 60 deg.
    x, y, z = sine * torch.cos(turn), sine * torch.sin(turn), cosine
    tilt = math.radians(60.0)
    x, z = x * math.cos(tilt) + z * math.sin(tilt), z * math.cos(tilt) - x * math.sin(tilt)
    lon = torch.rad2deg(torch.atan2(y, x)) + 60.0
    lat = torch.rad2deg(torch.asin(z))
    model = volume.model
    place = model.galaxy.sun.galactocentric(lon[:, None], lat[:, None], distance)
    layers = model.density(place).sum(-1).mean(0) * distance**2
    grown = torch.cat([torch.zeros(1), torch.cumulative_trapezoid(layers, distance)])

    def cumulative(value: float) -> float:
        step = torch.as_tensor(value) / 50.0
        low = step.long().clamp(max=99)
        return (torch.lerp(grown[low], grown[low + 1], step - low) / grown[-1]).numpy()

    assert kstest(found, cumulative).pvalue > 1e-3


def test_ages_and_metallicities_follow_theirs(volume: View) -> None:
    found = volume.sample(4000, seed(3))
    assert kstest((found.mh.numpy() + 0.78) / 0.30, "norm").pvalue > 1e-3
    age = 10 ** (found.log_age.double().numpy() - 9)
    # Stars of a steady rate: evenly in age, but for those that died in that Gyr.
    assert kstest(age, "uniform", (10.0, 1.0)).pvalue > 1e-3


def test_masses_follow_the_mass_function(volume: View) -> None:
    found = volume.sample(4000, seed(4)).mass.double()
    imf = volume.model.content.imf(volume.model.galaxy.components[0])
    bins = [(0.1, 0.3), (0.3, 0.5), (0.5, 0.7)]
    shares = torch.tensor([imf.number_fraction(*edges) for edges in bins])
    counted = torch.tensor([((found >= a) & (found < b)).sum().item() for a, b in bins])
    assert (counted / counted.sum()).tolist() == pytest.approx(
        (shares / shares.sum()).tolist(), abs=0.03
    )


def test_intensity_integrates_to_the_density(model: MilkyWay) -> None:
    """Over age, [Fe/H] and mass, at one place."""
    axes = (
        torch.linspace(9.69, 10.05, 121, dtype=torch.float64),
        torch.linspace(-2.5, 1.0, 141, dtype=torch.float64),
        torch.logspace(math.log10(0.08), 2, 61, dtype=torch.float64),
    )
    log_age, mh, mass = (axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
    where = (torch.full_like(mass, value) for value in (30.0, 20.0, 800.0))
    density = torch.exp(model.log_intensity(*where, log_age, mh, mass)) * mass
    total = density.reshape(121, 141, 61)
    for axis in (axes[0], axes[1], torch.log(axes[2])):
        total = torch.trapezoid(total, axis, dim=0)
    place = model.galaxy.sun.galactocentric(
        *(torch.tensor(value, dtype=torch.float64) for value in (30.0, 20.0, 800.0))
    )
    expected = model.density(place).sum().item() * 800.0**2
    assert total.item() == pytest.approx(expected, rel=0.02)


def test_priors_are_exchanged_by_weights(volume: View) -> None:
    """Stars of one galaxy, weighted, have the metallicities and distances of another."""
    part = replace(volume.model.galaxy.components[0], mh=-0.6, mh_gradient=-0.05)
    shape = replace(part.shape, height=600.0)  # type: ignore[type-var]
    other = MilkyWay(replace(TWO, components=(replace(part, shape=shape),)), binaries=False).view(
        Footprint(60.0, 30.0, 15.0), farthest=5000.0
    )
    drawn, expected = volume.sample(20_000, seed(7)), other.sample(20_000, seed(8))
    assert drawn.position is not None
    lon, lat, _ = TWO.sun.sky(drawn.position.double())
    theta = (lon, lat, drawn.distance, drawn.log_age, drawn.mh, drawn.mass)
    weight = torch.exp(other.log_prob(*theta) - volume.log_prob(*theta))
    assert weight.mean().item() == pytest.approx(1.0, abs=0.05)
    for name in ("mh", "distance"):
        mean = (weight * getattr(drawn, name)).sum() / weight.sum()
        assert mean.item() == pytest.approx(getattr(expected, name).mean().item(), rel=0.03)


def test_outside_there_is_no_density(volume: View) -> None:
    numbers = (200.0, 0.0, 500.0, 10.02, -0.7, 0.6)
    theta = [torch.tensor([value], dtype=torch.float64) for value in numbers]
    assert volume.log_prob(*theta).item() == -math.inf
    assert math.isfinite(volume.model.log_intensity(*theta).item())
    theta[3] = torch.tensor([9.0], dtype=torch.float64)
    assert volume.model.log_intensity(*theta).item() == -math.inf


def test_what_cannot_be_seen_is_said(model: MilkyWay, seen: View) -> None:
    with pytest.raises(MauryError, match="needs both"):
        model.view(band=BAND)
    with pytest.raises(MauryError, match="must be positive"):
        model.view(farthest=0.0)
    assert seen.limit is not None
    with pytest.raises(MauryError, match=r"has no band '2MASS/2MASS\.J'"):
        Limit("2MASS/2MASS.J", 12.0, seen.limit.table)
    with pytest.raises(MauryError, match="seen there"):
        model.view(seen.footprint, band=BAND, faintest=-20.0, table=seen.limit.table)


def test_r_v_and_companions(model: MilkyWay, systems: Systems) -> None:
    assert systems.r_v.mean().item() == pytest.approx(3.15, abs=0.02)
    assert systems.r_v.std().item() == pytest.approx(0.25, abs=0.02)
    assert 0.3 < (systems.q > 0).float().mean() < 0.7
    fixed = MilkyWay(TWO, dust=DustDisc(local=0.0), binaries=False, r_v_sigma=0.0)
    assert (fixed.draw_r_v(10, seed()) == fixed.r_v_mean).all()
    none = fixed.log_prob_of_companion(torch.tensor([0.0, 0.5]), torch.ones(2))
    assert none.tolist() == [0.0, -math.inf]
    assert model.log_prob_of_companion(torch.tensor([0.5]), torch.ones(1)).item() < 0


def test_mass_at_the_sun() -> None:
    """What a view of the neighbourhood holds is the published density, in mass, and it is flat."""
    reach = 25.0
    # All that shines has an isochrone.
    model = MilkyWay(ROBIN_2003, imf=Kroupa(0.1, 100.0))
    near = model.view(farthest=reach)
    systems = near.sample(40_000, seed(9))
    volume = 4 / 3 * math.pi * reach**3
    mass = (systems.mass * (1 + systems.q)).mean().item() * near.expected_count / volume
    assert mass == pytest.approx(0.039477 + 1.34e-3, rel=0.03)
    # Within 25 pc the youngest disc alone thins out, by a tenth.
    assert ((systems.distance / reach) ** 3).mean().item() == pytest.approx(0.5, abs=0.02)
