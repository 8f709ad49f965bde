"""Skies: what their stars show is the light of star, companion and disc, dimmed and far away."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from maury.simulator import Simulator
from maury.sky.bands import band
from maury.sky.photometry import MagnitudeTable
from maury.sky.populations.brightness import apparent_magnitudes
from maury.sky.populations.surveyed import PARAMETERS, SurveyedGalaxy
from maury.sky.populations.surveyed.cells import YOUNG
from maury.sky.populations.systems import Systems
from maury.sky.skies import FAINTEST, POPULATIONS, PlacedSky, SkyStars, reference_column

FIELD, BARE, DISC = range(3)
COUNT = 6000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def sky(placed_simulator: Simulator) -> PlacedSky:
    assert isinstance(placed_simulator.sky, PlacedSky)
    return placed_simulator.sky


@pytest.fixture(scope="module")
def stars(sky: PlacedSky) -> SkyStars:
    return sky.draw(COUNT, seeded())


def column(stars: SkyStars, name: str) -> Tensor:
    return stars.theta[:, PARAMETERS.index(name)]


def of_the_primary(table: MagnitudeTable, stars: SkyStars) -> Tensor:
    """Magnitudes of the primary alone; its radius from g = G M / R^2."""
    radius = 0.5 * (torch.log10(column(stars, "mass")) + 4.438 - column(stars, "logg"))
    modulus = 5 * torch.log10(column(stars, "distance")) - 5
    return table(stars.theta[:, :5])[0] + (modulus - 5 * radius)[:, None]


def test_the_reference_is_the_band_nearest_to_6200_angstrom() -> None:
    assert reference_column(["2MASS/2MASS.J", "GAIA/GAIA3.G", "GALEX/GALEX.NUV"]) == 1
    assert reference_column(["2MASS/2MASS.Ks", "2MASS/2MASS.J"]) == 1


def test_a_seed_gives_the_same_stars(sky: PlacedSky) -> None:
    one, same, other = (sky.draw(200, seeded(s)) for s in (3, 3, 4))
    assert torch.equal(one.theta, same.theta)
    assert torch.equal(one.magnitudes, same.magnitudes)
    assert not torch.equal(one.theta, other.theta)


def test_as_many_stars_as_were_asked_for(sky: PlacedSky) -> None:
    for count in (0, 1, 7):
        few = sky.draw(count, seeded())
        assert few.theta.shape == (count, len(sky.parameters))
        assert few.magnitudes.shape == (count, len(sky.table.bands))
        assert few.population.shape == (count,)


def test_every_star_is_seen_in_every_band(sky: PlacedSky, stars: SkyStars) -> None:
    assert torch.isfinite(stars.theta).all()
    assert torch.isfinite(stars.magnitudes).all()
    assert stars.magnitudes[:, reference_column(sky.table.bands)].max() < FAINTEST


def test_singles_without_disc_show_their_own_light(sky: PlacedSky, stars: SkyStars) -> None:
    single = (column(stars, "q") < 0.1) & (stars.population != DISC)
    excess = (stars.magnitudes - of_the_primary(sky.table, stars))[single]
    assert single.float().mean() > 0.3
    assert excess.abs().max() < 2e-3


def test_companions_add_light(sky: PlacedSky, stars: SkyStars) -> None:
    excess = stars.magnitudes - of_the_primary(sky.table, stars)
    assert excess.max() < 2e-3
    twin = (column(stars, "q") > 0.97) & (stars.population == FIELD)
    dwarf = twin & (column(stars, "logg") > 4.4) & (column(stars, "teff") < 5500)
    assert excess[dwarf, 0].median().item() == pytest.approx(-2.5 * math.log10(1.9), abs=0.1)


def test_kinds_go_by_age(stars: SkyStars) -> None:
    assert len(POPULATIONS) == 3
    assert torch.equal(stars.population == FIELD, column(stars, "log_age") >= YOUNG)
    ages = column(stars, "log_age")
    edges = torch.tensor([5.7, 6.3, 6.7, 7.7])
    shares = []
    for low, high in pairwise(edges):
        here = (ages > low) & (ages < high)
        shares.append((stars.population[here] == DISC).float().mean().item())
    # They live for 6 Myr.
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert shares[-1] < 0.25


def test_discs_redden_the_far_infrared_alone(sky: PlacedSky, stars: SkyStars) -> None:
    excess = stars.magnitudes - of_the_primary(sky.table, stars)
    disc = (stars.population == DISC) & (column(stars, "q") < 0.1)
    optical, infrared = (
        excess[disc, sky.table.bands.index(name)] for name in ("GAIA/GAIA3.Gbp", "WISE/WISE.W4")
    )
    assert disc.sum() > 30
    assert optical.abs().median() < 0.01
    assert -8 < infrared.median() < -1


def test_a_disc_gives_the_same_light_whatever_the_company(
    sky: PlacedSky, galaxy: SurveyedGalaxy
) -> None:
    """Its flux adds to that of both stars; it is no multiple of theirs."""
    alone = galaxy.sample(20_000, seeded(7))
    alone = alone[(alone.log_age < 6.5) & alone.single & (alone.teff > 3000)][:200]
    twins = replace(
        alone,
        q=torch.ones(len(alone)),
        companion_teff=alone.teff,
        companion_logg=alone.logg,
        companion_radius=alone.radius,
    )
    added = [_disc_flux(sky, systems) for systems in (alone, twins)]
    seen = torch.isfinite(added[0]).all(1) & (added[0] > 0).all(1)
    assert seen.sum() > 30
    torch.testing.assert_close(added[1][seen], added[0][seen], rtol=2e-3, atol=0)


def _disc_flux(sky: PlacedSky, systems: Systems) -> Tensor:
    """Flux (N, 1) in the reddest band that discs add, in units of magnitude 0, without noise."""
    before = apparent_magnitudes(sky.table, systems).double()
    after = before.clone()
    young = torch.ones(len(systems), dtype=torch.int64)
    sky._add_discs(systems, after, young, seeded(1))
    return (10 ** (-0.4 * after) - 10 ** (-0.4 * before))[:, -1:]


def test_far_stars_are_faint_and_dust_reddens(sky: PlacedSky, galaxy: SurveyedGalaxy) -> None:
    systems = galaxy.sample(300, seeded(2))
    here = apparent_magnitudes(sky.table, systems)
    far = apparent_magnitudes(sky.table, replace(systems, distance=10 * systems.distance))
    dusty = apparent_magnitudes(sky.table, replace(systems, a_v=systems.a_v + 0.5))
    known = torch.isfinite(here).all(1) & torch.isfinite(dusty).all(1)
    torch.testing.assert_close(far[known], here[known] + 5, atol=1e-4, rtol=0)
    dimmed = (dusty - here)[known]
    pivots = torch.tensor([band(name).pivot for name in sky.table.bands])
    order = [i for i in pivots.argsort().tolist() if sky.table.bands[i] != "GAIA/GAIA3.G"]
    # From BP, above A_V itself or a little below, to W4, a few hundredths of it.
    assert (dimmed[:, order].diff(dim=1) < 0).all()
    assert dimmed[:, order[0]].min() > 0.3
    assert dimmed[:, order[-1]].max() < 0.05
