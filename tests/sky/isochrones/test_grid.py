"""Interpolation in a set of isochrones that is simple enough to know the answer."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.sky.isochrones import Isochrones, Phase

MH = torch.tensor([-1.0, -0.5, 0.0, 0.5])
AGE = torch.tensor([8.0, 9.0, 10.0])
EEP = torch.tensor([1.0, 2.0, 4.0, 5.0, 8.0])


def log_mass(mh, age, eep):  # type: ignore[no-untyped-def]
    return 0.05 * mh - 0.2 * (age - 9) + 0.04 * eep


def build() -> Isochrones:
    """Everything linear along each axis, so that interpolation is exact."""
    mh, age, eep = torch.meshgrid(MH, AGE, EEP, indexing="ij")
    return Isochrones(
        name="plane",
        mh=MH,
        log_age=AGE,
        eep=EEP,
        mass=10 ** log_mass(mh, age, eep),
        log_teff=3.7 + 0.01 * eep - 0.02 * mh,
        logg=4.4 - 0.1 * eep + 0.01 * age,
        log_lum=0.1 * eep + 0.02 * mh * age,
        phase=torch.where(eep < 4, int(Phase.MAIN_SEQUENCE), int(Phase.GIANT_BRANCH)).to(
            torch.int8
        ),
    )


PLANE = build()


def without(*places: tuple[int, int, int], isochrones: Isochrones = PLANE) -> Isochrones:
    columns = {}
    for name in ("mass", "log_teff", "logg", "log_lum", "phase"):
        values = getattr(isochrones, name).clone()
        for place in places:
            values[place] = -1 if name == "phase" else math.nan
        columns[name] = values
    return replace(isochrones, **columns)


inside_mh, inside_age, inside_eep = st.floats(-1, 0.5), st.floats(8, 10), st.floats(1, 8)


@given(inside_mh, inside_age, inside_eep)
def test_linear_functions_come_back(mh: float, age: float, eep: float) -> None:
    star = PLANE.at(*(torch.tensor([v], dtype=torch.float64) for v in (mh, age, eep)))
    assert star.inside.all()
    assert math.log10(star.mass) == pytest.approx(log_mass(mh, age, eep), abs=1e-5)
    assert math.log10(star.teff) == pytest.approx(3.7 + 0.01 * eep - 0.02 * mh, abs=1e-5)
    assert star.logg.item() == pytest.approx(4.4 - 0.1 * eep + 0.01 * age, abs=1e-5)
    assert star.log_lum.item() == pytest.approx(0.1 * eep + 0.02 * mh * age, abs=1e-5)
    radius = math.sqrt(10 ** star.log_lum.item()) * (5772 / star.teff.item()) ** 2
    assert star.radius.item() == pytest.approx(radius)


@given(inside_mh, inside_age, inside_eep)
def test_mass_finds_the_phase_again(mh: float, age: float, eep: float) -> None:
    star = PLANE.at(mh, age, torch.tensor([eep], dtype=torch.float64))
    again = PLANE.evolve(star.mass, age, mh)
    assert again.inside.all()
    assert again.eep.item() == pytest.approx(eep, abs=1e-3)
    assert again.teff.item() == pytest.approx(star.teff.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("mh", "age", "eep"),
    [
        (0.51, 9, 3),
        (-1.01, 9, 3),
        (0, 7.9, 3),
        (0, 10.1, 3),
        (0, 9, 0.9),
        (0, 9, 8.1),
        (math.nan, 9, 3),
        (0, math.nan, 3),
        (0, 9, math.nan),
        (0, math.inf, 3),
    ],
)
def test_nothing_outside(mh: float, age: float, eep: float) -> None:
    star = PLANE.at(mh, age, eep)
    assert not star.inside.any()
    assert star.phase.item() == Phase.ABSENT
    for name in ("mass", "teff", "logg", "log_lum", "radius", "eep"):
        assert getattr(star, name).isnan().all()


@pytest.mark.parametrize("mass", [0.0, -1.0, 0.2, 50.0, math.nan, math.inf])
def test_no_star_of_a_mass_beyond_the_isochrone(mass: float) -> None:
    star = PLANE.evolve(mass, 9.0, 0.0)
    assert not star.inside.any()
    assert star.teff.isnan().all()


def test_the_ends_belong_to_it() -> None:
    for eep in (1.0, 8.0):
        for mh in (-1.0, 0.5):
            for age in (8.0, 10.0):
                star = PLANE.at(mh, age, eep)
                assert star.inside.all()
                assert PLANE.evolve(star.mass, age, mh).inside.all()


def test_a_missing_node_takes_its_cells_with_it_and_no_others() -> None:
    holed = without((1, 1, 2))  # [M/H] -0.5, log age 9, EEP 4
    assert not holed.at(-0.6, 8.9, torch.tensor([2.5, 4.0, 4.5])).inside.any()
    assert holed.at(-0.6, 8.9, torch.tensor([1.5, 2.0, 5.0, 7.0])).inside.all()
    # On a node of an axis its neighbours have no say.
    assert holed.at(0.0, 9.0, torch.tensor([3.0, 4.0])).inside.all()
    assert holed.at(-0.5, 10.0, torch.tensor([3.0, 4.0])).inside.all()
    assert not holed.at(-0.5, 9.5, 4.0).inside.any()


def test_masses_in_a_gap_have_no_star() -> None:
    holed = without(*[(m, a, 2) for m in range(4) for a in range(3)])
    eep = torch.linspace(1, 8, 141)
    star = PLANE.at(-0.2, 9.3, eep)
    found = holed.evolve(star.mass, 9.3, -0.2)
    assert torch.equal(found.inside, (eep <= 2.001) | (eep >= 4.999))


def test_phases_do_not_mix() -> None:
    phase = PLANE.phase.clone()
    phase[2:, :, 3:] = int(Phase.WOLF_RAYET)
    mixed = replace(PLANE, phase=phase)
    assert not mixed.at(-0.25, 9.0, 6.0).inside.any()
    assert mixed.at(0.25, 9.0, 6.0).phase.item() == Phase.WOLF_RAYET
    assert mixed.at(-0.75, 9.0, 6.0).phase.item() == Phase.GIANT_BRANCH


def test_phase_is_that_of_the_last_node_passed() -> None:
    eep = torch.tensor([1.0, 3.9, 4.0, 8.0])
    assert PLANE.at(0.1, 8.4, eep).phase.tolist() == [1, 1, 2, 2]


def test_masses_around_one_that_stands_still() -> None:
    mass = PLANE.mass.clone()
    mass[..., 3] = mass[..., 2]
    still = replace(PLANE, mass=mass)
    around = still.mass[1, 1, 2].double() * torch.tensor([1 - 1e-6, 1 + 1e-6]).double()
    star = still.evolve(around, 9.0, -0.5)
    assert star.inside.all()
    torch.testing.assert_close(star.eep, torch.tensor([4.0, 5.0]).double(), atol=1e-3, rtol=0)


def test_no_star_below_the_lowest_mass() -> None:
    limited = replace(PLANE, lowest_mass=1.5)
    eep = torch.linspace(1, 8, 50)
    star = limited.at(0.0, 9.0, eep)
    assert torch.equal(star.inside, PLANE.at(0.0, 9.0, eep).mass >= 1.5)
    assert not limited.evolve(1.49, 9.0, 0.0).inside.any()
    assert limited.evolve(1.5, 9.0, 0.0).inside.all()


def test_one_metallicity_answers_only_for_itself() -> None:
    columns = ("mh", "mass", "log_teff", "logg", "log_lum", "phase")
    single = replace(PLANE, **{name: getattr(PLANE, name)[2:3] for name in columns})
    assert single.at(0.0, 8.7, 3.0).inside.all()
    assert not single.at(0.1, 8.7, 3.0).inside.any()


def test_shapes_and_types() -> None:
    many = torch.rand(70_001)
    star = PLANE.at(0.0, 9.0, 1 + 7 * many)
    assert len(star) == 70_001
    assert star.teff.dtype == torch.float32
    assert star.phase.dtype == torch.int8
    assert star.inside.dtype == torch.bool
    assert PLANE.evolve(star.mass.double(), 9.0, 0.0).teff.dtype == torch.float64
    assert len(PLANE.evolve(torch.empty(0), 9.0, 0.0)) == 0
    with pytest.raises(MauryError, match=r"vectors \(N,\)"):
        PLANE.at(torch.zeros(2, 2), 9.0, 3.0)


def test_order_and_company_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(3)
    mass = 0.5 + 2 * torch.rand(40_000, generator=generator)
    order = torch.randperm(40_000, generator=generator)
    together, shuffled = (PLANE.evolve(m, 9.2, -0.3).teff for m in (mass, mass[order]))
    torch.testing.assert_close(together[order], shuffled, rtol=0, atol=0, equal_nan=True)


def test_a_spoiled_set_is_refused() -> None:
    with pytest.raises(MauryError, match="logg has shape"):
        replace(PLANE, logg=PLANE.logg[:2])
    with pytest.raises(MauryError, match="log_age does not grow"):
        replace(PLANE, log_age=AGE.flip(0))
    mass = PLANE.mass.clone()
    mass[1, 2, 3] = 0.1
    with pytest.raises(MauryError, match=r"mass falls .* -0.5, log age 10"):
        replace(PLANE, mass=mass)


def test_moving_keeps_the_set() -> None:
    moved = PLANE.to("cpu")
    assert moved.name == "plane"
    np.testing.assert_array_equal(moved.mass, PLANE.mass)
