"""Zero points of parallaxes: the published recipe, and honesty about what is not known."""

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from maury.instruments.parallax_zero_point import (
    DR2_UNCERTAINTY,
    DR3_UNCERTAINTY,
    G_RANGE,
    NU_EFF_RANGE,
    PSEUDOCOLOUR_RANGE,
    dr2_zero_point,
    dr3_zero_point,
    effective_wavenumber,
    sine_ecliptic_latitude,
)

# G, wavenumber or pseudo-colour, ecliptic latitude, whether six parameters; zero point in mas, by
# gaiadr3-zeropoint 0.1.0, the implementation that the authors of the recipe publish.
PUBLISHED = [
    (9.0, 1.6, 30.0, False, -0.029849),
    (12.5, 1.5, -45.0, False, -0.015920),
    (14.0, 1.35, 60.0, False, -0.032321),
    (16.5, 1.45, 10.0, False, -0.032368),
    (18.0, 1.2, -70.0, False, -0.039402),
    (19.5, 1.75, 5.0, False, -0.007966),
    (10.0, 1.5, 20.0, True, -0.035220),
    (15.0, 1.4, -50.0, True, -0.037314),
    (20.5, 1.3, 80.0, True, -0.058095),
]


@pytest.mark.parametrize(("g", "nu", "latitude", "six", "published"), PUBLISHED)
def test_the_recipe_gives_its_authors_values(
    g: float, nu: float, latitude: float, six: bool, published: float
) -> None:
    found = dr3_zero_point([g], [nu], [np.sin(np.deg2rad(latitude))], six_parameters=[six])
    assert found.value[0] == pytest.approx(published, abs=1e-6)
    assert not found.clamped[0]


def test_the_two_solutions_may_share_a_table() -> None:
    g, nu, latitude, six, published = (np.array(column) for column in zip(*PUBLISHED, strict=True))
    found = dr3_zero_point(g, nu, np.sin(np.deg2rad(latitude)), six_parameters=six)
    np.testing.assert_allclose(found.value, published, atol=1e-6)
    assert found.uncertainty[six].min() > found.uncertainty[~six].max()


@given(nu=st.floats(*NU_EFF_RANGE), sine=st.floats(-1, 1), six=st.booleans(), g=st.floats(*G_RANGE))
def test_the_zero_point_is_continuous_and_small(
    nu: float, sine: float, six: bool, g: float
) -> None:
    step = 1e-4
    both = dr3_zero_point([g, g + step], nu, sine, six_parameters=six).value
    assert abs(both[1] - both[0]) < step
    assert -0.35 < both[0] < 0.35


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize(("g", "nu"), [(8.0, 1.6), (13.0, 1.3), (17.0, 1.45), (20.5, 1.3)])
def test_without_a_position_it_is_the_average_over_the_sky(g: float, nu: float, six: bool) -> None:
    sine = (np.arange(4000) + 0.5) / 2000 - 1  # equal areas of sky
    placed = dr3_zero_point(g, nu, sine, six_parameters=six)
    average = dr3_zero_point([g], [nu], [np.nan], six_parameters=six)
    assert average.value[0] == pytest.approx(placed.value.mean(), abs=1e-9)
    total = np.hypot(placed.uncertainty[0], placed.value.std())
    assert average.uncertainty[0] == pytest.approx(total, rel=1e-5)


def test_the_unknown_costs_precision_and_stays_central() -> None:
    known = dr3_zero_point([15.0], effective_wavenumber([1.0]), [np.nan])
    no_colour = dr3_zero_point([15.0], [np.nan], [np.nan])
    nothing = dr3_zero_point([np.nan], [np.nan], [np.nan])
    for found in (no_colour, nothing):
        assert found.value[0] == pytest.approx(known.value[0])
        assert not found.clamped[0]
    assert DR3_UNCERTAINTY < known.uncertainty[0] < no_colour.uncertainty[0]
    assert no_colour.uncertainty[0] < nothing.uncertainty[0] < 0.025


@pytest.mark.parametrize(
    ("g", "nu", "six", "nearest"),
    [
        (3.0, 1.5, False, (G_RANGE[0], 1.5)),
        (22.0, 1.5, False, (G_RANGE[1], 1.5)),
        (15.0, 0.9, False, (15.0, NU_EFF_RANGE[0])),
        (15.0, 2.0, False, (15.0, NU_EFF_RANGE[1])),
        (15.0, 1.2, True, (15.0, PSEUDOCOLOUR_RANGE[0])),
    ],
)
def test_beyond_the_recipe_the_nearest_value_is_less_certain(
    g: float, nu: float, six: bool, nearest: tuple[float, float]
) -> None:
    beyond = dr3_zero_point([g], [nu], [0.3], six_parameters=six)
    edge = dr3_zero_point([nearest[0]], [nearest[1]], [0.3], six_parameters=six)
    assert beyond.clamped[0]
    assert not edge.clamped[0]
    assert beyond.value[0] == edge.value[0]
    assert beyond.uncertainty[0] > edge.uncertainty[0]


def test_wavenumbers_of_typical_colours() -> None:
    """An A star, the Sun, and a red M dwarf beyond the last kink of the recipe at 1.24."""
    np.testing.assert_allclose(
        effective_wavenumber([0.0, 0.82, 3.1]), [1.76, 1.55, 1.234], atol=0.002
    )
    assert (np.diff(effective_wavenumber(np.linspace(-1, 7, 50))) < 0).all()
    assert np.isnan(effective_wavenumber([np.nan]))


def test_ecliptic_latitudes_are_astropys() -> None:
    generator = np.random.default_rng(0)
    ra, dec = generator.uniform(0, 360, 50), np.rad2deg(np.arcsin(generator.uniform(-1, 1, 50)))
    places = SkyCoord(ra * units.deg, dec * units.deg).transform_to(BarycentricMeanEcliptic())
    np.testing.assert_allclose(sine_ecliptic_latitude(ra, dec), np.sin(places.lat.rad), atol=1e-6)
    assert np.isnan(sine_ecliptic_latitude([np.nan], [10.0]))


def test_dr2_is_between_quasars_and_giants() -> None:
    found = dr2_zero_point(2)
    assert found.value.shape == found.uncertainty.shape == found.clamped.shape == (2,)
    assert found.value[0] - DR2_UNCERTAINTY <= -0.0515
    assert found.value[0] + DR2_UNCERTAINTY >= -0.0295
