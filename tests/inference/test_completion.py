"""Radius and luminosity from temperature, gravity and mass."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maury.inference.completion import COMPLETED, complete
from maury.parameters import PARAMETERS

NAMES = ("teff", "logg", "mass")

# SI: nominal solar values (IAU 2015 resolution B3), Stefan-Boltzmann constant (CODATA 2018).
GM_SUN, R_SUN, L_SUN = 1.3271244e20, 6.957e8, 3.828e26
STEFAN_BOLTZMANN = 5.670374419e-8


def completed(teff: float, logg: float, mass: float) -> tuple[float, float]:
    values, names = complete(torch.tensor([teff, logg, mass], dtype=torch.float64), NAMES)
    assert names == (*NAMES, *COMPLETED)
    assert values[:3].tolist() == [teff, logg, mass]
    return values[3].item(), values[4].item()


def test_the_sun() -> None:
    radius, log_lum = completed(5772.0, 4.438, 1.0)
    assert radius == pytest.approx(1.0, abs=2e-4)
    assert log_lum == pytest.approx(0.0, abs=2e-4)


@given(teff=st.floats(2300, 50_000), logg=st.floats(-0.5, 6.0), log_mass=st.floats(-1.3, 2.0))
def test_gravity_and_light(teff: float, logg: float, log_mass: float) -> None:
    """g = G M / R^2 and L = 4 pi R^2 sigma Teff^4, in SI."""
    mass = 10**log_mass
    radius, log_lum = completed(teff, logg, mass)
    metres = radius * R_SUN
    assert math.log10(GM_SUN * mass / metres**2) + 2 == pytest.approx(logg, abs=1e-4)
    watts = 4 * math.pi * metres**2 * STEFAN_BOLTZMANN * teff**4
    assert math.log10(watts / L_SUN) == pytest.approx(log_lum, abs=1e-4)


def test_columns_are_found_by_name_and_draws_keep_their_shape() -> None:
    names = ("mass", "mh", "logg", "teff")
    values = torch.tensor([1.0, 0.2, 4.438, 5772.0]).expand(7, 3, 4)
    more, found = complete(values, names)
    assert found == (*names, "radius", "log_lum")
    assert more.shape == (7, 3, 6)
    torch.testing.assert_close(more[..., 4], torch.ones(7, 3), atol=2e-4, rtol=0)
    assert set(found) <= set(PARAMETERS)


def test_without_a_mass_nothing_follows() -> None:
    values = torch.tensor([[5772.0, 4.438]])
    same, names = complete(values, ("teff", "logg"))
    assert names == ("teff", "logg")
    assert torch.equal(same, values)


def test_unanswered_stars_stay_so() -> None:
    more, _ = complete(torch.full((2, 1, 3), math.nan), NAMES)
    assert torch.isnan(more).all()
