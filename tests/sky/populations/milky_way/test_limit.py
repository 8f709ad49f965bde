"""What a limiting magnitude lets through: proposals that are normalised, and wide enough."""

import math

import pytest
import torch

from maury.sky.populations.milky_way.limit import Proposal

PHASES = 40


def pilot(count: int = 20_000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Phases, weights falling with phase, and headrooms that grow with it: giants are rare."""
    generator = torch.Generator().manual_seed(0)
    interval = torch.randint(PHASES, (count,), generator=generator)
    weight = torch.exp(-interval.double() / 5)
    headroom = interval.double() / 2 + torch.rand(count, generator=generator)
    return interval, weight, headroom


def test_everything_is_proposed_by_weight_without_a_limit() -> None:
    interval, weight, _ = pilot()
    proposal = Proposal.learn(interval, weight, None, PHASES)
    assert proposal.visible.tolist() == pytest.approx([weight.mean().item()])
    assert proposal.share.sum().item() == pytest.approx(1.0)
    assert (proposal.of(torch.tensor([-math.inf, 0.0, 30.0])) == 0).all()


def test_far_away_only_bright_phases_are_proposed() -> None:
    interval, weight, headroom = pilot()
    proposal = Proposal.learn(interval, weight, headroom, PHASES)
    assert torch.allclose(proposal.share.sum(1), torch.ones(len(proposal.visible)).double())
    assert (proposal.visible.diff() <= 1e-12).all()
    row = proposal.of(torch.full((5000,), 15.0, dtype=torch.float64))
    drawn, share = proposal.draw(row, torch.Generator().manual_seed(1))
    assert torch.equal(share, proposal.share[row, drawn])
    bright = drawn >= 25
    assert bright.double().mean() > 0.8
    # Nothing that is seen anywhere is wholly forgotten at any distance.
    assert (proposal.share > 0).all()


def test_draws_follow_their_shares() -> None:
    proposal = Proposal.learn(*pilot(), PHASES)
    row = torch.full((200_000,), 20)
    drawn, _ = proposal.draw(row, torch.Generator().manual_seed(2))
    found = torch.bincount(drawn, minlength=PHASES) / len(row)
    assert torch.allclose(found.double(), proposal.share[20], atol=0.005)


def test_no_star_is_seen() -> None:
    interval, weight, headroom = pilot()
    proposal = Proposal.learn(interval, weight, torch.full_like(headroom, math.nan), PHASES)
    assert (proposal.visible == 0).all()
