"""The packaged MIST isochrones against the Sky."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maury.sky import isochrones
from maury.sky.isochrones import Isochrones, Phase, load_isochrones
from maury.sky.isochrones.storage import read_isochrones

SUN_AGE = math.log10(4.57e9)
M67_AGE = math.log10(4.0e9)


@pytest.fixture(scope="module")
def mist() -> Isochrones:
    return load_isochrones()


@pytest.fixture(scope="module")
def bare() -> Isochrones:
    """The models as published."""
    return read_isochrones(Path(isochrones.__file__).parent / "data" / "mist.npz")


def draw(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Masses, log ages, metallicities."""
    u = torch.rand(3, count, generator=torch.Generator().manual_seed(seed))
    return 0.1 * 100 ** u[0], 6.6 + 3.5 * u[1], -3.0 + 3.4 * u[2]


def test_the_sun(mist: Isochrones) -> None:
    sun = mist.evolve(1.0, SUN_AGE, 0.0)
    assert sun.teff.item() == pytest.approx(5772, abs=25)
    assert sun.logg.item() == pytest.approx(4.438, abs=0.015)
    assert sun.log_lum.item() == pytest.approx(0.0, abs=0.015)
    assert sun.radius.item() == pytest.approx(1.0, abs=0.01)
    assert sun.phase.item() == Phase.MAIN_SEQUENCE


def test_gravity_light_and_temperature_agree(mist: Isochrones) -> None:
    """g = G M / R^2 with the nominal Sun, where mass loss is small."""
    mass, age, mh = draw(20_000)
    star = mist.evolve(mass, age, mh)
    early = star.inside & (star.phase <= Phase.MAIN_SEQUENCE) & (mass < 8)
    logg = 4.438 + torch.log10(star.mass) - 2 * torch.log10(star.radius)
    assert (logg - star.logg)[early].abs().quantile(0.99) < 0.01


def test_turn_off_of_m67(mist: Isochrones) -> None:
    """The bluest single stars have (B-V)_0 near 0.53 at G near 13.3: about 6200 K, log L 0.5."""
    star = mist.evolve(torch.linspace(0.8, 1.5, 4001), M67_AGE, 0.0)
    dwarf = star.phase == Phase.MAIN_SEQUENCE
    hottest = torch.where(dwarf, star.teff, 0.0).argmax()
    assert star.teff[hottest].item() == pytest.approx(6200, abs=150)
    assert 0.4 < star.log_lum[hottest].item() < 0.7
    assert star.mass[hottest].item() == pytest.approx(1.24, abs=0.04)


@pytest.mark.parametrize("age", [9.4, 9.6, 9.8])
def test_red_clump(mist: Isochrones, age: float) -> None:
    """Stars spend most of their core helium burning at log L 1.6 to 1.9, log g 2.3 to 2.6, and
    4500 to 5000 K (Girardi 2016, ARA&A 54, 95)."""
    star = mist.at(0.0, age, torch.arange(631.0, 707.0))
    weight = star.mass.diff().clamp(min=0)
    weight = weight / weight.sum()
    light, teff, logg = (
        float((weight * v[:-1]).sum()) for v in (star.log_lum, star.teff, star.logg)
    )
    assert 1.65 < light < 1.85
    assert 4600 < teff < 4900
    assert 2.3 < logg < 2.6


@pytest.mark.parametrize(
    ("mass", "teff", "log_lum"),
    [(0.1, 3050, -1.87), (0.3, 3363, -1.23), (0.5, 3651, -0.91), (1.0, 4363, -0.34)],
)
def test_pre_main_sequence_at_ten_million_years(
    bare: Isochrones, mass: float, teff: float, log_lum: float
) -> None:
    """As Baraffe et al. 2015 have it, whose code and atmospheres are independent."""
    star = bare.evolve(mass, 7.0, 0.0)
    assert star.phase.item() == Phase.PRE_MAIN_SEQUENCE
    assert star.teff.item() == pytest.approx(teff, rel=0.025)
    assert star.log_lum.item() == pytest.approx(log_lum, abs=0.05)


def test_young_stars_contract(mist: Isochrones) -> None:
    for mass in (0.2, 0.5, 0.8):
        star = mist.evolve(mass, torch.linspace(6.5, 7.8, 40), 0.0)
        assert (star.radius.diff() < 0).all()
        assert (star.logg.diff() > 0).all()


def test_mass_grows_along_every_isochrone(mist: Isochrones) -> None:
    _, age, mh = draw(300, 1)
    for when, metal in zip(age.tolist(), mh.tolist(), strict=True):
        mass = mist.at(metal, when, mist.eep).mass
        mass = mass[torch.isfinite(mass)]
        assert (mass.diff() >= -2e-7 * mass[1:]).all()


def test_the_star_of_a_mass_has_that_mass(mist: Isochrones) -> None:
    mass, age, mh = draw(50_000, 2)
    star = mist.evolve(mass, age, mh)
    torch.testing.assert_close(star.mass[star.inside], mass[star.inside], rtol=5e-6, atol=0)


@given(st.floats(-2.5, 0.5), st.floats(6.6, 10.2), st.floats(202, 603))
def test_round_trip(mh: float, age: float, eep: float) -> None:
    mist = load_isochrones()
    star = mist.at(mh, age, torch.tensor([eep], dtype=torch.float64))
    if not star.inside or star.mass > 60:
        return
    again = mist.evolve(star.mass, age, mh)
    assert again.inside.all()
    assert again.mass.item() == pytest.approx(star.mass.item(), rel=1e-6)
    assert again.eep.item() == pytest.approx(eep, abs=0.5)
    assert again.teff.item() == pytest.approx(star.teff.item(), rel=5e-3)


def test_living_stars_are_all_there(mist: Isochrones) -> None:
    """From the lowest mass to nearly the turn-off, at every age; MIST itself lacks tracks above
    six solar masses at [Fe/H] = -3 and below."""
    mass, age, mh = draw(100_000, 3)
    fuel = 10 - 2.6 * torch.log10(mass)  # about a life
    alive = (age < fuel - 0.5) & (mass < 8) & (mh > -2.5)
    star = mist.evolve(mass, age, mh)
    assert alive.sum() > 50_000
    assert star.inside[alive].float().all()
    assert not star.inside[age > fuel + 0.6].any()


def test_the_lowest_mass_is_reached_between_nodes(mist: Isochrones) -> None:
    assert mist.lowest_mass == pytest.approx(0.1)
    _, age, mh = draw(5000, 4)
    faintest = mist.evolve(0.1001, age, mh)
    assert faintest.inside.all()
    assert (faintest.teff > 2300).all()
    assert (faintest.teff < 4200).all()
    assert not mist.evolve(0.0995, age, mh).inside.any()


def test_nobody_falls_from_the_tip_to_the_clump(mist: Isochrones) -> None:
    """No old star lies between the tip of the giants and the horizontal branch."""
    assert not mist.at(0.0, 9.7, torch.tensor([606.0, 612.0, 618.0, 630.0])).inside.any()
    tip, settled = mist.at(0.0, 9.7, torch.tensor([605.0, 631.0])).mass.tolist()
    assert tip < settled
    middle = torch.linspace(tip, settled, 9, dtype=torch.float64)[1:-1]
    assert not mist.evolve(middle, 9.7, 0.0).inside.any()
    ends = mist.at(0.0, 9.7, torch.tensor([605.0, 631.0]))
    assert ends.inside.all()
    assert ends.phase.tolist() == [Phase.GIANT_BRANCH, Phase.CORE_HELIUM]
    # A star of five solar masses lights its helium gently.
    assert mist.at(0.0, 7.95, torch.tensor([612.0, 618.0, 624.0])).inside.all()


def test_phases_come_in_order(mist: Isochrones) -> None:
    """Codes grow along an isochrone, Wolf-Rayet stars of very young ones apart."""
    for when in (7.6, 8.5, 9.5):
        phase = mist.at(-0.1, when, mist.eep).phase
        assert (phase[phase >= 0].diff() >= 0).all()
