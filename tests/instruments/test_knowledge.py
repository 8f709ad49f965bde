"""Outside knowledge: a Gaussian measurement of the parameter itself."""

import pytest
import torch
from pydantic import ValidationError

from maury.instruments.knowledge import (
    RELATIVE,
    USUAL_SIGMA,
    KnowledgeConfig,
    measure_parameters,
)
from maury.parameters import PARAMETERS
from maury.sky.populations import STAR

NAMES = STAR
TRUTH = torch.tensor([5800.0, 4.4, 0.0, 0.5, 3.1])


def measure(config: KnowledgeConfig, count: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    theta = TRUTH.expand(count, -1)
    return measure_parameters(theta, NAMES, config, torch.Generator().manual_seed(0))


def test_values_scatter_about_the_truth_as_their_errors_say() -> None:
    value, sigma = measure(KnowledgeConfig(informed_fraction=1, parameter_fraction=1))
    pull = (value - TRUTH) / sigma
    torch.testing.assert_close(pull.std(0), torch.ones(5), rtol=0.03, atol=0)
    assert pull.mean(0).abs().max() < 0.04


def test_errors_fill_their_range_evenly_in_the_logarithm() -> None:
    config = KnowledgeConfig()
    _, sigma = measure(config)
    for i, name in enumerate(NAMES):
        low, high = config.sigma[name]
        position = torch.log(sigma[:, i] / low) / torch.log(torch.tensor(high / low))
        assert -1e-5 < position.min() < 0.01
        assert 0.99 < position.max() < 1 + 1e-5
        assert position.mean().item() == pytest.approx(0.5, abs=0.02)


def test_knowledge_comes_to_some_users() -> None:
    config = KnowledgeConfig(informed_fraction=0.4, parameter_fraction=0.5)
    known = torch.isfinite(measure(config)[0])
    torch.testing.assert_close(known.float().mean(0), torch.full((5,), 0.2), atol=0.015, rtol=0)
    # Five coins at a half, for 40% of users.
    assert known.any(1).float().mean().item() == pytest.approx(0.4 * (1 - 0.5**5), abs=0.015)
    nobody = KnowledgeConfig(informed_fraction=0)
    assert torch.isnan(measure(nobody, 100)[0]).all()


def test_a_range_for_one_parameter_leaves_the_others() -> None:
    config = KnowledgeConfig(sigma={"a_v": (0.1, 0.2)})
    assert config.sigma == KnowledgeConfig().sigma | {"a_v": (0.1, 0.2)}


@pytest.mark.parametrize(
    ("sigma", "word"),
    [({"av": (0.1, 0.2)}, "'av'"), ({"a_v": (0.2, 0.1)}, "a_v"), ({"a_v": (0.0, 0.1)}, "a_v")],
)
def test_impossible_ranges_are_refused(sigma: dict[str, tuple[float, float]], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        KnowledgeConfig(sigma=sigma)


def test_errors_of_masses_and_distances_are_relative() -> None:
    """A distance of 2 kpc is known to 20 pc, one of 20 pc to 0.2 pc."""
    names = ("mass", "distance", "log_age")
    generator = torch.Generator().manual_seed(1)
    scale = 10 ** (3 * torch.rand(20_000, 1, generator=generator))
    theta = scale * torch.tensor([0.1, 10.0, 1.0])
    config = KnowledgeConfig(informed_fraction=1, parameter_fraction=1)
    value, sigma = measure_parameters(theta, names, config, generator)
    for i, name in enumerate(names):
        low, high = USUAL_SIGMA[name]
        error = sigma[:, i] / theta[:, i] if name in RELATIVE else sigma[:, i]
        assert error.min().item() == pytest.approx(low, rel=0.01)
        assert error.max().item() == pytest.approx(high, rel=0.01)
        # Independent of how large the value is.
        large = theta[:, i] > theta[:, i].median()
        medians = [torch.log(error[rows]).median() for rows in (large, ~large)]
        assert abs(medians[0] - medians[1]) < 0.1
    pull = (value - theta) / sigma
    torch.testing.assert_close(pull.std(0), torch.ones(3), rtol=0.03, atol=0)


def test_everything_that_can_be_known_has_a_name() -> None:
    assert set(RELATIVE) <= set(USUAL_SIGMA) <= set(PARAMETERS)
