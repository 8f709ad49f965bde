"""The nominal Sun: its constants agree with one another, and its formulas undo each other."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maury.sun import (
    SUN_LOGG,
    SUN_MAGNITUDE,
    SUN_RADIUS_CM,
    SUN_TEFF,
    log_gravity,
    log_luminosity,
    log_radius,
    radius_from_light,
)

GM, LUMINOSITY = 1.3271244e20, 3.828e26  # SI, IAU 2015 resolution B3
STEFAN_BOLTZMANN = 5.670374419e-8  # SI, CODATA 2018


def number(x: float) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64)


def test_constants_fit_one_another() -> None:
    metres = SUN_RADIUS_CM / 100
    assert pytest.approx(math.log10(100 * GM / metres**2), abs=1e-4) == SUN_LOGG
    light = 4 * math.pi * metres**2 * STEFAN_BOLTZMANN * SUN_TEFF**4
    assert light == pytest.approx(LUMINOSITY, rel=2e-4)
    # Zero point of the bolometric scale: 3.0128e28 W (IAU 2015 resolution B2).
    assert pytest.approx(-2.5 * math.log10(LUMINOSITY / 3.0128e28), abs=1e-3) == SUN_MAGNITUDE


def test_the_sun_is_one_of_everything() -> None:
    assert log_radius(number(1.0), number(SUN_LOGG)).item() == pytest.approx(0.0, abs=1e-12)
    assert log_gravity(number(1.0), number(1.0)).item() == SUN_LOGG
    assert log_luminosity(number(0.0), number(SUN_TEFF)).item() == 0.0


@given(st.floats(0.05, 100.0), st.floats(-1.0, 6.0), st.floats(2000.0, 60_000.0))
def test_formulas_undo_each_other(mass: float, logg: float, teff: float) -> None:
    size = log_radius(number(mass), number(logg))
    assert log_gravity(number(mass), 10**size).item() == pytest.approx(logg, abs=1e-9)
    light = log_luminosity(size, number(teff))
    radius = radius_from_light(light, torch.log10(number(teff)))
    assert radius.item() == pytest.approx((10**size).item(), rel=1e-9)
