"""Answers of a joint model: any conditional of parameters and measurements."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from maury.errors import MauryError
from maury.inference.posterior import Posterior
from maury.inference.sharpening import told_bluntly
from maury.measurements import Measurements
from maury.parameters import PARAMETERS
from maury.simulator import PARALLAX, Simulator, Stars
from maury.training.checkpoint import Progress
from maury.training.config import ModelConfig
from maury.training.folder import load_model, save_model
from maury.training.network import build_network

G, BP, RP, KS = "GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp", "2MASS/2MASS.Ks"


@pytest.fixture(scope="module")
def stars(placed_simulator: Simulator) -> Stars:
    return placed_simulator.draw(2000, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def post(placed: dict[str, Any], placed_simulator: Simulator, stars: Stars) -> Posterior:
    """After sixty steps on few stars: far from right, and no longer blind."""
    sizes = {"kind": "joint", "width": 16, "layers": 2, "heads": 2, "feedforward": 32}
    config = ModelConfig.model_validate(placed | {"network": sizes})
    torch.manual_seed(0)
    network = build_network(config, placed_simulator)
    network.fit_scales(stars.theta, stars.measurements)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for step in range(60):
        rows = torch.arange(128) + 128 * (step % 15)
        loss = network.loss(stars.theta[rows], stars.measurements[rows], stars.population[rows])
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return Posterior(config, network.requires_grad_(False))


@pytest.fixture(scope="module")
def some(stars: Stars) -> Measurements:
    return stars.measurements[:40]


def star(parallax: float = 10.0, ks: float = 8.27) -> Measurements:
    value = [[9.67, 9.99, 9.17, ks, parallax]]
    return Measurements.from_dense(
        (G, BP, RP, KS, PARALLAX), value, [[0.01, 0.01, 0.01, 0.02, 0.03]]
    )


def test_draws_are_of_all_parameters_within_their_bounds(
    post: Posterior, some: Measurements
) -> None:
    draws = post.sample(some, 20, seed=1)
    assert draws.values.shape[:2] == (20, len(some))
    assert torch.isfinite(draws.values).all()
    for name in post.parameters:
        bounds = PARAMETERS[name]
        assert bounds.lower <= draws[name].min()
        assert draws[name].max() <= bounds.upper
    assert torch.isfinite(post.log_prob(some[:2], draws.values[:2, :2])).all()
    assert post.log_prob(some[:2], draws.values[:0, :2]).shape == (0, 2)


def test_an_answer_depends_on_the_star_and_the_seed_alone(
    post: Posterior, some: Measurements
) -> None:
    together = post.sample(some, 8, seed=1).values
    alone = post.sample(some[7:8], 8, seed=1).values
    torch.testing.assert_close(alone[:, 0], together[:, 7], rtol=2e-4, atol=2e-4)
    assert not torch.equal(post.sample(some, 8, seed=2).values, together)
    told = told_bluntly(post.known(some), post.config.simulator.knowledge)[1]
    longer = post.sample(some[~told], 40, seed=1).values
    torch.testing.assert_close(longer[:8], together[:, ~told], rtol=2e-4, atol=2e-4)


def test_data_change_the_answer(post: Posterior) -> None:
    near, far = (post.sample(star(parallax), 50)["distance"].median() for parallax in (10.0, 1.0))
    assert far > 1.2 * near


def test_a_star_without_data_has_no_answer_and_limits_do_not_count(post: Posterior) -> None:
    nothing = Measurements.from_dense((G,), [[math.nan]], [[0.01]])
    assert post.sample(nothing, 3).values.isnan().all()


def test_what_is_given_exactly_stays(post: Posterior, some: Measurements) -> None:
    draws = post.sample(some, 20, given={"logg": 4.4, "distance": 120.0})
    assert (draws["logg"] == torch.tensor(4.4)).all()
    assert (draws["distance"] == 120.0).all()
    free = post.sample(some, 20)
    assert not torch.equal(draws["teff"], free["teff"])


def test_what_is_given_with_an_error_is_outside_knowledge(post: Posterior) -> None:
    value = torch.tensor([[9.67, 9.99, 9.17, 8.27, 10.0, 4.4]])
    sigma = torch.tensor([[0.01, 0.01, 0.01, 0.02, 0.03, 0.05]])
    column = Measurements.from_dense((G, BP, RP, KS, PARALLAX, "prior_logg"), value, sigma)
    given = post.sample(star(), 8, given={"logg": (4.4, 0.05)}).values
    torch.testing.assert_close(given, post.sample(column, 8).values)
    again = post.sample(column, 8, given={"logg": (2.0, 0.05)}).values
    torch.testing.assert_close(again, post.sample(star(), 8, given={"logg": (2.0, 0.05)}).values)


def test_predictions_do_not_read_what_they_predict(post: Posterior) -> None:
    one = post.predict(star(ks=8.27), [KS, PARALLAX], 30, seed=3)
    other = post.predict(star(ks=5.0, parallax=0.1), [KS, PARALLAX], 30, seed=3)
    assert one.values.shape == (30, 1, 2)
    torch.testing.assert_close(one.values, other.values)
    fainter = replace(star(), value=star().value + torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]))
    assert not torch.allclose(post.predict(fainter, [KS], 30, seed=3)[KS], one[KS])
    assert set(one.summary().colnames) >= {KS, f"{KS}_lo", "parallax_hi"}


def test_a_likelihood_can_be_drawn_from(post: Posterior, stars: Stars) -> None:
    exact = {name: float(stars.theta[0, i]) for i, name in enumerate(post.parameters)}
    nothing = Measurements.from_dense((G,), [[math.nan]], [[0.01]])
    drawn = post.predict(nothing, [G, KS], 20, given=exact).values
    assert torch.isfinite(drawn).all()
    assert drawn.std(0).min() > 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: p.predict(star(), ["Generic/Johnson.V"]), "cannot predict"),
        (lambda p: p.predict(star(), ["prior_teff"]), "cannot predict"),
        (lambda p: p.predict(star(), [KS], sigma=0.0), "sigma"),
        (lambda p: p.predict(star(), [KS], 0), "draws"),
        (lambda p: p.sample(star(), 2, given={"gravity": 4.4}), "gravity"),
        (lambda p: p.sample(star(), 2, given={"logg": 44.0}), "between"),
        (lambda p: p.sample(star(), 2, given={"logg": (4.4, 0.0)}), "above zero"),
    ],
)
def test_questions_without_sense_are_refused(post: Posterior, call: Any, words: str) -> None:
    with pytest.raises(MauryError, match=words):
        call(post)


def test_flows_neither_predict_nor_hold_parameters_fixed(
    placed: dict[str, Any], placed_simulator: Simulator
) -> None:
    config = ModelConfig.model_validate(placed)
    flow = Posterior(config, build_network(config, placed_simulator).requires_grad_(False))
    with pytest.raises(MauryError, match="joint model"):
        flow.predict(star(), [KS])
    with pytest.raises(MauryError, match="fixed"):
        flow.sample(star(), 2, given={"logg": 4.4})
    assert flow.sample(star(), 2, given={"logg": (4.4, 0.05)}).values.shape[1] == 1


def test_a_joint_model_is_saved_and_loaded(
    post: Posterior, some: Measurements, tmp_path: Any
) -> None:
    save_model(tmp_path, post.config, post.network, Progress(step=1, best_step=1, best_loss=1.0))
    config, network = load_model(tmp_path)
    again = Posterior(config, network).sample(some, 4, seed=1).values
    torch.testing.assert_close(again, post.sample(some, 4, seed=1).values)
    assert "Joint network" in (tmp_path / "card.md").read_text()
