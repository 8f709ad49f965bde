"""Gaia's two releases for a model that knows one."""

import pytest
import torch

from maury.inference.gaia import DR2_MINUS_DR3, gaia_counterparts, translate_gaia
from maury.measurements import Measurements

NEW = tuple(f"GAIA/GAIA3.{s}" for s in DR2_MINUS_DR3)
OLD = tuple(f"GAIA/GAIA2r.{s}" for s in DR2_MINUS_DR3)
OFFSETS = torch.tensor(list(DR2_MINUS_DR3.values()))
J = "2MASS/2MASS.J"


def measured(channels: tuple[str, ...], value: list[list[float]]) -> Measurements:
    values = torch.tensor(value)
    return Measurements.from_dense(channels, values, torch.full_like(values, 0.01))


def dense(observations: Measurements, channel: str) -> torch.Tensor:
    """Values (N,) of a channel, NaN where absent."""
    return torch.as_tensor(observations.to_table()[channel].data)


def test_old_magnitudes_become_new_ones_and_back() -> None:
    """DR2 minus DR3 was measured as +0.015, +0.020 and +0.010 mag in M67."""
    old = measured((*OLD, J), [[15.0, 15.5, 14.4, 13.0], [12.0, float("nan"), 11.0, 10.0]])
    new = translate_gaia(old, (*NEW, J))
    assert new.channels == (*NEW, J)
    for i, name in enumerate(NEW):
        expected = dense(old, OLD[i]) - OFFSETS[i]
        torch.testing.assert_close(dense(new, name), expected, equal_nan=True)
    assert torch.equal(dense(new, J), dense(old, J))
    back = translate_gaia(new, (*OLD, J))
    for name in OLD:
        torch.testing.assert_close(dense(back, name), dense(old, name), equal_nan=True)


@pytest.mark.parametrize("known", [(*OLD, *NEW, J), (J,), ()])
def test_a_model_of_both_or_neither_gets_what_there_is(known: tuple[str, ...]) -> None:
    old = measured((*OLD, J), [[15.0, 15.5, 14.4, 13.0]])
    assert torch.equal(translate_gaia(old, known).hash(), old.hash())


def test_a_star_in_both_releases_keeps_the_one_that_is_known() -> None:
    """Twice the same band would be a measurement that no training star ever had."""
    both = measured((OLD[0], NEW[0], J), [[15.0, 14.9, 13.0], [15.0, float("nan"), 13.0]])
    result = translate_gaia(both, (*NEW, J))
    assert result.count.tolist() == [2, 2]
    torch.testing.assert_close(dense(result, NEW[0]), torch.tensor([14.9, 15.0 - 0.015]))


def test_counterparts() -> None:
    assert gaia_counterparts((OLD[1], NEW[2], J)) == {OLD[1]: NEW[1], NEW[2]: OLD[2]}


def test_nothing_to_translate() -> None:
    nothing = Measurements.from_dense((), torch.zeros(3, 0), torch.zeros(3, 0))
    assert len(translate_gaia(nothing, NEW)) == 3
