"""Stars of a component: their share of the published mass, their phases, ages and metallicities."""

import math

import pytest
import torch

from maury.sky.isochrones import load_isochrones
from maury.sky.populations.binaries import companions
from maury.sky.populations.imf import BrokenPowerLaw, Kroupa
from maury.sky.populations.milky_way import ROBIN_2003
from maury.sky.populations.milky_way.components import Component
from maury.sky.populations.milky_way.stars import StellarContent
from maury.sky.populations.starlight import starlight

NAMES = ("thin disc 0-0.15 Gyr", "thin disc 5-7 Gyr", "halo", "bulge")
PARTS = [ROBIN_2003.component(name) for name in NAMES]


@pytest.fixture(scope="module")
def content() -> StellarContent:
    return StellarContent(load_isochrones())


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_published_mass_functions(content: StellarContent) -> None:
    """Robin et al. 2003, table 1: slopes 1.6 and 3 in the thin disc, 0.5 in thick disc and halo."""
    thin = content.imf(ROBIN_2003.components[0])
    mass = torch.tensor([0.2, 0.4, 2.0, 4.0], dtype=torch.float64)
    log_density = thin.log_prob(mass)
    slopes = -(log_density[1::2] - log_density[::2]) / math.log(2)
    assert slopes.tolist() == pytest.approx([1.6, 3.0])
    assert StellarContent(content.isochrones, Kroupa()).imf(PARTS[0]).upper == 150.0


def test_broken_power_law_is_kroupas() -> None:
    ours, theirs = BrokenPowerLaw((0.3, 1.3, 2.3), (0.08, 0.5), 0.01, 100.0), Kroupa(0.01, 100.0)
    mass = torch.logspace(-2, 2, 50, dtype=torch.float64)
    assert torch.allclose(ours.log_prob(mass), theirs.log_prob(mass), atol=1e-6)


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_shining_stars_make_up_the_density(content: StellarContent, part: Component) -> None:
    """Systems drawn as born and evolved: those that shine have one published unit in each pc3."""
    count = 40_000
    mass = content.imf(part).sample(count, seed(1)).float()
    log_age = content.draw_log_age(part, count, seed(2)).float()
    q = companions(mass, seed(3))
    mh = torch.full_like(mass, part.mh)
    light = starlight(content.isochrones, mass=mass, log_age=log_age, mh=mh, q=q)
    shines = torch.isfinite(light["teff"]) | (mass < content.isochrones.lowest_mass)
    each = mass * (1 + q) if part.counted == "mass" else 1.0 + (q > 0)
    made = (each * shines).mean().item()
    assert content.born_per_published(part) * made == pytest.approx(1.0, abs=0.03)


def test_phases_share_the_mass_function(content: StellarContent) -> None:
    """All intervals together weigh what shines of the mass function above the lightest model."""
    part = ROBIN_2003.component("thin disc 5-7 Gyr")
    steps = 20
    interval = torch.arange(content.phases).repeat(steps)
    step = (torch.arange(steps, dtype=torch.float64) + 0.5).repeat_interleave(content.phases)
    log_age = torch.full((len(interval),), math.log10(6e9), dtype=torch.float64)
    mh = torch.full_like(log_age, -0.14)
    stars = content.between(log_age, mh, interval, step / steps)
    heaviest = stars.mass[stars.width > 0].max().item()
    lightest = content.isochrones.lowest_mass
    shining = content.imf(part).number_fraction(lightest, heaviest)
    assert content.weight(part, stars).sum().item() / steps == pytest.approx(shining, rel=0.01)


def test_stars_between_nodes_lie_on_the_isochrone(content: StellarContent) -> None:
    generator = seed()
    count = 2000
    interval = torch.randint(content.phases, (count,), generator=generator)
    log_age = torch.full((count,), 9.5, dtype=torch.float64)
    mh = torch.linspace(-0.4, 0.3, count, dtype=torch.float64)
    stars = content.draw(log_age, mh, interval, generator)
    dwarfs = (stars.width > 0) & (stars.mass < 1.0)
    alone = starlight(
        content.isochrones,
        mass=stars.mass[dwarfs],
        log_age=log_age[dwarfs],
        mh=mh[dwarfs],
        q=stars.q[dwarfs],
    )
    assert dwarfs.sum() > 100
    for name in ("teff", "logg", "radius", "companion_teff"):
        assert torch.allclose(
            getattr(stars, name)[dwarfs].float(), alone[name], rtol=1e-4, equal_nan=True
        )


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_densities_of_age_and_metallicity_are_normalised(
    content: StellarContent, part: Component
) -> None:
    mh = torch.linspace(-5, 1, 20001, dtype=torch.float64)
    density = torch.exp(content.log_prob_mh(part, mh, torch.full_like(mh, part.mh)))
    assert torch.trapezoid(density, mh).item() == pytest.approx(1.0, abs=1e-3)
    young, old = part.ages
    log_age = torch.log10(1e9 * torch.linspace(max(young, 1e-5), old, 20001, dtype=torch.float64))
    density = torch.exp(content.log_prob_log_age(part, log_age))
    assert torch.trapezoid(density, log_age).item() == pytest.approx(1.0, abs=1e-3)


def test_metallicities_stay_where_isochrones_are(content: StellarContent) -> None:
    part = ROBIN_2003.component("bulge")
    mean = torch.full((20_000,), part.mh, dtype=torch.float64)
    mh = content.draw_mh(part, mean, seed())
    low, high = content.mh_range
    assert high == pytest.approx(0.45, abs=0.01)
    assert ((mh >= low) & (mh <= high)).all()
    assert torch.isfinite(content.log_prob_mh(part, mh, mean)).all()


@pytest.mark.parametrize("part", PARTS, ids=NAMES)
def test_drawn_systems_make_up_the_density(content: StellarContent, part: Component) -> None:
    """Systems as views draw them, by phase, have one published unit in each pc3, down to 0.1 Msun.

    What is lighter shines too but has no isochrone: it is added from the mass function.
    """
    count = 60_000
    interval = torch.randint(content.phases, (count,), generator=seed(1))
    mh = torch.full((count,), part.mh, dtype=torch.float64)
    stars = content.draw(content.draw_log_age(part, count, seed(2)), mh, interval, seed(3))
    weight = content.weight(part, stars) * content.phases / count
    shining = stars.width > 0
    in_mass = part.counted == "mass"
    each = stars.mass * (1 + stars.q) if in_mass else 1.0 + (stars.q > 0)
    drawn = (weight * each)[shining].sum().item()
    imf = content.imf(part)
    light = imf.sample(200_000, seed(4))
    q = companions(light, seed(5)).double()
    light_each = light * (1 + q) if in_mass else 1.0 + (q > 0)
    missing = (light_each * (light < content.isochrones.lowest_mass)).mean().item()
    assert content.born_per_published(part) * (drawn + missing) == pytest.approx(1.0, abs=0.03)
