"""Stated probabilities against what is true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.evaluation.reliability import reliability, roc_area


def honest(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    stated = random.random(n)
    return stated, random.random(n) < stated


def test_honest_probabilities_lie_on_the_diagonal() -> None:
    found = reliability(*honest(200_000))
    assert found.worst < 4
    assert found.count.sum() == 200_000
    assert found.brier == pytest.approx(1 / 6, abs=0.003)  # the mean of p (1 - p)


def test_overconfidence_shows() -> None:
    stated, truth = honest(20_000)
    bold = stated**2 / (stated**2 + (1 - stated) ** 2)
    assert reliability(bold, truth).worst > 10


def test_area_of_scores_is_the_chance_to_be_above() -> None:
    assert roc_area([0.1, 0.4, 0.35, 0.8], [False, False, True, True]) == 0.75
    assert roc_area([0, 1], [False, True]) == 1
    assert roc_area([1, 1], [False, True]) == 0.5
    assert np.isnan(roc_area([0.3, 0.2], [True, True]))


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=2, max_size=60))
def test_area_does_not_depend_on_the_scale_and_turns_with_the_truth(
    stars: list[tuple[int, bool]],
) -> None:
    score, truth = (np.array(column) for column in zip(*stars, strict=True))
    area = roc_area(score, truth)
    assert area == pytest.approx(roc_area(np.exp(score / 10), truth), nan_ok=True)
    assert area == pytest.approx(1 - roc_area(score, ~truth), nan_ok=True)


def test_stars_without_an_answer_are_left_out_and_none_is_an_error() -> None:
    assert reliability([0.5, np.nan], [True, True]).count.sum() == 1
    with pytest.raises(MauryError, match="no star"):
        reliability([np.nan], [True])
