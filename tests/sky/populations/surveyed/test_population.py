"""The surveyed Galaxy: every kind of star is met, and the stated density is that of the draws."""

import pytest
import torch

from maury.sky.isochrones import built_folder
from maury.sky.populations.surveyed import PARAMETERS, SurveyedGalaxy
from maury.sky.populations.surveyed.cells import YOUNG, YOUNG_SHARE
from maury.sky.populations.systems import Systems


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module", params=["mist", "parsec"])
def galaxy(request: pytest.FixtureRequest, galaxy: SurveyedGalaxy) -> SurveyedGalaxy:
    """The Galaxy of MIST stars, and of PARSEC's where a user has built them."""
    if request.param == "mist":
        return galaxy
    if not (built_folder() / f"{request.param}.npz").is_file():
        pytest.skip(f"{request.param} has not been built here")
    return SurveyedGalaxy(isochrones=request.param)


@pytest.fixture(scope="module")
def systems(galaxy: SurveyedGalaxy) -> Systems:
    return galaxy.sample(20_000, seeded())


def test_a_seed_gives_the_same_stars(galaxy: SurveyedGalaxy) -> None:
    one, other = galaxy.sample(300, seeded(4)), galaxy.sample(300, seeded(4))
    assert torch.equal(galaxy.theta(one, seeded(5)), galaxy.theta(other, seeded(5)))


def test_no_systems_are_none(galaxy: SurveyedGalaxy) -> None:
    none = galaxy.sample(0, seeded())
    assert galaxy.theta(none, seeded()).shape == (0, len(PARAMETERS))


def test_there_are_no_white_dwarfs_and_clump_giants_are_as_bright_as_known(
    systems: Systems,
) -> None:
    """M_bol near 0.1 to 0.5: M_K = -1.6, M_G = 0.5 (Ruiz-Dern et al. 2018, A&A 609, A116)."""
    assert systems.logg.max() < 6.0
    assert not ((systems.teff > 7000) & (systems.log_lum < -1)).any()
    clump = (systems.logg - 2.4).abs() < 0.1
    clump &= (systems.teff > 4600) & (systems.teff < 5000) & (systems.mass < 1.8)
    assert clump.sum() > 50
    assert systems.log_lum[clump].median().item() == pytest.approx(1.75, abs=0.1)


def test_every_kind_of_star_is_met(systems: Systems) -> None:
    kinds = {
        "giants": systems.logg < 3.5,
        "red dwarfs": (systems.teff < 3900) & (systems.logg > 4),
        "hot stars": systems.teff > 8000,
        "metal-poor stars": systems.mh < -1,
        "distant stars": systems.distance > 3000,
        "near stars": systems.distance < 100,
        "dusty stars": systems.a_v > 2,
        "companions": systems.q > 0.5,
    }
    for kind, members in kinds.items():
        assert members.float().mean() > 0.02, kind


def test_the_young_have_their_share(galaxy: SurveyedGalaxy, systems: Systems) -> None:
    young = systems.log_age < YOUNG
    assert young.float().mean().item() == pytest.approx(YOUNG_SHARE, abs=0.01)
    ages = systems.log_age[young]
    youngest = galaxy.cells.log_age.min().item()
    assert ages.median().item() == pytest.approx((youngest + YOUNG) / 2, abs=0.15)


def test_radius_and_luminosity_follow_from_the_minimal_set(systems: Systems) -> None:
    log_g = 4.438 + torch.log10(systems.mass) - 2 * torch.log10(systems.radius)
    torch.testing.assert_close(log_g, systems.logg, atol=1e-4, rtol=0)
    log_lum = 2 * torch.log10(systems.radius) + 4 * torch.log10(systems.teff / 5772)
    torch.testing.assert_close(log_lum, systems.log_lum, atol=1e-4, rtol=0)


def test_distant_stars_lie_behind_more_dust(systems: Systems) -> None:
    near, far = systems.distance < 200, systems.distance > 2000
    assert systems.a_v[near].median() < 0.2 < systems.a_v[far].median()


def test_singles_have_a_small_mass_ratio(galaxy: SurveyedGalaxy, systems: Systems) -> None:
    q = galaxy.theta(systems, seeded())[:, PARAMETERS.index("q")]
    assert ((q < 0.1) == systems.single).all()
    assert (q > 0).all()


def test_every_draw_has_a_density(galaxy: SurveyedGalaxy, systems: Systems) -> None:
    theta = galaxy.theta(systems[:2000], seeded())
    assert torch.isfinite(galaxy.log_prob(theta)).float().mean() > 0.995


@pytest.mark.parametrize(
    ("name", "factor"),
    [("teff", 1.005), ("a_v", 1.15), ("q", 1.02), ("mass", 1.0005), ("distance", 1.05)],
)
def test_density_moves_with_the_draws(
    galaxy: SurveyedGalaxy, systems: Systems, name: str, factor: float
) -> None:
    """The mean over draws of p(moved) / p(here) is the mass of the moved density: one.

    Dwarfs alone: a giant of any other mass would be a wholly different star.
    """
    theta = galaxy.theta(systems[systems.logg > 4.2][:3000], seeded())
    moved = theta.clone()
    moved[:, PARAMETERS.index(name)] *= factor
    here, there = galaxy.log_prob(theta), galaxy.log_prob(moved)
    known = torch.isfinite(here)
    ratio = factor * torch.exp((there - here)[known])
    assert ratio.mean().item() == pytest.approx(1.0, abs=0.03)


def test_no_star_where_there_is_none(galaxy: SurveyedGalaxy) -> None:
    sun = [5772.0, 4.438, 0.0, 0.1, 3.1, 1.0, 9.66, 0.05, 100.0]
    changes = {"mass": 30.0, "logg": 1.0, "distance": 4e5, "log_age": 4.0}
    theta = torch.tensor([sun, *(_with(sun, n, v) for n, v in changes.items())])
    density = galaxy.log_prob(theta)
    assert torch.isfinite(density[0])
    assert (density[1:] < density[0] - 50).all()


def _with(star: list[float], name: str, value: float) -> list[float]:
    return [value if n == name else old for n, old in zip(PARAMETERS, star, strict=True)]
