"""Young stars: what is drawn, its density, and what it looks like."""

import math

import pytest
import torch
from scipy import stats

from maury.errors import MauryError
from maury.sky.populations.discs import DiscPrior, Discs
from maury.sky.populations.local_dust import dust_log_prob, mean_dust, sample_dust
from maury.sky.populations.young import Young, YoungStars

from .toy_isochrones import toy_isochrones

TOY = toy_isochrones()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def young() -> Young:
    return Young(TOY)


@pytest.fixture(scope="module")
def stars(young: Young) -> YoungStars:
    return young.sample(40_000, generator())


def test_draws_lie_inside_the_density(young: Young, stars: YoungStars) -> None:
    assert torch.isfinite(young.log_prob(stars)).all()
    assert len(stars) == 40_000


def test_ages_and_distances_are_even_in_their_logarithms(stars: YoungStars) -> None:
    assert stats.kstest(stars.systems.log_age, stats.uniform(6.0, 2.0).cdf).pvalue > 1e-3
    even = stats.uniform(math.log10(40), 2.0)
    assert stats.kstest(torch.log10(stars.systems.distance), even.cdf).pvalue > 1e-3


def test_components_tell_of_discs(stars: YoungStars) -> None:
    assert stars.systems.components == ("with disc", "without disc")
    assert torch.equal(stars.systems.component == 0, stars.discs.present)
    young = stars.systems.log_age < 6.3
    old = stars.systems.log_age > 7.7
    assert stars.discs.present[young].double().mean() > 0.7
    assert stars.discs.present[old].double().mean() < 0.01


def test_the_youngest_are_behind_their_clouds(stars: YoungStars) -> None:
    near = stars.systems.distance < 200
    newborn = near & (stars.systems.log_age < 6.3)
    grown = near & (stars.systems.log_age > 7.5)
    assert stars.systems.a_v[newborn].mean() > 0.9
    assert stars.systems.a_v[grown].mean() < 0.25


def test_density_falls_out_of_its_bounds(young: Young, stars: YoungStars) -> None:
    for name, value in (("log_age", 9.0), ("distance", 2e4), ("a_v", -1.0), ("mass", 0.01)):
        few = stars[torch.arange(100)]
        getattr(few.systems, name)[:] = value
        assert torch.isneginf(young.log_prob(few)).all(), name


def test_weights_carry_one_prior_into_another(young: Young, stars: YoungStars) -> None:
    """The mean of p / q over draws of q is 1 where p lies within q."""
    narrow = Young(TOY, log_age=(6.5, 7.5), ambient=0.5, discs=DiscPrior(lifetime=3e6))
    ratio = torch.exp(narrow.log_prob(stars) - young.log_prob(stars))
    error = ratio.std().item() / len(stars) ** 0.5
    assert error < 0.03
    assert ratio.mean().item() == pytest.approx(1.0, abs=4 * error)


def test_dust_is_normalised_and_drawn_as_it_says() -> None:
    for mean in (0.05, 1.0, 15.0):
        grid = torch.logspace(-4, math.log10(20.0), 20_001, dtype=torch.float64).clamp(max=20.0)
        density = torch.exp(dust_log_prob(grid, torch.tensor(mean)))
        head = 1e-4 * density[0]
        assert (torch.trapezoid(density, grid) + head).item() == pytest.approx(1.0, abs=1e-4)
        drawn = sample_dust(torch.full((20_000,), mean, dtype=torch.float64), generator())
        assert stats.kstest(drawn, stats.truncexpon(20.0 / mean, scale=mean).cdf).pvalue > 1e-3
    assert torch.isneginf(dust_log_prob(torch.tensor([-0.1, 0.0, 20.1]), torch.tensor(1.0))).all()
    assert mean_dust(torch.tensor(1000.0)).item() == pytest.approx(0.75)


def test_packaged_isochrones_reach_the_pre_main_sequence() -> None:
    """Baraffe et al. 2015, A&A 577, A42: 0.5 Msun at 10 Myr has 3640 K and log L -0.85 or so."""
    stars = Young(log_age=(6.99, 7.01)).sample(4000, generator()).systems
    assert stars.alive.double().mean() > 0.98
    half = (stars.mass > 0.45) & (stars.mass < 0.55) & (stars.mh.abs() < 0.1)
    assert stars.teff[half].median().item() == pytest.approx(3700, abs=150)
    assert stars.log_lum[half].median().item() == pytest.approx(-0.88, abs=0.12)
    dwarf = stars.radius[half].median().item()
    assert dwarf > 0.7


def test_seeded(young: Young) -> None:
    first, again = (young.sample(50, generator(4)) for _ in range(2))
    assert torch.equal(first.systems.a_v, again.systems.a_v)
    assert torch.equal(first.discs.theta, again.discs.theta)


def test_without_discs_there_are_none() -> None:
    stars = Young(TOY, discs=DiscPrior(lifetime=1.0)).sample(200, generator())
    assert not stars.discs.present.any()
    assert torch.equal(stars.discs.theta, Discs.none(200).theta)


def test_wrong_bounds_are_refused() -> None:
    with pytest.raises(MauryError, match=r"log_age from 8\.0 to 6\.0 does not ascend"):
        Young(TOY, log_age=(8.0, 6.0))
    with pytest.raises(MauryError, match="must not be negative"):
        Young(TOY, ambient=-1.0)
