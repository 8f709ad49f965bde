"""The grid that other methods work on, the nearest of its models, the prior given to brutus."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from maury.simulator import PARALLAX, Simulator
from maury.sky.populations.brightness import apparent_magnitudes
from maury.sky.populations.dust import FIELD_DUST
from other_methods.answers import MockStars, relative_error
from other_methods.by_nearest import nearest
from other_methods.dense import Dense
from other_methods.prior_grid import PriorGrid, build_grid


@pytest.fixture(scope="module")
def grid(placed_simulator: Simulator) -> PriorGrid:
    return build_grid(placed_simulator, 400, seed=5)


def light(simulator: Simulator, grid: PriorGrid, pc: float, a_v: float, r_v: float) -> torch.Tensor:
    same = {"distance": pc, "a_v": a_v, "r_v": r_v}
    seen = {name: torch.full_like(grid.gaia, value) for name, value in same.items()}
    return apparent_magnitudes(simulator.table, replace(grid.systems, **seen))


def test_light_of_the_grid_is_that_of_the_simulator(
    placed_simulator: Simulator, grid: PriorGrid
) -> None:
    bare, first, slope = grid.coefficients.unbind(-1)
    for a_v, r_v, within in ((1e-3, 3.1, 1e-3), (0.5, 3.1, 0.02), (1.0, 3.4, 1e-3)):
        linear = bare + a_v * (first + r_v * slope)
        off = (linear - light(placed_simulator, grid, 10.0, a_v, r_v)).abs()
        assert off.quantile(0.95) < within


def test_a_model_is_nearest_to_itself(placed_simulator: Simulator, grid: PriorGrid) -> None:
    seen = light(placed_simulator, grid, 200.0, 1.0, FIELD_DUST.r_v_mean)[:5]
    value = torch.cat([seen, torch.full((5, 1), 5.0)], 1)
    names = (*placed_simulator.config.bands, PARALLAX)
    seen = Dense(names, value, torch.full_like(value, 0.01), torch.zeros(len(names)))
    found = nearest(MockStars(seen, value, torch.zeros(5, 9)), grid).draws[0]
    assert found[:, 0] == pytest.approx(grid.systems.teff[:5].numpy(), rel=1e-6)
    assert found[:, 3] == pytest.approx(1.0, abs=0.02)
    assert found[:, 4] == pytest.approx(200.0, rel=0.02)


def test_brutus_is_given_the_prior(placed_simulator: Simulator, grid: PriorGrid) -> None:
    pytest.importorskip("brutus")
    from other_methods.by_brutus import A_V, PlacePrior

    prior = placed_simulator.prior
    place = PlacePrior(prior, grid)
    kpc = np.geomspace(0.02, 5.0, len(grid))
    labels = np.array([(i,) for i in range(len(grid))], dtype=[("model", np.int64)])
    found = place.distance(kpc, np.zeros(2), labels)
    by_component = prior.places.log_prob(torch.as_tensor(1000 * kpc), grid.gaia)
    expected = by_component.gather(0, grid.systems.component.long()[None])[0].numpy()
    seen = np.isfinite(expected)
    assert 0.2 < seen.mean() < 1
    # Per kpc, not per pc.
    assert found[seen] == pytest.approx(expected[seen] + math.log(1000), abs=1e-6)
    assert (found[~seen] < -1e200).all()
    # One model's dust, integrated.
    nodes = np.geomspace(A_V[0] * 1.001, A_V[1] * 0.999, 4000)
    place.distance(np.full(4000, 0.5), np.zeros(2), labels[np.zeros(4000, dtype=int)])
    density = np.exp(place.dust(nodes, place, np.zeros(2), distance=np.full(4000, 0.5)))
    assert np.trapezoid(density, nodes) == pytest.approx(1.0, abs=0.01)


def test_errors_are_relative_to_ours() -> None:
    ours = np.random.default_rng(0).exponential(size=(50, 5))
    middle, low, high = relative_error(2 * ours, ours)
    assert (middle, low, high) == pytest.approx((2.0, 2.0, 2.0))


def test_outliers_are_few_and_known(placed_simulator: Simulator) -> None:
    stars = MockStars.draw(placed_simulator, 300, seed=2)
    seen, clean = (x.observations for x in (stars, stars.without_outliers()))
    measured = torch.isfinite(seen.value)
    taken = measured & ~torch.isfinite(clean.value)
    assert 0.01 < taken.sum() / measured.sum() < 0.15
    off = (clean.value - stars.true) / clean.width
    assert off[torch.isfinite(off)].std() < 1.3
    assert seen.measurements.measured.sum() == measured.sum()
