"""Discs: closed forms of their light, limits, and the prior over them."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maury.errors import MauryError
from maury.sky.bands import SPEED_OF_LIGHT, Band, band
from maury.sky.populations.disc_light import (
    FLARE,
    RIM,
    DiscLight,
    luminosity_ratio,
    sublimation_radius,
)
from maury.sky.populations.disc_sed import DiscSED
from maury.sky.populations.discs import DISC, DiscPrior, Discs

BANDS = (
    *("2MASS/2MASS.J", "2MASS/2MASS.Ks", "WISE/WISE.W1", "WISE/WISE.W2", "WISE/WISE.W3"),
    *("WISE/WISE.W4", "Spitzer/MIPS.24mu", "Herschel/Pacs.blue", "Herschel/Pacs.red"),
)
SIGMA = 5.670374419e-5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def disc(
    log_mass: float = -2.0, hole: float = 0.0, flaring: float = 0.0, cosine: float = 1.0
) -> Discs:
    return Discs(
        log_mass=torch.tensor([log_mass]),
        log_inner_radius=torch.tensor([hole]),
        flaring=torch.tensor([flaring]),
        cos_inclination=torch.tensor([cosine]),
    )


def number(value: float) -> torch.Tensor:
    return torch.tensor([value])


def narrow(low: float, high: float) -> Band:
    wave = np.geomspace(low, high, 12)
    return Band("x", "AB", "energy", 0.0, "", 0.0, wave, np.ones(12))


@pytest.fixture(scope="module")
def sed(tmp_path_factory: pytest.TempPathFactory) -> DiscSED:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAURY_CACHE", str(tmp_path_factory.mktemp("cache")))
        return DiscSED(BANDS)


def excess(sed: DiscSED, discs: Discs, teff: float = 4000.0) -> torch.Tensor:
    count = len(discs)
    columns = (torch.full((count,), value) for value in (teff, 3.9, 0.0, 1.7))
    return sed.excess(*columns, discs)


# --- closed forms -----------------------------------------------------------------------------


def test_flat_disc_down_to_the_star_gives_back_a_quarter() -> None:
    """Dust lasts on the surface of a star of 1500 K, so that there is no hole."""
    share = luminosity_ratio(number(1500.0), number(1.0), disc())
    assert share.item() == pytest.approx(0.25, rel=0.002)


@settings(max_examples=20)
@given(teff=st.floats(2500, 15000), radius=st.floats(0.3, 4), flaring=st.floats(0.01, 0.5))
def test_flared_disc_gives_back_what_it_takes_up(
    teff: float, radius: float, flaring: float
) -> None:
    """Half of (H/r at its edge - H/r at its rim), the rim's own share, and the flat disc's."""
    star = (number(teff), number(radius))
    inner = sublimation_radius(*star).item()
    outer = max(100.0, 10 * inner)
    at = [flaring * (edge / 100.0) ** FLARE for edge in (inner, outer)]
    flat = luminosity_ratio(*star, disc()).item()
    expected = flat + 0.5 * (at[1] - at[0]) + min(RIM * at[0], 0.5)
    share = luminosity_ratio(*star, disc(flaring=flaring)).item()
    assert share == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("flaring", [0.0, 0.3])
def test_light_adds_up_over_all_wavelengths(flaring: float) -> None:
    """Opaque faces shine as Lambert's law has it, the rim to all sides."""
    star = (number(6000.0), number(1.5))
    edges = np.geomspace(3e3, 5e7, 51)
    bands = [narrow(*pair) for pair in itertools.pairwise(edges)]
    width = SPEED_OF_LIGHT * (1 / edges[:-1] - 1 / edges[1:])
    light = DiscLight(bands)
    massive = disc(log_mass=3.0, flaring=flaring)
    pole_on = (light.flux(*star, massive)[0].numpy() * width).sum()
    edge_on = disc(log_mass=3.0, flaring=flaring, cosine=1e-3)
    rim = (light.flux(*star, edge_on)[0].numpy() * width).sum()
    parsec = 3.0856775814913673e18
    luminosity = (
        2 * math.pi * (10 * parsec) ** 2 * (pole_on - rim) + 4 * math.pi * (10 * parsec) ** 2 * rim
    )
    of_star = 4 * math.pi * (1.5 * 6.957e10) ** 2 * SIGMA * 6000.0**4
    assert luminosity / of_star == pytest.approx(luminosity_ratio(*star, massive).item(), rel=0.01)


def test_flat_disc_has_the_classical_slope() -> None:
    """T ~ r^(-3/4) makes F_nu ~ nu^(1/3) (Lynden-Bell & Pringle 1974) far from both edges."""
    light = DiscLight([narrow(1e6, 1.01e6), narrow(4e6, 4.04e6)])
    flux = light.flux(number(1500.0), number(1.0), disc(log_mass=3.0))[0]
    assert math.log(flux[0] / flux[1]) / math.log(4.0) == pytest.approx(1 / 3, abs=0.04)


def test_opaque_flat_disc_dims_with_the_cosine() -> None:
    light = DiscLight([band("WISE/WISE.W3")])
    star = (number(4000.0), number(2.0))
    full = light.flux(*star, disc(log_mass=1.0)).item()
    assert light.flux(*star, disc(log_mass=1.0, cosine=0.3)).item() == pytest.approx(0.3 * full)


def test_thin_disc_shines_as_its_mass_whatever_its_inclination() -> None:
    light = DiscLight([band("Herschel/Pacs.red")])
    star = (number(4000.0), number(2.0))
    fluxes = [
        light.flux(*star, disc(log_mass=mass, flaring=0.2, cosine=cosine)).item()
        for mass, cosine in ((-9.0, 1.0), (-10.0, 1.0), (-10.0, 0.5))
    ]
    assert fluxes[0] / fluxes[1] == pytest.approx(10.0, rel=0.01)
    assert fluxes[1] == pytest.approx(fluxes[2], rel=0.01)


def test_sublimation_radius_of_the_sun_and_of_a_cool_dwarf() -> None:
    assert sublimation_radius(number(5772.0), number(1.0)).item() == pytest.approx(0.0689, rel=1e-3)
    assert sublimation_radius(number(1400.0), number(1.0)).item() == pytest.approx(
        0.00465, rel=1e-3
    )


# --- flux ratios ------------------------------------------------------------------------------


def test_no_disc_no_excess(sed: DiscSED) -> None:
    assert (excess(sed, Discs.none(4)) == 0).all()


def test_ratio_is_of_the_two_fluxes(sed: DiscSED) -> None:
    """In W3 against the photosphere's magnitude and the disc's own flux."""
    one = disc(flaring=0.2)
    photosphere = sed.star_magnitudes(*(number(v) for v in (4000.0, 3.9, 0.0, 1.7)))[0, 4]
    w3 = band("WISE/WISE.W3")
    flux = DiscLight([w3]).flux(number(4000.0), number(1.7), one).item()
    magnitude = -2.5 * math.log10(flux) - 48.60 - w3.zero_point
    expected = 10 ** (-0.4 * (magnitude - photosphere.item()))
    assert excess(sed, one)[0, 4].item() == pytest.approx(expected, rel=1e-4)


def test_far_photosphere_follows_rayleigh_and_jeans(sed: DiscSED) -> None:
    """A star without colour at 24 micron has F_nu ~ nu^2 beyond."""
    magnitudes = sed.star_magnitudes(*(number(v) for v in (10_000.0, 4.0, 0.0, 2.0)))[0]
    flux = {
        name: 10 ** (-0.4 * (magnitudes[place].item() + band(name).zero_point))
        for place, name in enumerate(BANDS)
    }
    for name, micron in (("Herschel/Pacs.blue", 70.0), ("Herschel/Pacs.red", 160.0)):
        ratio = flux["Spitzer/MIPS.24mu"] / flux[name]
        assert ratio == pytest.approx((micron / 23.675) ** 2, rel=0.06)


@settings(max_examples=25)
@given(
    teff=st.floats(2600, 12000),
    mass=st.floats(-9.0, -1.0),
    hole=st.floats(0.0, 2.5),
    flaring=st.floats(0.0, 0.5),
    cosine=st.floats(0.5, 1.0),
)
def test_more_mass_never_means_less_light(
    sed: DiscSED, teff: float, mass: float, hole: float, flaring: float, cosine: float
) -> None:
    light, heavy = (
        excess(sed, disc(log_mass, hole, flaring, cosine), teff) for log_mass in (mass, mass + 0.5)
    )
    assert torch.isfinite(light).all()
    assert (light >= 0).all()
    assert (heavy >= light * (1 - 1e-5)).all()


def test_a_hole_takes_the_near_infrared_away(sed: DiscSED) -> None:
    full, hollow = (excess(sed, disc(-3.0, hole, 0.2))[0] for hole in (0.0, 1.7))
    assert hollow[2] < 0.01 * full[2]  # W1
    assert hollow[5] > 0.8 * full[5]  # W4


def test_young_stars_look_like_class_ii(sed: DiscSED) -> None:
    """Koenig & Leisawitz 2014, ApJ 791, 131: W1 - W2 from 0.25, W2 - W3 from 1.0 to 4.5.

    Photospheres have 0.1 or less and 0.3 or less. Taurus stars have K - [24] of about 4 to 6.
    """
    stars = 4000
    drawn = DiscPrior(lifetime=1e12).sample(
        torch.full((stars,), 0.7), torch.full((stars,), 6.2), generator()
    )
    brighter = 2.5 * torch.log10(1 + excess(sed, drawn))
    photosphere = sed.star_magnitudes(*(number(v) for v in (4000.0, 3.9, 0.0, 1.7)))[0]
    mags = photosphere - brighter
    w1_w2, w2_w3 = mags[:, 2] - mags[:, 3], mags[:, 3] - mags[:, 4]
    class_ii = (w1_w2 > 0.25) & (w2_w3 > 1.0) & (w2_w3 < 4.5)
    assert class_ii.double().mean() > 0.5
    assert 4.0 < (mags[:, 1] - mags[:, 6]).median() < 6.0
    assert photosphere[2] - photosphere[3] < 0.1


def test_stars_off_the_library_have_no_answer(sed: DiscSED) -> None:
    assert torch.isnan(excess(sed, disc(), teff=1000.0)).all()
    assert torch.isnan(excess(sed, disc(), teff=math.nan)).all()


def test_unknown_bands_are_refused() -> None:
    with pytest.raises(MauryError, match=r"no band 'Spitzer/MIPS\.70mu'"):
        DiscSED(["Spitzer/MIPS.70mu"])


# --- the prior --------------------------------------------------------------------------------


def test_fraction_falls_with_age() -> None:
    prior = DiscPrior()
    for age, share in ((6e6, math.exp(-1.0)), (1e6, math.exp(-1 / 6)), (6e7, math.exp(-10.0))):
        log_age = torch.full((40_000,), math.log10(age))
        assert prior.probability(log_age[:1]).item() == pytest.approx(share, rel=1e-4)
        present = prior.sample(torch.ones(40_000), log_age, generator()).present
        assert present.double().mean().item() == pytest.approx(share, abs=0.01)


def test_masses_are_those_of_the_law() -> None:
    """log M_disc ~ N(log(0.01 M) - log(t / 1e5 yr), 0.5)."""
    mass, log_age = torch.full((20_000,), 0.5), torch.full((20_000,), 6.0)
    drawn = DiscPrior(lifetime=1e12).sample(mass, log_age, generator()).log_mass
    closed = stats.norm(math.log10(0.005) - 1.0, 0.5)
    assert stats.kstest(drawn.numpy(), closed.cdf).pvalue > 1e-3


def test_no_disc_hides_its_star() -> None:
    drawn = DiscPrior(lifetime=1e12).sample(torch.ones(5000), torch.full((5000,), 6.0), generator())
    height = torch.sqrt(1 / drawn.cos_inclination**2 - 1) * drawn.flaring
    assert (height <= 1 + 1e-4).all()


def test_prior_is_normalised_and_its_draws_lie_inside() -> None:
    prior = DiscPrior()
    count = 200_000
    mass, log_age = torch.full((count,), 0.8), torch.full((count,), 6.5)
    unit = torch.quasirandom.SobolEngine(4, scramble=True, seed=0).draw(count, dtype=torch.float64)
    low = torch.tensor([-6.5, 0.0, 0.0, 0.0], dtype=torch.float64)
    span = torch.tensor([5.0, 2.5, 0.5, 1.0], dtype=torch.float64)
    theta = (low + span * unit).unbind(-1)
    discs = Discs(
        **dict(
            zip(("log_mass", "log_inner_radius", "flaring", "cos_inclination"), theta, strict=True)
        )
    )
    paired = (torch.exp(prior.log_prob(discs, mass, log_age)) * torch.prod(span)).mean().item()
    alone = torch.exp(prior.log_prob(Discs.none(1), mass[:1], log_age[:1])).item()
    assert paired + alone == pytest.approx(1.0, abs=0.01)
    drawn = prior.sample(mass, log_age, generator())
    assert torch.isfinite(prior.log_prob(drawn, mass, log_age)).all()
    assert drawn.theta.shape == (count, len(DISC))


@pytest.mark.parametrize(
    "wrong", [disc(hole=-0.1), disc(flaring=0.6), disc(flaring=0.4, cosine=0.2), disc(cosine=1.1)]
)
def test_nothing_outside_the_prior(wrong: Discs) -> None:
    assert torch.isneginf(DiscPrior().log_prob(wrong, number(1.0), number(6.0))).all()


def test_discs_are_data() -> None:
    drawn = DiscPrior().sample(torch.ones(50), torch.full((50,), 6.0), generator())
    assert len(drawn[drawn.present]) == int(drawn.present.sum())
    assert torch.equal(drawn[:10].flaring, drawn.flaring[:10])
    with pytest.raises(MauryError, match="different shapes"):
        Discs(
            log_mass=torch.zeros(2),
            log_inner_radius=torch.zeros(3),
            flaring=torch.zeros(2),
            cos_inclination=torch.zeros(2),
        )
