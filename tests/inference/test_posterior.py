"""A trained model's answers: whose they are, where they lie, and what density they follow."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from maury.errors import MauryError
from maury.flags import Flag
from maury.inference import by_flow
from maury.inference import posterior as module
from maury.inference.draws import Draws
from maury.inference.noise import keyed_uniform
from maury.inference.posterior import Posterior
from maury.instruments.photometric_zero_point import CATALOGUE_OFFSETS
from maury.measurements import Kind, Measurements
from maury.nets.joint.estimator import JointEstimator
from maury.parameters import PARAMETERS
from maury.training.folder import model_names

NAN = math.nan
SUN = [15.0, 15.3, 14.5, 13.8, 13.4]


@pytest.fixture(scope="module")
def post(tiny_folder: Path) -> Posterior:
    return Posterior.load(tiny_folder)


@pytest.fixture(scope="module")
def crowd(post: Posterior) -> tuple[Tensor, Measurements]:
    """Truth and measurements of 2,000 simulated stars."""
    return post.simulate(2000, seed=11)


def star(
    post: Posterior, magnitudes: list[float] = SUN, **knowledge: tuple[float, float]
) -> Measurements:
    """One star with errors of 0.03 mag."""
    names = [*post.channels[: len(magnitudes)], *(f"prior_{name}" for name in knowledge)]
    value = [*magnitudes, *(v for v, _ in knowledge.values())]
    sigma = [0.03] * len(magnitudes) + [s for _, s in knowledge.values()]
    return Measurements.from_dense(names, [value], [sigma])


def plain(observations: Measurements) -> Measurements:
    """The same stars, and nothing known besides: sharp knowledge chooses among draws, and the least
    change may change the choice."""
    names = [name.startswith("prior_") for name in observations.channels]
    return observations.without(torch.tensor(names)[observations.channel])


def close(one: Draws, other: Draws) -> None:
    torch.testing.assert_close(one.values, other.values, rtol=1e-5, atol=1e-5, equal_nan=True)


# -- whose answer --------------------------------------------------------------------------


def test_order_of_bands_changes_nothing(
    post: Posterior, crowd: tuple[Tensor, Measurements]
) -> None:
    some = crowd[1][:200]
    table = some.to_table()
    names = some.channels[::-1]
    values = [table[name].data - CATALOGUE_OFFSETS.get(name, 0.0) for name in names]
    turned = Measurements.from_dense(
        names,
        torch.as_tensor(np.stack(values, axis=1)).float(),
        torch.stack([torch.as_tensor(table[f"{name}_err"].data) for name in names], dim=1),
    )
    assert turned.channels != some.channels
    close(post.sample(turned, 16), post.sample(some, 16))


def test_padding_changes_nothing(post: Posterior, crowd: tuple[Tensor, Measurements]) -> None:
    """A predecessor had no mask: stars had to be grouped by their number of bands."""
    some = crowd[1][:100]
    padded = some.with_slots(some.channel.shape[1] + 9)
    close(post.sample(padded, 16), post.sample(some.compact(), 16))


def test_a_star_is_the_same_alone_first_last_and_in_any_chunk(
    post: Posterior, crowd: tuple[Tensor, Measurements], monkeypatch: pytest.MonkeyPatch
) -> None:
    everyone = crowd[1]
    together = post.sample(everyone, 8, seed=3)
    backwards = post.sample(everyone[torch.arange(1999, -1, -1)], 8, seed=3)
    close(Draws(backwards.values.flip(1), post.parameters), together)
    for i in (0, 777, 1999):
        alone = post.sample(everyone[i : i + 1], 8, seed=3)
        close(alone, Draws(together.values[:, i : i + 1], post.parameters))
    monkeypatch.setattr(module, "STARS_AT_ONCE", 300)
    monkeypatch.setattr(by_flow, "DRAWS_AT_ONCE", 700)
    close(post.sample(everyone, 8, seed=3), together)


def test_densities_are_the_same_in_any_chunk(
    post: Posterior, crowd: tuple[Tensor, Measurements], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = crowd[1][:100]
    theta = post.sample(some, 16).values
    together = post.log_prob(some, theta)
    monkeypatch.setattr(module, "STARS_AT_ONCE", 40)
    monkeypatch.setattr(by_flow, "DRAWS_AT_ONCE", 70)
    torch.testing.assert_close(post.log_prob(some, theta), together, rtol=1e-5, atol=1e-4)


def test_more_draws_extend_earlier_ones(
    post: Posterior, crowd: tuple[Tensor, Measurements]
) -> None:
    some = plain(crowd[1][:50])
    few, many = post.sample(some, 10), post.sample(some, 64)
    close(Draws(many.values[:10], post.parameters), few)


def test_the_seed_changes_every_draw(post: Posterior) -> None:
    one, other = post.sample(star(post), 50, seed=0), post.sample(star(post), 50, seed=1)
    assert (one.values != other.values).any(-1).all()


def test_a_constant_added_to_all_magnitudes_changes_nothing(
    post: Posterior, crowd: tuple[Tensor, Measurements]
) -> None:
    theta, near = crowd[0][:300], plain(crowd[1][:300])
    shifted = torch.where(near.present, near.value + 2.5, near.value)
    far = Measurements(near.channels, near.channel, shifted, near.sigma, near.kind, near.rejected)
    one, other = post.log_prob(near, theta), post.log_prob(far, theta)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


def test_channels_that_the_model_does_not_know_change_nothing(post: Posterior) -> None:
    known = star(post)
    more = Measurements.from_dense(
        [*known.channels, "SLOAN/SDSS.u", "parallax"], [[*SUN, 17.0, 5.0]], [[0.03] * 7]
    )
    close(post.sample(more, 16), post.sample(known, 16))


def test_one_gaia_release_stands_for_the_other(post: Posterior) -> None:
    offsets = [0.015, 0.020, 0.010]
    old = [name.replace("GAIA3", "GAIA2r") for name in post.channels[:3]]
    moved = [m + o for m, o in zip(SUN, offsets, strict=False)] + SUN[3:]
    names = [*old, *post.channels[3:5]]
    theirs = Measurements.from_dense(names, [moved], [[0.03] * 5])
    theta = torch.tensor([[5800.0, 4.4, 0.0, 0.3, 3.1]])
    torch.testing.assert_close(
        post.log_prob(theirs, theta), post.log_prob(star(post), theta), rtol=1e-4, atol=1e-3
    )
    assert post.usable([*names, "SLOAN/SDSS.u", "prior_a_v"]) == (*names, "prior_a_v")


# -- where it lies -------------------------------------------------------------------------


def test_no_draw_leaves_its_bounds(post: Posterior, crowd: tuple[Tensor, Measurements]) -> None:
    """A predecessor's temperatures, gravities, metallicities and R_V were not bounded."""
    wild = star(post, [4.0, 30.0, -5.0, 40.0, 10.0])
    for observations in (crowd[1], wild):
        draws = post.sample(observations, 100)
        for name in post.parameters:
            bounds = PARAMETERS[name]
            assert draws[name].min() > torch.tensor(bounds.lower)
            assert draws[name].max() < torch.tensor(bounds.upper)
        assert torch.isfinite(post.log_prob(observations, draws.values)).all()


def test_what_was_measured_moves_every_parameter(post: Posterior) -> None:
    """A predecessor's first coordinate never saw the data."""
    contexts = [
        post.network.context(post.known(star(post, m))) for m in (SUN, [15, 17.5, 13.8, 12, 10.8])
    ]
    noise = keyed_uniform(torch.tensor([1]), 500, post.network.noise_size, seed=0)
    one, other = (post.network.draw(noise, c).squeeze(1) for c in contexts)
    for i in range(len(post.parameters)):
        spread = one[:, i].std()
        assert (one[:, i] - other[:, i]).abs().median() > 1e-3 * spread


def test_red_stars_are_cooler(post: Posterior) -> None:
    blue = post.sample(star(post, [15.0, 14.95, 15.05, 15.0, 15.0]), 500)["teff"].median()
    red = post.sample(star(post, [15.0, 16.2, 13.9, 12.3, 11.4], a_v=(0.05, 0.02)), 500)
    assert red["teff"].median() < 0.6 * blue


def test_outside_knowledge_is_believed(post: Posterior) -> None:
    means = [
        post.sample(star(post, a_v=(a_v, 0.05)), 1000)["a_v"].median().item()
        for a_v in (0.05, 0.5, 2.0)
    ]
    assert means == sorted(means)
    assert means[2] > 4 * means[0]
    surer = post.sample(star(post, logg=(4.5, 0.02)), 1000)["logg"].std()
    assert surer < post.sample(star(post), 1000)["logg"].std()


# -- what density --------------------------------------------------------------------------


def proposal(draws: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Samples (count, D) and log density of Student-t kernels about some of the draws (K, D)."""
    freedom, kernels, size = 8, 1000, draws.shape[1]
    factor = torch.linalg.cholesky(0.2 * torch.cov(draws.T))
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(count, size + freedom, generator=generator, dtype=torch.float64)
    scale = noise[:, size:].square().mean(-1, keepdim=True).sqrt()
    centre = torch.linalg.solve_triangular(factor, draws[:kernels].T, upper=False).T
    y = centre[torch.arange(count) % kernels] + noise[:, :size] / scale
    kernel = -0.5 * (freedom + size) * torch.log1p(torch.cdist(y, centre) ** 2 / freedom)
    log_density = (
        torch.logsumexp(kernel, dim=-1)
        - math.log(kernels)
        + math.lgamma((freedom + size) / 2)
        - math.lgamma(freedom / 2)
        - 0.5 * size * math.log(freedom * math.pi)
        - factor.diagonal().log().sum()
    )
    return y @ factor.T, log_density


def test_density_integrates_to_one_and_is_that_of_the_draws(post: Posterior) -> None:
    """A predecessor's log_prob had a correlation of 0.16 with the density of its draws.

    The integral over physical units by importance sampling, with the Jacobian left to autograd;
    the means that its weights give must be those of the model's own draws.
    """
    own, count = star(post, a_v=(0.4, 0.5)), 100_000
    draws = post.sample(own, 20_000).values.squeeze(1).double()
    columns = [PARAMETERS[name] for name in post.parameters]
    real = torch.stack([p.to_real(draws[:, i]) for i, p in enumerate(columns)], dim=-1)
    z, log_q = proposal(real, count)
    z.requires_grad_()
    theta = torch.stack([p.to_physical(z[:, i]) for i, p in enumerate(columns)], dim=-1)
    (slopes,) = torch.autograd.grad(theta.sum(), z)
    log_p = post.log_prob(own, theta.detach().float().unsqueeze(1)).squeeze(1).double()
    inside = torch.isfinite(log_p)
    log_jacobian = slopes.clamp(min=1e-300).log().sum(-1)
    weight = torch.where(inside, torch.exp(log_p + log_jacobian - log_q), 0.0)
    assert weight.sum() ** 2 / weight.square().sum() > 0.2 * count
    assert weight.mean().item() == pytest.approx(1.0, abs=0.01)
    mean = (weight[:, None] * z.detach()).sum(0) / weight.sum()
    shift = (mean - real.mean(0)).abs() / real.std(0)
    assert shift.max() < 0.04


def test_density_is_zero_outside_the_bounds(post: Posterior) -> None:
    theta = torch.tensor([[5800.0, 4.4, 0.0, 0.3, 3.1]]).repeat(6, 1)
    theta[1, 0], theta[2, 1], theta[3, 2], theta[4, 3], theta[5, 4] = 1e5, 7.0, -4.0, -1.0, NAN
    log_p = post.log_prob(star(post), theta.unsqueeze(1))
    assert torch.isfinite(log_p[0, 0])
    assert (log_p[1:, 0] == -torch.inf).all()


def test_density_takes_one_point_a_star_or_many(
    post: Posterior, crowd: tuple[Tensor, Measurements]
) -> None:
    theta, some = crowd[0][:20], crowd[1][:20]
    one, many = post.log_prob(some, theta), post.log_prob(some, theta.expand(3, -1, -1))
    torch.testing.assert_close(many, one.expand(3, -1))
    for wrong in (theta[:7], theta[:, :3], theta[0]):
        with pytest.raises(MauryError, match=r"theta should be \(20, 5\)"):
            post.log_prob(some, wrong)


def test_the_truth_is_likelier_than_anothers(
    post: Posterior, crowd: tuple[Tensor, Measurements]
) -> None:
    theta, observations = crowd
    right = post.log_prob(observations, theta)
    wrong = post.log_prob(observations, theta.roll(1, 0))
    assert (right - wrong).mean() > 1.0


# -- what cannot be answered ---------------------------------------------------------------


def test_no_stars_and_stars_without_data(post: Posterior) -> None:
    empty = star(post)[:0]
    assert post.sample(empty, 4).values.shape == (4, 0, 5)
    assert post.flags(empty, post.sample(empty, 4)).shape == (0,)
    nothing = star(post, [NAN] * 5)
    draws = post.sample(nothing, 4)
    assert torch.isnan(draws.values).all()
    assert post.flags(nothing, draws).tolist() == [int(Flag.TOO_FEW)]


def test_a_star_without_data_does_not_harm_its_neighbours(post: Posterior) -> None:
    both = Measurements.concatenate([star(post, [NAN] * 5), star(post)])
    draws = post.sample(both, 8)
    assert torch.isnan(draws.values[:, 0]).all()
    close(Draws(draws.values[:, 1:], post.parameters), post.sample(star(post), 8))


def test_limits_alone_are_no_answer(post: Posterior) -> None:
    """The network reads values only, so the prior would pass for an answer."""
    limits = Measurements.from_dense(
        post.channels[:5], [SUN], [[0.03] * 5], kind=[[int(Kind.LOWER_LIMIT)] * 5]
    )
    assert torch.isnan(post.sample(limits, 4).values).all()


def test_flags_say_what_is_wrong(post: Posterior) -> None:
    two = star(post, [15.0, 15.3, NAN, NAN, NAN])
    assert post.flags(two, post.sample(two, 4)) == Flag.TOO_FEW
    knowing = star(post, [NAN] * 5, a_v=(0.3, 0.1))
    assert post.flags(knowing, post.sample(knowing, 4)) & Flag.TOO_FEW
    spoiled = Measurements.from_dense(
        post.channels[:5], [SUN], [[0.03] * 5], rejected=torch.tensor([True])
    )
    assert post.flags(spoiled, post.sample(spoiled, 4)) & Flag.REJECTED_VALUE
    fine = star(post)
    at_edge = torch.tensor([5800.0, 5.99, 0.0, 1e-4 * 1.01, 3.1]).expand(10, 1, 5)
    assert post.flags(fine, Draws(at_edge, post.parameters)) == Flag.PRIOR_EDGE
    dustless = torch.tensor([5800.0, 4.4, 0.0, 1e-4 * 1.01, 3.1]).expand(10, 1, 5)
    assert post.flags(fine, Draws(dustless, post.parameters)) == 0


def test_a_model_of_two_bands_does_not_ask_for_three(post: Posterior) -> None:
    from maury.nets.estimator import Estimator

    channels = post.channels[:2]
    small = Posterior(post.config, Estimator(post.parameters, channels, post.config.network))
    fine = star(post, SUN[:2])
    middle = torch.tensor([5800.0, 4.4, 0.0, 0.3, 3.1]).expand(10, 1, 5)
    assert small.flags(fine, Draws(middle, post.parameters)) == 0


def test_mistakes_are_told(post: Posterior, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MauryError, match="draws is 0"):
        post.sample(star(post), 0)
    with pytest.raises(MauryError, match="no model 'nobody'"):
        Posterior.load("nobody")
    with pytest.raises(MauryError, match=r"config\.toml"):
        Posterior.load(tmp_path)
    with pytest.raises(MauryError, match="'abacus' is not available"):
        Posterior.load(tiny_folder, device="abacus")


@pytest.mark.parametrize("name", model_names())
def test_a_shipped_model_answers_alike_alone_and_among_many(name: str) -> None:
    """Large products round differently by their number of rows, and a flow enlarges that."""
    shipped = Posterior.load(name, device="cpu")
    joint = isinstance(shipped.network, JointEstimator)  # slower, and of smaller blocks
    _, everyone = shipped.simulate(100 if joint else 10_000, seed=3)
    together = shipped.sample(everyone, 4, seed=5).values
    for i in (0, len(everyone) // 3, len(everyone) - 1):
        alone = shipped.sample(everyone[i : i + 1], 4, seed=5).values[:, 0]
        torch.testing.assert_close(alone, together[:, i], rtol=1e-5, atol=1e-7)
