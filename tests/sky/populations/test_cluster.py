"""Star clusters: the prior over them, their stars, places, velocities and dust."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maury.errors import MauryError
from maury.sky.populations.cluster import Cluster
from maury.sky.populations.cluster_prior import CLUSTER, ClusterPrior
from maury.sky.populations.imf import Kroupa
from maury.sky.populations.plummer import GRAVITY, plummer, scale_radius

from .toy_isochrones import toy_isochrones


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def theta(**changes: float) -> torch.Tensor:
    values = {
        "log_age": 8.0,
        "mh": 0.0,
        "mass": 500.0,
        "distance": 400.0,
        "a_v": 0.5,
        "a_v_spread": 0.1,
    }
    return torch.tensor([(values | changes)[name] for name in CLUSTER], dtype=torch.float64)


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster(toy_isochrones())


# --- the prior --------------------------------------------------------------------------------


@pytest.mark.parametrize("age", ["log-flat", "exponential"])
def test_prior_is_normalised(age: str) -> None:
    """The mean of the density over draws of a wider, known one is 1."""
    prior = ClusterPrior(age=age)
    count = 200_000
    unit = torch.quasirandom.SobolEngine(6, scramble=True, seed=0).draw(count, dtype=torch.float64)
    low = torch.tensor([6.0, -1.0, 20.0, math.log(40.0), 0.0, 0.0], dtype=torch.float64)
    high = torch.tensor([10.1, 0.5, 1000.0, math.log(1e4), 1.0, 1.0], dtype=torch.float64)
    points = low + (high - low) * unit
    # Dust in proportion to its mean at that distance, its spread to the dust itself.
    scale = 8.0 * (0.05 + 0.0007 * torch.exp(points[:, 3]))
    distance = torch.exp(points[:, 3])
    a_v = points[:, 4] * scale
    clusters = torch.stack([*points.unbind(-1)[:3], distance, a_v, points[:, 5] * a_v], -1)
    volume = torch.prod(high - low) * distance * scale * a_v
    mean = (torch.exp(prior.log_prob(clusters)) * volume).mean().item()
    assert mean == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("age", ["log-flat", "exponential"])
def test_prior_draws_lie_inside_it(age: str) -> None:
    prior = ClusterPrior(age=age)
    drawn = prior.sample(20_000, generator())
    assert drawn.shape == (20_000, 6)
    assert torch.isfinite(prior.log_prob(drawn)).all()
    assert prior.parameters == CLUSTER


def test_ages_of_the_exponential() -> None:
    prior = ClusterPrior(age="exponential", log_age=(5.0, 10.1))
    age = 10 ** prior.sample(50_000, generator())[:, 0]
    closed = stats.truncexpon((10**10.1 - 1e5) / 150e6, loc=1e5, scale=150e6)
    assert stats.kstest(age.numpy(), closed.cdf).pvalue > 1e-3


def test_masses_and_ages_of_the_log_flat() -> None:
    drawn = ClusterPrior().sample(50_000, generator()).numpy()
    assert stats.kstest(drawn[:, 2], stats.uniform(20, 980).cdf).pvalue > 1e-3
    assert stats.kstest(drawn[:, 0], stats.uniform(6.0, 4.1).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    "changes",
    [
        {"log_age": 5.9},
        {"mass": 10.0},
        {"mass": math.nan},
        {"distance": 2e4},
        {"a_v": -0.1},
        {"a_v": 21.0, "a_v_spread": 0.1},
        {"a_v_spread": 0.3},
        {"mh": 0.7},
    ],
)
def test_nothing_outside_the_prior(changes: dict[str, float]) -> None:
    assert torch.isneginf(ClusterPrior().log_prob(theta(**changes)[None])).all()
    assert torch.isfinite(ClusterPrior().log_prob(theta()[None])).all()


def test_wrong_priors_are_refused() -> None:
    for wrong, words in (
        ({"age": "flat"}, "no prior of ages 'flat'"),
        ({"mass": (100.0, 20.0)}, "mass from 100.0 to 20.0 does not ascend"),
        ({"mean_age": 0.0}, "mean_age must be positive"),
    ):
        with pytest.raises(MauryError, match=words):
            ClusterPrior(**wrong)


# --- places and velocities --------------------------------------------------------------------


def test_plummer_radii_follow_its_law() -> None:
    position, _ = plummer(40_000, mass=500.0, half_mass_radius=3.0, generator=generator())
    radius = torch.linalg.vector_norm(position, dim=1) / scale_radius(3.0)

    def mass_inside(x: np.ndarray) -> np.ndarray:
        return (1 + np.asarray(x, dtype=float) ** -2) ** -1.5

    edge = mass_inside(np.array(10.0))
    assert stats.kstest(radius.numpy(), lambda x: mass_inside(x) / edge).pvalue > 1e-3
    assert radius.max() <= 10.0


def test_half_of_the_mass_lies_inside_the_half_mass_radius() -> None:
    position, _ = plummer(40_000, mass=1.0, half_mass_radius=2.0, generator=generator())
    inside = torch.linalg.vector_norm(position, dim=1) < 2.0
    assert inside.double().mean().item() == pytest.approx(0.5 / 0.985, abs=0.01)


def test_cluster_is_in_virial_equilibrium() -> None:
    """2T / |W| = 1 with W = -3 pi G M^2 / (32 a), both of the whole, uncut sphere."""
    _, velocity = plummer(40_000, mass=800.0, half_mass_radius=3.0, generator=generator())
    kinetic = 0.5 * 800.0 * (velocity**2).sum(1).mean().item()
    potential = 3 * math.pi * GRAVITY * 800.0**2 / (32 * scale_radius(3.0))
    assert 2 * kinetic / potential == pytest.approx(1.0, abs=0.025)


@settings(max_examples=15)
@given(mass=st.floats(20, 5000), radius=st.floats(0.5, 10))
def test_no_star_escapes(mass: float, radius: float) -> None:
    position, velocity = plummer(500, mass=mass, half_mass_radius=radius, generator=generator(1))
    distance = torch.sqrt((position**2).sum(1) + scale_radius(radius) ** 2)
    energy = 0.5 * (velocity**2).sum(1) - GRAVITY * mass / distance
    assert (energy < 0).all()


# --- stars ------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(mass=st.floats(5.0, 3000.0), seed=st.integers(0, 1000))
def test_no_more_than_the_mass_is_used(mass: float, seed: int) -> None:
    """At most half of the last system lies beyond, or half of one left out is missing."""
    stars = Cluster(TOY).sample(theta(mass=mass), generator(seed))
    systems = stars.mass * (1 + stars.q)
    assert systems.sum().item() - mass <= 0.5 * systems[-1].item() + 1e-4 * mass
    assert systems.sum().item() > mass - 100.0


def test_the_mass_is_used_up() -> None:
    seeded = generator()
    cluster = Cluster(TOY)
    used = [
        (stars.mass * (1 + stars.q)).sum().item()
        for stars in (cluster.sample(theta(mass=300.0), seeded) for _ in range(100))
    ]
    assert np.mean(used) == pytest.approx(300.0, rel=0.015)


TOY = toy_isochrones()


def test_stars_are_of_one_kind(cluster: Cluster) -> None:
    stars = cluster.sample(theta(log_age=8.25, mh=-0.3), generator())
    assert torch.all(stars.log_age == torch.tensor(8.25))
    assert torch.all(stars.mh == torch.tensor(-0.3))
    alive = stars.alive
    np.testing.assert_allclose(
        stars.log_lum[alive], 3.5 * torch.log10(stars.mass[alive]), atol=2e-3
    )
    companion = torch.isfinite(stars.companion_teff)
    light = 0.8 * torch.log10(stars.q * stars.mass)
    np.testing.assert_allclose(
        torch.log10(stars.companion_radius[companion]), light[companion], atol=2e-3
    )


def test_heavy_stars_have_died_and_their_companions_live_on(cluster: Cluster) -> None:
    stars = cluster.sample(theta(log_age=9.7, mass=3000.0), generator())
    dead = ~stars.alive
    assert dead.any()
    assert stars.mass[dead].min() > stars.mass[stars.alive].max()
    assert torch.isfinite(stars.companion_teff[dead]).any()
    assert not torch.isfinite(stars.companion_teff[stars.single]).any()


def test_companions_lighter_than_the_isochrones_are_dark(cluster: Cluster) -> None:
    stars = cluster.sample(theta(mass=2000.0), generator())
    too_light = (stars.q > 0) & (stars.q * stars.mass < 0.099)
    assert too_light.any()
    assert not torch.isfinite(stars.companion_teff[too_light]).any()


def test_primaries_follow_the_mass_function() -> None:
    imf = Kroupa(0.2, 20.0)
    stars = Cluster(TOY, imf=imf, binaries=False).sample(theta(mass=3000.0), generator())
    assert (stars.q == 0).all()

    def cumulative(masses: np.ndarray) -> np.ndarray:
        return np.array([imf.number_fraction(0, mass) for mass in np.atleast_1d(masses)])

    assert stats.kstest(stars.mass.numpy(), cumulative).pvalue > 1e-3


def test_distances_follow_from_places(cluster: Cluster) -> None:
    stars = cluster.sample(theta(distance=50.0), generator())
    place = stars.position + torch.tensor([0.0, 0.0, 50.0])
    np.testing.assert_allclose(stars.distance, torch.linalg.vector_norm(place, dim=1), rtol=1e-4)


def test_dust_has_its_mean_and_spread_and_is_smooth() -> None:
    stars = Cluster(TOY, dust_length=2.0).sample(
        theta(mass=3000.0, a_v=1.5, a_v_spread=0.4), generator()
    )
    assert stars.a_v.mean().item() == pytest.approx(1.5, abs=1e-4)
    assert stars.a_v.std().item() == pytest.approx(0.4, abs=0.08)
    assert (stars.a_v > 0).all()
    sky = stars.position[:, :2]
    apart = torch.cdist(sky, sky)
    log_dust = torch.log(stars.a_v)
    difference = (log_dust[:, None] - log_dust[None]).abs()
    near = difference[(apart > 0) & (apart < 0.3)].mean()
    assert near < 0.25 * difference[apart > 4.0].mean()


@pytest.mark.parametrize(
    "make", [lambda c: theta(a_v=0.0, a_v_spread=0.0), lambda c: theta(mass=0.3)]
)
def test_edges(cluster: Cluster, make: Callable[[object], torch.Tensor]) -> None:
    stars = cluster.sample(make(None), generator())
    assert len(stars) >= 1
    assert torch.isfinite(stars.a_v).all()


def test_seeded(cluster: Cluster) -> None:
    first, again, other = (cluster.sample(theta(), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.mass, again.mass)
    assert torch.equal(first.velocity, again.velocity)
    assert not torch.equal(first.mass[:20], other.mass[:20])


def test_wrong_clusters_are_refused(cluster: Cluster) -> None:
    with pytest.raises(MauryError, match=r"shape \(6,\): log_age, mh"):
        cluster.sample(torch.zeros(5), generator())
    with pytest.raises(MauryError, match="must be positive, dust not negative"):
        cluster.sample(theta(mass=-1.0), generator())
    with pytest.raises(MauryError, match="lengths must be positive"):
        Cluster(TOY, half_mass_radius=0.0)
