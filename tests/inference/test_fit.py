"""Fits: what the noise allows is no misfit, what no star shows is one."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from maury.inference.fit import ENOUGH, best_deviance, poor_fit
from maury.measurements import Measurements
from maury.simulator import Simulator, SimulatorConfig, Stars

W4 = "WISE/WISE.W4"


@pytest.fixture(scope="module")
def floating(tiny: dict[str, Any]) -> Simulator:
    return Simulator(SimulatorConfig.model_validate(tiny["simulator"]))


@pytest.fixture(scope="module", params=["placed", "floating"])
def simulator(request: pytest.FixtureRequest) -> Simulator:
    return request.getfixturevalue("placed_simulator" if request.param == "placed" else "floating")


@pytest.fixture(scope="module")
def stars(simulator: Simulator) -> Stars:
    return simulator.draw(1500, torch.Generator().manual_seed(4))


def draws(theta: Tensor, count: int = ENOUGH) -> Tensor:
    return theta.expand(count, *theta.shape)


def photometry(simulator: Simulator, stars: Stars, *, error: float = 0.03) -> Measurements:
    """All bands without noise, of stars without discs."""
    magnitudes = stars.magnitudes[stars.population < 2]
    return Measurements.from_dense(
        simulator.config.bands, magnitudes, torch.full_like(magnitudes, error)
    ).select(simulator.channels)[0]


def test_the_truth_fits_all_but_one_in_a_hundred(simulator: Simulator, stars: Stars) -> None:
    plain = stars.population < 2
    known = stars.measurements.select(simulator.channels)[0][plain]
    flagged = poor_fit(simulator, known, draws(stars.theta[plain]), torch.zeros(len(known)))
    assert flagged.float().mean() < 0.01


def test_a_perfect_fit_leaves_nothing(simulator: Simulator, stars: Stars) -> None:
    known, theta = photometry(simulator, stars), stars.theta[stars.population < 2]
    deviance = best_deviance(simulator, known, theta[None])
    assert deviance.min() > -1e-2
    # Singles are drawn with a q below 0.1, and shown without that companion.
    assert deviance.quantile(0.95) < 0.1


def test_the_best_draw_counts(simulator: Simulator, stars: Stars) -> None:
    known, theta = photometry(simulator, stars)[:100], stars.theta[stars.population < 2][:100]
    both = torch.stack([theta.roll(1, 0), theta])
    alone = [best_deviance(simulator, known, some) for some in both.split(1)]
    torch.testing.assert_close(best_deviance(simulator, known, both), torch.minimum(*alone))
    assert (alone[0] > alone[1] + 10).float().mean() > 0.7


def test_no_star_shows_every_second_band_two_magnitudes_too_bright(
    simulator: Simulator, stars: Stars
) -> None:
    known, theta = photometry(simulator, stars), stars.theta[stars.population < 2]
    wrong = replace(known, value=known.value - 4.0 * (known.channel % 2))
    assert poor_fit(simulator, wrong, draws(theta), torch.zeros(len(theta))).float().mean() > 0.95
    assert not poor_fit(simulator, wrong, draws(theta, ENOUGH - 1), torch.zeros(len(theta))).any()
    assert not poor_fit(simulator, wrong, draws(theta * torch.nan), torch.zeros(len(theta))).any()


def test_one_wrong_band_is_an_outlier(simulator: Simulator, stars: Stars) -> None:
    known, theta = photometry(simulator, stars), stars.theta[stars.population < 2]
    wrong = replace(known, value=known.value - 1.5 * (known.channel == 3))
    assert poor_fit(simulator, wrong, draws(theta), torch.zeros(len(theta))).float().mean() < 0.05


def test_wrong_parallaxes_and_knowledge_do_not_fit(
    placed_simulator: Simulator, stars: Stars, simulator: Simulator
) -> None:
    if simulator is not placed_simulator:
        pytest.skip("no parallaxes here")
    theta = stars.theta[:1].clone()
    theta[:, simulator.parameters.index("distance")] = 100.0
    for name, right, wrong in (("parallax", 10.1, 40.0), ("prior_logg", theta[0, 1] + 0.1, 9.0)):
        for value, expected in ((right, False), (wrong, True)):
            known = Measurements.from_dense((name,), [[value]], [[0.1]])
            known = known.select(simulator.channels)[0]
            assert (
                poor_fit(simulator, known, draws(theta), torch.zeros(len(theta))).item() == expected
            )


@pytest.mark.parametrize(("name", "after"), [(W4, 0.0), ("2MASS/2MASS.J", 1.0)])
def test_the_light_of_a_disc_does_not_count(
    placed_simulator: Simulator, name: str, after: float
) -> None:
    stars = placed_simulator.draw(300, torch.Generator().manual_seed(6))
    known, theta = photometry(placed_simulator, stars), stars.theta[stars.population < 2]
    here = known.channel == placed_simulator.channels.index(name)
    bright = replace(known, value=known.value - 30.0 * here)
    for probability, expected in ((0.0, 1.0), (1.0, after)):
        flagged = poor_fit(
            placed_simulator, bright, draws(theta), torch.full((len(theta),), probability)
        )
        assert flagged.float().mean() == pytest.approx(expected, abs=0.05)
