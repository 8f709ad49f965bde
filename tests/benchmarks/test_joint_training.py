"""What learns in which part of a training on a public task."""

import pytest

import joint_model
import joint_recipes
from joint_gaussian import Normal
from joint_recipes import Recipe


@pytest.fixture
def parts(monkeypatch) -> list[tuple[bool, set[str]]]:
    """Of each part: whether dropout was on, and which weights changed."""
    found = []
    learn = joint_model._best

    def watched(network, *rest):
        training = network.training
        before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        best = learn(network, *rest)
        after = best.named_parameters()
        found.append((training, {name for name, w in after if not w.equal(before[name])}))
        return best

    monkeypatch.setattr(joint_model, "_best", watched)
    return found


def _train(monkeypatch: pytest.MonkeyPatch, dropout: float) -> None:
    tiny = Recipe(flow=None, summary=16, bends=8, dropout=dropout)
    monkeypatch.setitem(joint_recipes.RECIPES, "normal", tiny)
    joint_model.train(Normal(), simulations=105, steps=40, seed=0)


def test_bends_alone_learn_on_without_dropout(monkeypatch, parts):
    _train(monkeypatch, 0.3)
    (noisy, units), (still, bends), (_, velocity) = parts
    assert noisy
    assert not still
    assert bends
    assert all(name.startswith("base.bends.") for name in bends)
    assert bends < units
    assert velocity
    assert not velocity & units


def test_without_dropout_units_and_then_the_velocity_learn(monkeypatch, parts):
    _train(monkeypatch, 0.0)
    (_, units), (_, velocity) = parts
    assert units
    assert velocity
    assert not velocity & units
