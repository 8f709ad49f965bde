"""Answers of a model whose stars have distances."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from maury.flags import Flag
from maury.inference import by_flow
from maury.inference import posterior as module
from maury.inference.blocks import contexts
from maury.inference.completion import COMPLETED
from maury.inference.draws import Draws
from maury.inference.posterior import Posterior
from maury.measurements import Measurements
from maury.parameters import PARAMETERS
from maury.simulator import PARALLAX, Simulator, Stars
from maury.sky.skies import POPULATIONS
from maury.training.config import ModelConfig
from maury.training.network import build_network

DISTANCE = 8


@pytest.fixture(scope="module")
def stars(placed_simulator: Simulator) -> Stars:
    return placed_simulator.draw(4000, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def post(placed: dict[str, Any], placed_simulator: Simulator, stars: Stars) -> Posterior:
    """After a hundred steps on the same few stars: far from right, and no longer blind."""
    config = ModelConfig.model_validate(placed)
    torch.manual_seed(0)
    network = build_network(config, placed_simulator)
    network.fit_scales(stars.theta, stars.measurements)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for step in range(100):
        rows = torch.arange(256) + 256 * (step % 15)
        loss = network.loss(stars.theta[rows], stars.measurements[rows], stars.population[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    assert torch.isfinite(loss)
    return Posterior(config, network.requires_grad_(False))


@pytest.fixture(scope="module")
def some(stars: Stars) -> Measurements:
    return stars.measurements[:300]


def sunlike(parallax: float | None = 10.0, *, away: float = 1.0) -> Measurements:
    """A star much like the Sun at 100 pc, or ``away`` times as far."""
    bands = ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp", "2MASS/2MASS.Ks")
    magnitudes = [m + 5 + 5 * math.log10(away) for m in (4.67, 4.99, 4.17, 3.27)]
    value = [*magnitudes, math.nan if parallax is None else parallax / away]
    sigma = [0.01, 0.01, 0.01, 0.02, 0.03 / away]
    return Measurements.from_dense((*bands, PARALLAX), [value], [sigma])


def close(one: Tensor, other: Tensor) -> None:
    # A residual is stretched by tens of errors: the last digits of a distance are worth less.
    torch.testing.assert_close(one, other, rtol=2e-4, atol=2e-4, equal_nan=True)


def test_densities_are_over_the_minimal_set_and_draws_hold_what_follows(
    post: Posterior, placed_simulator: Simulator, some: Measurements
) -> None:
    assert post.parameters == placed_simulator.parameters
    assert post.parameters[DISTANCE] == "distance"
    draws = post.sample(some, 20)
    assert draws.parameters == (*post.parameters, *COMPLETED)
    assert draws.values.shape == (20, len(some), len(post.parameters) + 2)
    assert torch.isfinite(draws.values).all()
    light = 2 * torch.log10(draws["radius"]) + 4 * torch.log10(draws["teff"] / 5772)
    torch.testing.assert_close(light, draws["log_lum"], atol=1e-4, rtol=0)


def test_no_draw_leaves_its_bounds(post: Posterior, some: Measurements) -> None:
    draws = post.sample(some, 50)
    for name in post.parameters:
        assert draws[name].min() > torch.tensor(PARAMETERS[name].lower)
        assert draws[name].max() < torch.tensor(PARAMETERS[name].upper)
    density = post.log_prob(some, draws.values[..., : len(post.parameters)])
    assert torch.isfinite(density).all()


def test_a_star_is_the_same_alone_and_in_any_chunk(
    post: Posterior, some: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = post.sample(some, 8, seed=3).values
    backwards = post.sample(some[torch.arange(len(some) - 1, -1, -1)], 8, seed=3).values
    close(backwards.flip(1), together)
    for i in (0, 77, len(some) - 1):
        close(post.sample(some[i : i + 1], 8, seed=3).values, together[:, i : i + 1])
    theta = together[..., : len(post.parameters)]
    density = post.log_prob(some, theta)
    monkeypatch.setattr(module, "STARS_AT_ONCE", 170)
    monkeypatch.setattr(by_flow, "DRAWS_AT_ONCE", 100)
    close(post.sample(some, 8, seed=3).values, together)
    torch.testing.assert_close(post.log_prob(some, theta), density, rtol=1e-4, atol=1e-2)


def test_order_of_channels_changes_nothing(post: Posterior, some: Measurements) -> None:
    turned = replace(
        some,
        channel=some.channel.flip(1),
        value=some.value.flip(1),
        sigma=some.sigma.flip(1),
        kind=some.kind.flip(1),
    ).with_slots(20)
    close(post.sample(turned, 8).values, post.sample(some, 8).values)


def test_what_was_measured_moves_every_parameter(post: Posterior, stars: Stars) -> None:
    draws = post.sample(stars.measurements[:50], 200).values
    for i in range(len(post.parameters)):
        medians, width = draws[..., i].median(0).values, draws[..., i].std(0).median()
        assert medians.std() > 0.02 * width


def test_a_star_moved_away_is_found_farther(post: Posterior) -> None:
    """Magnitudes fainter, parallax smaller: nearly the same star at another distance."""
    near, far = (post.sample(sunlike(away=a), 500)["distance"].median().item() for a in (1, 4))
    assert 2.5 < far / near < 6


def test_a_disc_makes_a_star_young(post: Posterior, stars: Stars) -> None:
    """Where kinds can be told: the excess at 22 micron was learned."""
    chances = post.populations(stars.measurements)
    assert tuple(chances) == POPULATIONS
    total = torch.stack(list(chances.values())).sum(0)
    torch.testing.assert_close(total, torch.ones(len(total)))
    disc = stars.population == POPULATIONS.index("young with disc")
    found = chances["young with disc"]
    assert found[disc].mean() > 2 * found[~disc].mean()


def test_unanswerable_stars_have_no_kind(post: Posterior) -> None:
    nothing = sunlike()
    nothing = replace(nothing, kind=torch.zeros_like(nothing.kind))
    assert all(torch.isnan(p).all() for p in post.populations(nothing).values())
    assert torch.isnan(post.sample(nothing, 3).values).all()
    assert all(len(p) == 0 for p in post.populations(nothing[:0]).values())


def test_parallax_or_knowledge_alone_is_answered(post: Posterior) -> None:
    for names, value, sigma in (((PARALLAX,), 5.0, 0.1), (("prior_logg",), 4.4, 0.1)):
        alone = Measurements.from_dense(names, [[value]], [[sigma]])
        draws = post.sample(alone, 50)
        assert torch.isfinite(draws.values).all()
        theta = draws.values[..., : len(post.parameters)]
        assert torch.isfinite(post.log_prob(alone, theta)).all()
        assert post.flags(alone, draws) & Flag.TOO_FEW


# -- density -------------------------------------------------------------------------------


def test_density_of_distance_integrates_to_that_of_the_rest(post: Posterior) -> None:
    """Over distance in parsec by a fine grid; beside it, over the flow's own coordinate."""
    star = sunlike()
    theta = post.sample(star, 3).values[:, 0, : len(post.parameters)]
    grid = 10 ** torch.linspace(-1, 6, 40_001, dtype=torch.float64)[1:-1].float()
    network, known = post.network, post.known(star)
    context, seen = contexts(network, known), network.seen(known)
    whitened = torch.linspace(-60, 60, 20_001)
    for one in theta:
        along = one.repeat(len(grid), 1, 1)
        along[:, 0, DISTANCE] = grid
        density = post.log_prob(star, along)[:, 0].double().exp()
        by_distance = torch.trapezoid(density, grid.double())
        white = network.whitened(one[None, None], seen).repeat(len(whitened), 1, 1)
        white[..., DISTANCE] = whitened[:, None]
        flow = network.flow.log_prob(white, context)[:, 0].double()
        rest = [
            p.log_abs_det(one[i]) - network.scale[i].log()
            for i, p in enumerate(network.parameters_of_star)
            if i != DISTANCE
        ]
        by_residual = torch.trapezoid(flow.exp(), whitened.double()) * sum(rest).double().exp()
        assert (by_distance / by_residual).item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("name", "factor"), [("distance", 1.002), ("teff", 1.01), ("mass", 1.02), ("a_v", 1.1)]
)
def test_density_is_that_of_the_draws(post: Posterior, name: str, factor: float) -> None:
    """The mean over draws of p(moved) / p(here) is the mass of the moved density: one."""
    star = sunlike()
    theta = post.sample(star, 8000, seed=9).values[..., : len(post.parameters)]
    moved = theta.clone()
    moved[..., post.parameters.index(name)] *= factor
    ratio = factor * torch.exp(post.log_prob(star, moved) - post.log_prob(star, theta)).double()
    error = (ratio.std() / math.sqrt(len(ratio))).item()
    assert error < 0.05
    assert ratio.mean().item() == pytest.approx(1.0, abs=4 * error + 0.01)


def test_density_is_zero_outside_the_bounds(post: Posterior) -> None:
    star = sunlike()
    inside = post.sample(star, 1).values[:, :, : len(post.parameters)]
    for name, value in (("distance", -3.0), ("distance", 2e6), ("teff", -1.0), ("q", math.nan)):
        outside = inside.clone()
        outside[..., post.parameters.index(name)] = value
        assert (post.log_prob(star, outside) == -torch.inf).all()


# -- flags ---------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [0.005, 0.5, 0.9995])
def test_no_companion_and_twins_are_no_edge(post: Posterior, q: float) -> None:
    values = [5772.0, 4.44, 0.0, 0.1, 3.1, 1.0, 9.6, q, 100.0]
    draws = Draws(torch.tensor(values).expand(10, 1, 9), post.parameters)
    assert post.flags(sunlike(), draws) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("distance", 9.9e4), ("log_age", 10.148), ("log_age", 5.72), ("mh", 0.445), ("mass", 0.1)],
)
def test_edges_of_the_prior_are_flagged(post: Posterior, name: str, value: float) -> None:
    """Those of what was simulated: the parameters' own bounds lie far beyond."""
    draws = torch.tensor([5772.0, 4.44, 0.0, 0.1, 3.1, 1.0, 9.6, 0.2, 100.0]).repeat(10, 1, 1)
    draws[:2, 0, post.parameters.index(name)] = value
    assert post.flags(sunlike(), Draws(draws, post.parameters)) == 0
    draws[:3, 0, post.parameters.index(name)] = value
    assert post.flags(sunlike(), Draws(draws, post.parameters)) == Flag.PRIOR_EDGE


def test_the_old_are_no_edge(post: Posterior) -> None:
    """Twelve billion years: a twentieth of a dex from the end, and many a star's age."""
    values = [5772.0, 4.44, -1.0, 0.1, 3.1, 0.8, 10.08, 0.2, 100.0]
    draws = Draws(torch.tensor(values).expand(10, 1, 9), post.parameters)
    assert post.flags(sunlike(), draws) == 0
