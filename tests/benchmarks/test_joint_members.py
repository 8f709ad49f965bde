"""Networks that pool their draws."""

import pytest
import torch

import joint_recipes
from joint_gaussian import Normal
from joint_model import Trained, answer, train
from joint_recipes import Recipe
from joint_tasks import Case

CASE = Case(
    values=torch.tensor([0.0, 0.5, 1.0]),
    given=torch.tensor([False, True, False]),
    reference=torch.zeros(7, 2),
)


def _trained(monkeypatch: pytest.MonkeyPatch, members: int) -> Trained:
    tiny = Recipe(members=members, flow=None, summary=16, bends=8)
    monkeypatch.setitem(joint_recipes.RECIPES, "normal", tiny)
    return train(Normal(), simulations=105, steps=20, seed=0)


def test_members_differ_and_the_first_is_the_one_that_stands_alone(monkeypatch):
    (alone,) = _trained(monkeypatch, 1).networks
    first, second = _trained(monkeypatch, 2).networks
    same = zip(alone.parameters(), first.parameters(), strict=True)
    other = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in same)
    assert not all(torch.equal(*pair) for pair in other)


def test_members_share_the_draws(monkeypatch):
    made = _trained(monkeypatch, 2)
    first = made.networks[0]
    pooled = answer(made, Normal(), CASE, 10, 0)
    assert pooled.shape == (7, 2)
    assert pooled.isfinite().all()
    twice = answer(Trained([first, first], made.scales), Normal(), CASE, 10, 0)
    assert torch.equal(pooled[:4], twice[:4])
    assert not torch.isclose(pooled[4:], twice[4:]).any()
