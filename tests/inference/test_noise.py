"""Random numbers that belong to a star."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maury.inference import noise
from maury.inference.noise import keyed_uniform

KEYS = torch.arange(-500, 500) * 7919


@given(key=st.integers(-(2**63), 2**63 - 1), seed=st.integers(0, 2**63 - 1))
def test_any_key_and_seed_give_numbers_strictly_between_0_and_1(key: int, seed: int) -> None:
    u = keyed_uniform(torch.tensor([key]), 3, 5, seed=seed)
    assert u.shape == (3, 1, 5)
    assert ((u > 0) & (u < 1)).all()


@pytest.mark.parametrize("word", [-1, 0])
def test_the_extreme_words_stay_inside(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ones once rounded up to exactly 1."""
    monkeypatch.setattr(noise, "mix", lambda x: torch.full_like(x, word))
    u = keyed_uniform(KEYS, 1, 1, seed=0)
    assert ((u > 0) & (u < 1)).all()


def test_numbers_depend_on_their_labels_alone() -> None:
    everything = keyed_uniform(KEYS, 8, 3, seed=1)
    assert torch.equal(keyed_uniform(KEYS[17:18], 8, 3, seed=1), everything[:, 17:18])
    assert torch.equal(keyed_uniform(KEYS.flip(0), 8, 3, seed=1), everything.flip(1))
    assert torch.equal(keyed_uniform(KEYS, 3, 3, seed=1, first=5), everything[5:])
    assert not torch.equal(keyed_uniform(KEYS, 8, 3, seed=2), everything)


def test_numbers_are_even_and_unrelated() -> None:
    u = keyed_uniform(KEYS, 200, 2, seed=3)
    counts = torch.histc(u.flatten(), 100, 0, 1)
    expected = u.numel() / 100
    chi2 = ((counts - expected) ** 2 / expected).sum().item()
    assert 99 - 5 * 14.1 < chi2 < 99 + 5 * 14.1
    for axis in range(3):
        one = u.narrow(axis, 0, u.shape[axis] - 1).flatten()
        other = u.narrow(axis, 1, u.shape[axis] - 1).flatten()
        correlation = torch.corrcoef(torch.stack([one, other]))[0, 1]
        assert correlation.abs() < 5 / len(one) ** 0.5
    neighbours = torch.corrcoef(
        torch.stack([keyed_uniform(KEYS, 50, 2, seed=s).flatten() for s in (3, 4)])
    )[0, 1]
    assert neighbours.abs() < 5 / 100_000**0.5
