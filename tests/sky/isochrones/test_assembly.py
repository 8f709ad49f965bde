"""From published points to a grid: gaps, the flash, and the low end."""

import numpy as np
import pytest

from maury.sky.isochrones import Phase
from maury.sky.isochrones.assembly import (
    Points,
    continue_from_neighbour,
    extend_below,
    fill_dwarfs,
    helium_flash,
    hide,
    not_rising,
    select,
    to_isochrones,
)

EEP = np.arange(190.0, 720.0)


def points(metals: int = 1, ages: int = 2) -> Points:
    """Isochrones of the form of MIST's, light and mass growing steadily."""
    shape = (metals, ages, len(EEP))
    eep = np.broadcast_to(EEP, shape)
    phase = np.select(
        [eep < 202, eep < 454, eep <= 605],
        [Phase.PRE_MAIN_SEQUENCE, Phase.MAIN_SEQUENCE, Phase.GIANT_BRANCH],
        Phase.CORE_HELIUM,
    )
    log_mass = np.where(eep < 605, (eep - 190) * 3e-3 - 1, 0.245 + (eep - 605) * 1e-7)
    return Points(
        mh=np.linspace(0, 0.5, metals),
        log_age=9.0 + 0.05 * np.arange(ages),
        eep=EEP,
        mass=10**log_mass,
        log_teff=3.4 + 1e-3 * (eep - 190),
        logg=5.0 - 5e-3 * (eep - 190),
        log_lum=np.where(eep < 606, -3 + 0.015 * (eep - 190), 1.7),
        phase=phase,
    )


def gap(given: Points, low: float, high: float) -> Points:
    return hide(given, np.broadcast_to((low < EEP) & (high > EEP), given.mass.shape))


@pytest.mark.parametrize(("low", "high"), [(250, 262), (195, 210)])
def test_gaps_among_dwarfs_are_filled(low: float, high: float) -> None:
    whole = points()
    filled = fill_dwarfs(gap(whole, low, high))
    np.testing.assert_allclose(filled.log_teff, whole.log_teff, atol=1e-9)
    np.testing.assert_allclose(filled.mass, whole.mass, rtol=5e-3)
    np.testing.assert_array_equal(filled.phase, whole.phase)


@pytest.mark.parametrize(("low", "high"), [(250, 320), (440, 470), (500, 520)])
def test_wide_gaps_and_those_of_giants_stay(low: float, high: float) -> None:
    open_gap = gap(points(), low, high)
    filled = fill_dwarfs(open_gap)
    np.testing.assert_array_equal(filled.mass, open_gap.mass)
    np.testing.assert_array_equal(filled.phase, open_gap.phase)


def test_the_flash_is_found_where_light_falls_at_once() -> None:
    flash = helium_flash(points())
    assert flash.shape == (1, 2, len(EEP))
    assert set(EEP[flash[0, 0]]) == set(range(606, 631))
    gentle = points()
    slow = np.where(EEP > 605, 10 ** (0.245 + (EEP - 605) * 1e-4), gentle.mass)
    assert not helium_flash(Points(**{**vars(gentle), "mass": slow})).any()
    faint = np.where(EEP > 605, 3.2, gentle.log_lum)
    assert not helium_flash(Points(**{**vars(gentle), "log_lum": faint})).any()


def test_isochrones_reach_below_their_lowest_mass() -> None:
    whole = points()
    cut = hide(whole, whole.mass < 0.15)
    first = np.flatnonzero(np.isfinite(cut.mass[0, 0]))[0]
    longer = extend_below(cut, float(cut.mass[0, 0, first]))
    added = np.isfinite(longer.mass[0, 0]) & ~np.isfinite(cut.mass[0, 0])
    assert longer.mass[0, 0][added].min() == pytest.approx(0.1, rel=0.1)
    for name in ("mass", "log_teff", "logg", "log_lum"):
        np.testing.assert_allclose(
            getattr(longer, name)[0, 0][added], getattr(whole, name)[0, 0][added], rtol=1e-6
        )
    np.testing.assert_array_equal(longer.phase[0, 0][added], whole.phase[0, 0][added])
    # An isochrone that ends well above is left alone.
    np.testing.assert_allclose(extend_below(cut, 0.1).mass, cut.mass, rtol=1e-12)


def test_the_last_metallicity_follows_its_neighbour_down() -> None:
    both = points(metals=2)
    columns = dict(vars(both))
    for name, shift in (("mass", 1.1), ("log_teff", 0.99)):
        columns[name] = both.__dict__[name] * np.array([1.0, shift])[:, None, None]
    whole = Points(**columns)
    cut = hide(whole, (np.arange(2) == 1)[:, None, None] & (whole.mass < 0.5))
    longer = continue_from_neighbour(cut, 0.1)
    np.testing.assert_allclose(longer.mass, whole.mass, rtol=1e-9)
    np.testing.assert_allclose(longer.log_teff, whole.log_teff, atol=0.01)
    np.testing.assert_array_equal(longer.phase, whole.phase)


def test_points_whose_mass_does_not_rise() -> None:
    mass = np.array([[[np.nan, 1.0, 1.1, 1.1, np.nan, 1.05, 1.2, 1.3]]])
    flags = not_rising(mass)[0, 0].tolist()
    assert flags == [True, False, False, True, True, True, False, False]


def test_selecting_keeps_axes_and_columns_together() -> None:
    part = select(points(metals=2), mh=np.array([1]), eep=EEP >= 700)
    assert part.mass.shape == (1, 2, 20)
    assert part.eep[0] == 700
    made = to_isochrones("part", part, lowest_mass=0.2)
    assert made.mass.shape == (1, 2, 20)
    assert made.lowest_mass == 0.2
