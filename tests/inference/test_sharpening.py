"""Knowledge that networks are told bluntly counts in full."""

from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.inference.posterior import Posterior
from maury.inference.sharpening import TAKEN_IN, log_mean, log_weights, resampled, told_bluntly
from maury.instruments.knowledge import USUAL_SIGMA, KnowledgeConfig
from maury.measurements import Measurements

BANDS = ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp")
CONFIG = KnowledgeConfig()
WORST = USUAL_SIGMA["logg"][1]


def stars(values: list[float], sigmas: list[float]) -> Measurements:
    """Three bands and a log g."""
    return Measurements.from_dense(
        (*BANDS, "prior_logg"),
        [[15.0, 15.3, 14.5, value] for value in values],
        [[1e-3, 1e-3, 1e-3, sigma] for sigma in sigmas],
    )


def gaussian_answer(sigma: float, value: float) -> tuple[torch.Tensor, torch.Tensor, Measurements]:
    """Draws of a standard normal told a blunt value, and their weights for a sharp one."""
    known = stars([value], [sigma])
    told, _ = told_bluntly(known, CONFIG)
    blunt = float(told.sigma[0, 3])
    precision = 1 + blunt**-2
    noise = torch.randn(60_000, 1, generator=torch.Generator().manual_seed(1))
    theta = (value / blunt**2 / precision + noise / precision**0.5)[..., None]
    return theta, log_weights(theta, known, told, ("logg",)), known


@settings(max_examples=20, deadline=None)
@given(st.floats(0.02, 0.19), st.floats(-1.0, 1.0))
def test_a_normal_posterior_becomes_that_of_the_sharp_value(sigma: float, value: float) -> None:
    theta, weight, _ = gaussian_answer(sigma, value)
    kept = resampled(theta, weight, 4000, torch.tensor([0.5]))[:, 0, 0]
    spread = (1 + sigma**-2) ** -0.5
    assert abs(kept.mean() - value / sigma**2 * spread**2) < 0.06 * spread
    assert abs(kept.std() / spread - 1) < 0.06


def test_weights_are_normalised_by_their_mean() -> None:
    """The sharp density at a point, in closed form."""
    value, sigma = 0.3, 0.1
    _, weight, known = gaussian_answer(sigma, value)
    told, _ = told_bluntly(known, CONFIG)
    blunt = float(told.sigma[0, 3])
    at = torch.tensor([[[0.25]]])
    before, after = (
        torch.distributions.Normal(value / (1 + s**2), (1 + s**-2) ** -0.5).log_prob(at.squeeze())
        for s in (blunt, sigma)
    )
    found = before + log_weights(at, known, told, ("logg",))[0, 0] - log_mean(weight)[0]
    torch.testing.assert_close(found.float(), after, atol=0.03, rtol=0)


def test_what_contradicts_all_draws_leaves_as_many_as_are_wanted() -> None:
    theta = torch.randn(1024, 2, 3, generator=torch.Generator().manual_seed(2))
    weight = torch.stack([-0.5 * ((theta[:, 0, 0] - 50) / 0.01) ** 2, torch.zeros(1024)], 1)
    kept = resampled(theta, weight, 64, torch.tensor([0.1, 0.9]))
    assert torch.isfinite(kept).all()
    assert len(kept[:, 0].unique(dim=0)) > 32
    assert kept[:, 0, 0].mean() > 1.0  # towards what is known
    assert len(kept[:, 1].unique(dim=0)) == 64


def test_networks_are_told_no_sharper_errors_than_they_take_in() -> None:
    told, sharp = told_bluntly(stars([2.0, 2.0], [0.02, 0.5]), CONFIG)
    assert sharp.tolist() == [True, False]
    torch.testing.assert_close(told.sigma[:, 3], torch.tensor([TAKEN_IN * WORST, 0.5]))
    assert (told.sigma[:, :3] == 1e-3).all()


def test_a_posterior_is_as_sharp_as_what_is_known(tiny_folder: Path) -> None:
    post = Posterior.load(tiny_folder)
    known, blunt = stars([4.0, 4.0], [0.02, 0.5]), stars([4.0], [TAKEN_IN * WORST])
    draws = post.sample(known, 200, seed=3)
    told = post.sample(blunt, 200, seed=3)["logg"]
    assert draws["logg"][:, 0].std() < 0.5 * told.std()
    assert abs(draws["logg"][:, 0].mean() - 4.0) < abs(told.mean() - 4.0) + 0.02
    # The other star is answered as if it were alone.
    alone = post.sample(known[1:], 200, seed=3)
    assert torch.equal(alone.values[:, 0], draws.values[:, 1])


def test_the_density_falls_off_as_what_is_known(tiny_folder: Path) -> None:
    post = Posterior.load(tiny_folder)
    theta = torch.tensor([[[5000.0, 4.0, 0.0, 0.1, 3.1]], [[5000.0, 4.1, 0.0, 0.1, 3.1]]])
    sharp = post.log_prob(stars([4.0], [0.05]), theta)[:, 0]
    blunt = post.log_prob(stars([4.0], [TAKEN_IN * WORST]), theta)[:, 0]
    expected = 0.5 * 0.1**2 * (0.05**-2 - (TAKEN_IN * WORST) ** -2)
    assert abs((sharp[0] - sharp[1]) - (blunt[0] - blunt[1]) - expected) < 1e-3
