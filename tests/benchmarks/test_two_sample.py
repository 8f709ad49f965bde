"""The classifier's accuracy where it is known."""

import pytest
import torch

pytest.importorskip("sklearn")
from joint_tasks.two_sample import c2st


def _draws(seed: int) -> torch.Tensor:
    return torch.randn(2000, 2, generator=torch.Generator().manual_seed(seed))


def test_equal():
    assert c2st(_draws(0), _draws(1)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_shifted(shift):
    """The best possible classifier of normals a distance apart is right with chance Phi(d / 2)."""
    moved = _draws(1) + torch.tensor([shift, 0.0])
    best = torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(shift / 2)).item()
    # Another place and unit for both changes nothing.
    assert c2st(100 * _draws(0) + 7, 100 * moved + 7) == pytest.approx(best, abs=0.02)
