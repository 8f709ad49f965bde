"""What a limiting magnitude lets through: proposals that are normalised, and wide enough."""

import math

import pytest
import torch

from maury.sky.isochrones import load_isochrones
from maury.sky.photometry import cached_table
from maury.sky.populations.milky_way import ROBIN_2003
from maury.sky.populations.milky_way.limit import Limit, Proposal
from maury.sky.populations.milky_way.stars import Stars, StellarContent

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


@pytest.fixture(scope="module")
def limit() -> Limit:
    return Limit("GAIA/GAIA3.G", 15.0, cached_table("phoenix-kurucz", ["GAIA/GAIA3.G"]))


@pytest.fixture(scope="module")
def stars() -> Stars:
    content, part = StellarContent(load_isochrones()), ROBIN_2003.component("thin disc 1-2 Gyr")
    generator = torch.Generator().manual_seed(3)
    interval = torch.randint(content.phases, (400,), generator=generator)
    log_age = content.draw_log_age(part, 400, generator)
    every = content.draw(log_age, torch.zeros_like(log_age), interval, generator)
    return every[torch.nonzero(every.width > 0).squeeze(1)]


def test_magnitudes_of_systems(limit: Limit, stars: Stars) -> None:
    """Companions add light, at most as much as the primary's; what does not shine has no light."""
    clear, r_v = torch.zeros_like(stars.teff), torch.full_like(stars.teff, 3.1)
    both = limit.magnitude(stars, clear, r_v)
    alone = limit.magnitude(
        Stars(**{**vars(stars), "companion_teff": torch.full_like(clear, math.nan)}), clear, r_v
    )
    known = torch.isfinite(both) & torch.isfinite(alone)
    assert known.sum() > 200
    gain = (alone - both)[known]
    dwarf = stars.logg[known] > 4
    assert (gain >= -1e-3).all()
    assert (gain[dwarf] <= 2.5 * math.log10(2) + 0.02).all()
    dead = Stars(**{**vars(stars), "teff": torch.full_like(clear, math.nan)})
    assert torch.isnan(limit.magnitude(dead, clear, r_v)).all()


def test_least_reddening(limit: Limit, stars: Stars) -> None:
    """No star suffers less, and more dust dims more."""
    amounts = torch.tensor([0.0, 0.5, 2.0, 6.0], dtype=torch.float64)
    least = limit.least_reddening(stars, amounts, (2.6, 3.7))
    assert least[0].item() == pytest.approx(0.0, abs=1e-6)
    assert (least.diff() > 0).all()
    clear = limit.magnitude(stars, torch.zeros_like(stars.teff), torch.full_like(stars.teff, 3.1))
    for amount, floor in zip(amounts.tolist(), least.tolist(), strict=True):
        for ratio in (2.6, 3.1, 3.7):
            dimmed = limit.magnitude(
                stars, torch.full_like(clear, amount), torch.full_like(clear, ratio)
            )
            assert ((dimmed - clear).nan_to_num(nan=math.inf) >= floor - 5e-3).all()
