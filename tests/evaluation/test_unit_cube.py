"""The map from the unit cube to stars: its Jacobian, and where no star is."""

import math

import pytest
import torch
from torch import Tensor

from maury.evaluation import unit_cube
from maury.evaluation.unit_cube import from_unit_cube
from maury.simulator import Simulator, SimulatorConfig
from maury.sky.isochrones import overall_metallicity
from maury.sky.populations.surveyed.population import isochrone_scatter


def cube(count: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return 0.1 + 0.8 * torch.rand(count, size, generator=generator, dtype=torch.float64)


def volume(simulator: Simulator, point: Tensor, step: float) -> float:
    """log |d theta / d cube| by finite differences, in double precision."""
    shift = step * torch.eye(len(point), dtype=torch.float64)
    sides = torch.cat([point + shift, point - shift])
    if simulator.config.placed:
        theta = unit_cube._galactic(simulator.prior, sides)[0]
    else:
        theta = unit_cube._free(simulator.parameters, sides)[0]
    up, down = theta.split(len(point))
    return float(torch.linalg.slogdet((up - down) / (2 * step)).logabsdet)


@pytest.mark.parametrize("galactic", [True, False])
def test_jacobian_is_that_of_the_map(placed_simulator: Simulator, galactic: bool) -> None:
    simulator = placed_simulator if galactic else Simulator(SimulatorConfig())
    points = cube(40, len(simulator.parameters))
    _, log_jacobian = from_unit_cube(simulator, points)
    alive = torch.isfinite(log_jacobian).nonzero().squeeze(-1)
    assert len(alive) > 10
    # A step that stays between two nodes of the isochrones nearly always.
    found = torch.tensor([volume(simulator, points[i], 1e-7) for i in alive])
    off = (found - log_jacobian[alive]).abs()
    assert off.median() < 1e-4
    assert (off < 1e-2).float().mean() > 0.9


def test_stars_of_the_cube_lie_on_the_isochrones(placed_simulator: Simulator) -> None:
    theta, log_jacobian = from_unit_cube(placed_simulator, cube(200, 9))
    alive = torch.isfinite(log_jacobian)
    assert 0.5 < alive.float().mean() < 1
    assert torch.isfinite(theta).all()
    assert (log_jacobian[~alive] == -math.inf).all()
    stars = dict(zip(placed_simulator.parameters, theta[alive].double().unbind(-1), strict=True))
    prior = placed_simulator.prior
    overall = overall_metallicity(stars["mh"])
    found = prior.isochrones.evolve(stars["mass"], stars["log_age"], overall)
    assert found.inside.float().mean() > 0.95
    off = (
        torch.log(stars["teff"] / found.teff)[found.inside]
        / isochrone_scatter(found.mass)[0][found.inside]
    )
    assert off.abs().quantile(0.95) < 2  # the cube's middle 80% are 1.3 widths either way
