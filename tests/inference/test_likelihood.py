"""The marginal likelihood against brute force, its own normalisation and the simulator."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from maury.errors import MauryError
from maury.inference.likelihood import log_likelihood
from maury.instruments.knowledge import KnowledgeConfig
from maury.measurements import Measurements
from maury.simulator import Simulator, SimulatorConfig, Stars

BANDS = (
    *("SkyMapper/SkyMapper.v", "PAN-STARRS/PS1.g", "PAN-STARRS/PS1.i"),
    *("2MASS/2MASS.J", "2MASS/2MASS.H", "2MASS/2MASS.Ks", "WISE/WISE.W1"),
)
SUN = torch.tensor([5772.0, 4.44, 0.0, 0.1, 3.1])


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    knowledge = KnowledgeConfig(informed_fraction=0.0)
    return Simulator(SimulatorConfig(bands=BANDS, knowledge=knowledge))


@pytest.fixture(scope="module")
def stars(simulator: Simulator) -> Stars:
    return simulator.draw(30, torch.Generator().manual_seed(1))


def brute_force(simulator: Simulator, stars: Stars, theta: Tensor) -> Tensor:
    """Riemann sums over 12,000 amplitudes, double precision, of stars without knowledge."""
    mags, _ = simulator.table(theta)
    dense = torch.full(mags.shape, torch.nan)
    obs = stars.measurements
    for i in range(len(BANDS)):
        here = obs.measured & (obs.channel == i)
        dense[here.any(1), i] = obs.value[here]
    residual = (dense - mags).double()
    results = []
    rows = zip(residual, stars.run.sigma.double(), stars.run.measured, strict=True)
    for r, sigma, measured in rows:
        low, high = float(r[measured].min()) - 15, float(r[measured].max()) + 15
        amplitude = torch.linspace(low, high, 12_000, dtype=torch.float64)
        density = simulator.instrument.noise.log_likelihood(
            r.nan_to_num() - amplitude[:, None], sigma, measured
        )
        results.append(density.logsumexp(0) + torch.log(amplitude[1] - amplitude[0]))
    return torch.stack(results)


def observe(simulator: Simulator, theta: Tensor, count: int, sigma: float, bands: int) -> Tensor:
    """Measured magnitudes (count, bands) of one star."""
    generator = torch.Generator().manual_seed(7)
    scatter = simulator.instrument.noise.scatter(torch.full((count, len(BANDS)), sigma), generator)
    return (simulator.table(theta[None])[0] + scatter)[:, :bands]


def test_equals_brute_force_at_the_truth(simulator: Simulator, stars: Stars) -> None:
    found = log_likelihood(simulator, stars.measurements, stars.theta)
    assert torch.allclose(found.double(), brute_force(simulator, stars, stars.theta), atol=2e-3)


def test_equals_brute_force_at_stars_that_fit_badly(simulator: Simulator, stars: Stars) -> None:
    theta = stars.theta.roll(1, 0)
    found = log_likelihood(simulator, stars.measurements, theta).double()
    exact = brute_force(simulator, stars, theta)
    assert torch.allclose(found, exact, atol=2e-3, rtol=1e-5)


def test_a_star_alone_or_among_others_is_the_same(simulator: Simulator, stars: Stars) -> None:
    together = log_likelihood(simulator, stars.measurements, stars.theta)
    alone = [
        log_likelihood(simulator, stars.measurements[i : i + 1], stars.theta[i : i + 1])
        for i in range(10)
    ]
    assert torch.allclose(together[:10], torch.cat(alone), atol=1e-3)


def test_many_draws_have_a_row_each(simulator: Simulator, stars: Stars) -> None:
    theta = torch.stack([stars.theta, stars.theta.roll(1, 0)])
    both = log_likelihood(simulator, stars.measurements, theta)
    assert both.shape == (2, 30)
    second = log_likelihood(simulator, stars.measurements, theta[1])
    assert torch.allclose(both[1], second, atol=1e-3, rtol=1e-6)


@settings(max_examples=10, deadline=None)
@given(shift=st.floats(-8.0, 8.0), seed=st.integers(0, 29))
def test_brightness_says_nothing(
    simulator: Simulator, stars: Stars, shift: float, seed: int
) -> None:
    obs = stars.measurements[seed : seed + 1]
    value = torch.full((1, len(BANDS)), torch.nan)
    sigma = torch.ones_like(value)
    value[0, obs.channel[obs.present]] = obs.value[obs.present] + shift
    sigma[0, obs.channel[obs.present]] = obs.sigma[obs.present]
    moved = Measurements.from_dense(BANDS, value, sigma)
    theta = stars.theta[seed : seed + 1]
    before, after = (log_likelihood(simulator, data, theta) for data in (obs, moved))
    assert torch.allclose(before, after, atol=5e-3)


@pytest.mark.parametrize("bands", [0, 1])
def test_one_band_has_no_colour(simulator: Simulator, bands: int) -> None:
    obs = Measurements.from_dense(BANDS[:1], [[12.0 if bands else math.nan]], [[0.03]])
    theta = torch.stack([SUN, SUN * torch.tensor([1.5, 0.9, 1.0, 4.0, 1.0])])[:, None]
    assert torch.allclose(log_likelihood(simulator, obs, theta), torch.zeros(2, 1), atol=1e-3)


def test_density_of_a_colour_is_normalised(simulator: Simulator) -> None:
    colour = -0.36 + 0.05 * torch.sinh(torch.linspace(-6.5, 6.5, 601))
    value = torch.stack([torch.full_like(colour, 10.0), 10.0 + colour], dim=1)
    obs = Measurements.from_dense(BANDS[3:5], value, torch.full_like(value, 0.02))
    density = log_likelihood(simulator, obs, SUN.expand(len(colour), -1)).double().exp()
    assert torch.trapezoid(density, colour.double()).item() == pytest.approx(1.0, abs=1e-3)


def test_another_star_is_on_average_as_likely_as_the_true_one(simulator: Simulator) -> None:
    """E[L(other) / L(true)] over data of the true star is the integral of L(other), which is 1."""
    other = SUN * torch.tensor([1.005, 0.98, 1.0, 1.1, 1.0]) + torch.tensor([0, 0, 0.05, 0, 0])
    count, bands = 5_000, 5
    value = observe(simulator, SUN, count, 0.02, bands)
    obs = Measurements.from_dense(BANDS[:bands], value, torch.full_like(value, 0.02))
    logs = [log_likelihood(simulator, obs, star.expand(count, -1)) for star in (SUN, other)]
    ratio = torch.exp(logs[1] - logs[0])
    assert ratio.mean().item() == pytest.approx(1.0, abs=5 * (ratio.std() / count**0.5).item())
    assert ratio.std() > 0.1
    assert (logs[0] - logs[1]).mean() > 0


def test_outside_knowledge_is_a_normal_density(simulator: Simulator, stars: Stars) -> None:
    obs = Measurements.from_dense(("prior_logg", "prior_a_v"), [[4.5, 0.3]], [[0.1, 0.05]])
    expected = torch.distributions.Normal(torch.tensor([4.44, 0.1]), torch.tensor([0.1, 0.05]))
    found = log_likelihood(simulator, obs, SUN[None])
    assert found.item() == pytest.approx(
        expected.log_prob(torch.tensor([4.5, 0.3])).sum().item(), abs=1e-4
    )


def test_stars_beyond_the_library_are_impossible(simulator: Simulator, stars: Stars) -> None:
    theta = SUN * torch.tensor([20.0, 1, 1, 1, 1])
    found = log_likelihood(simulator, stars.measurements[:1], theta[None])
    assert found.item() == -math.inf


def test_theta_of_another_shape_is_refused(simulator: Simulator, stars: Stars) -> None:
    with pytest.raises(MauryError, match="30 stars, 5 parameters"):
        log_likelihood(simulator, stars.measurements, stars.theta[:3])


@pytest.fixture(scope="module")
def placed() -> Simulator:
    bands = ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp", "2MASS/2MASS.J", "2MASS/2MASS.Ks")
    return Simulator(SimulatorConfig(prior="galaxy", bands=bands))


def test_a_system_shows_the_magnitudes_it_was_simulated_with(placed: Simulator) -> None:
    stars = placed.draw(3000, torch.Generator().manual_seed(3))
    again = placed.sky.magnitudes(stars.theta)  # type: ignore[attr-defined]
    bare = stars.population == 0
    torch.testing.assert_close(again[bare], stars.magnitudes[bare], atol=2e-3, rtol=0)


def test_the_likelihood_of_placed_stars_is_a_density_of_what_is_measured(
    placed: Simulator,
) -> None:
    """Averaged over measurements of a star, the likelihood of any other star over its own is 1."""
    stars = placed.draw(200, torch.Generator().manual_seed(5))
    field = stars.theta[(stars.population == 0) & (stars.theta[:, -1] < 2000)][0]
    other = field.clone()
    other[-1] *= 1.01
    other[0] *= 1.003
    generator, count = torch.Generator().manual_seed(6), 40_000
    sigma = torch.full((count, len(placed.config.bands)), 0.02)
    mags = placed.sky.magnitudes(field[None])  # type: ignore[attr-defined]
    values = mags + placed.instrument.noise.scatter(sigma, generator)
    error = torch.full((count,), 0.03)
    parallax = placed.astrometer.observe(field[-1].expand(count), error, generator)
    obs = Measurements.from_dense(
        (*placed.config.bands, "parallax"),
        torch.cat([values, parallax[:, None]], 1),
        torch.cat([sigma, error[:, None]], 1),
    )
    # One mixture over stars, their own likelihood in it, keeps the ratio bounded.
    ours, theirs = (log_likelihood(placed, obs, t.expand(count, -1)) for t in (field, other))
    ratio = torch.exp(theirs - ours)
    assert ratio.mean().item() == pytest.approx(1.0, abs=5 * float(ratio.std()) / count**0.5)
    assert float(ratio.std()) / count**0.5 < 0.05


def test_knowledge_of_a_distance_counts_on_its_own_channel(placed: Simulator) -> None:
    theta = placed.draw(1, torch.Generator().manual_seed(8)).theta
    distance = theta[0, -1]
    value, sigma = distance[None, None] * 1.1, distance[None, None] * 0.05
    obs = Measurements.from_dense(("prior_distance",), value, sigma)
    expected = -0.5 * 2.0**2 - torch.log(sigma[0, 0]) - 0.5 * math.log(2 * math.pi)
    assert log_likelihood(placed, obs, theta).item() == pytest.approx(expected.item(), abs=1e-3)
