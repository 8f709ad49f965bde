"""Outside knowledge that is sharper than any that a model was trained with."""

from pathlib import Path

import pytest
import torch

from maury.inference.knowledge import blunt_knowledge
from maury.inference.posterior import Posterior
from maury.instruments.knowledge import USUAL_SIGMA
from maury.measurements import Kind, Measurements

SMALLEST = {name: low for name, (low, _) in USUAL_SIGMA.items()}
BANDS = ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp")


def star(name: str, value: float, sigma: float) -> Measurements:
    return Measurements.from_dense(
        (*BANDS, name), [[15.0, 15.3, 14.5, value]], [[1e-3, 1e-3, 1e-3, sigma]]
    )


@pytest.mark.parametrize("name", ["teff", "logg", "mh", "a_v", "r_v"])
def test_errors_are_raised_to_the_smallest_learned_and_no_others_touched(name: str) -> None:
    low, high = SMALLEST[name], 20 * SMALLEST[name]
    for given, used in ((low / 100, low), (low, low), (high, high), (3 * high, 3 * high)):
        found = blunt_knowledge(star(f"prior_{name}", 3.0, given), SMALLEST).sigma[0]
        torch.testing.assert_close(found, torch.tensor([1e-3, 1e-3, 1e-3, used]))


def test_padding_keeps_its_error() -> None:
    obs = Measurements.from_dense(("prior_teff", *BANDS), [[float("nan")] * 4], [[1.0] * 4])
    found = blunt_knowledge(obs, {"teff": 30.0})
    assert (found.kind == Kind.ABSENT).all()
    assert (found.sigma == 1).all()


def test_bands_alone_and_no_channels_pass() -> None:
    obs = Measurements.from_dense(BANDS, [[15.0, 15.3, 14.5]], [[0.001] * 3])
    assert blunt_knowledge(obs, SMALLEST) is obs
    nothing = Measurements.from_dense((), torch.zeros(2, 0), torch.zeros(2, 0))
    assert len(blunt_knowledge(nothing, SMALLEST)) == 2


def test_a_posterior_answers_as_for_the_smallest_error(tiny_folder: Path) -> None:
    post = Posterior.load(tiny_folder)
    smallest = post.config.simulator.knowledge.sigma["logg"][0]
    sharp, learned, wide = (star("prior_logg", 2.5, s) for s in (1e-6, smallest, 20 * smallest))
    torch.testing.assert_close(post.sample(sharp, 50).values, post.sample(learned, 50).values)
    theta = torch.tensor([[5000.0, 2.5, 0.0, 0.1, 3.1]])
    assert post.log_prob(sharp, theta) == post.log_prob(learned, theta)
    assert post.log_prob(wide, theta) != post.log_prob(learned, theta)
