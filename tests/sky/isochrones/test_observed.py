"""What is done to models so that they look like observed stars."""

import pytest
import torch

from maury.sky.isochrones import load_isochrones
from maury.sky.isochrones.grid import Isochrones
from maury.sky.isochrones.observed import as_observed


def a_set(masses: list[float]) -> Isochrones:
    """One mass after another, the same at two metallicities and two ages."""
    mass = torch.tensor(masses).expand(2, 2, -1).clone()
    return Isochrones(
        name="two",
        mh=torch.tensor([-0.5, 0.5]),
        log_age=torch.tensor([9.0, 10.0]),
        eep=torch.arange(len(masses)).double(),
        mass=mass,
        log_teff=torch.full_like(mass, 3.5),
        logg=torch.full_like(mass, 4.9),
        log_lum=torch.full_like(mass, -2.0),
        phase=torch.ones_like(mass, dtype=torch.int8),
    )


def test_the_axis_of_metals_is_relative_to_todays_sun() -> None:
    bare = a_set([0.3, 1.0])
    assert torch.allclose(as_observed(bare, sun_at_birth=0.05).mh, bare.mh - 0.05)


def test_red_dwarfs_are_cooler_and_larger_by_the_published_share_and_others_untouched() -> None:
    bare = a_set([0.2, 1.0])
    seen = as_observed(bare, sun_at_birth=0.0)
    teff = 10 ** (seen.log_teff - bare.log_teff)
    radius = 10 ** (0.5 * (seen.log_lum - bare.log_lum) - 2 * (seen.log_teff - bare.log_teff))
    assert teff[0, 0].tolist() == pytest.approx([1 - 0.022, 1.0], abs=1e-4)
    assert radius[0, 0].tolist() == pytest.approx([1.046, 1.0], abs=1e-4)


def test_mass_gravity_and_radius_stay_one_star() -> None:
    """g R^2 = G M before and after."""
    bare = a_set([0.2, 0.6, 1.0])

    def weight(isochrones: Isochrones) -> torch.Tensor:
        return isochrones.logg + isochrones.log_lum - 4 * isochrones.log_teff

    assert torch.allclose(weight(as_observed(bare, sun_at_birth=0.0)), weight(bare), atol=1e-5)


def test_packaged_red_dwarfs_lie_where_observed_ones_do() -> None:
    """Mann et al. 2015, table of nearby stars, rounded: 0.3 and 0.5 solar masses near the Sun's
    metals have 3300 to 3450 K, 0.30 solar radii, and 3550 to 3750 K, 0.48 solar radii."""
    stars = load_isochrones().evolve(torch.tensor([0.3, 0.5]), 9.6, 0.0)
    assert stars.teff.tolist() == pytest.approx([3350, 3650], abs=100)
    assert stars.radius.tolist() == pytest.approx([0.30, 0.48], abs=0.03)


def test_a_set_that_was_fitted_to_red_dwarfs_keeps_them() -> None:
    bare = a_set([0.2, 1.0])
    seen = as_observed(bare, sun_at_birth=0.07, red_dwarfs=False)
    assert torch.equal(seen.log_teff, bare.log_teff)
    assert torch.allclose(seen.mh, bare.mh - 0.07)
