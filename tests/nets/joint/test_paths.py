"""Every path is the published one, seen as a rotation."""

import math

import pytest
import torch
from torch import Tensor

from maury.nets.joint.paths import PATHS, FlowMatching, Path, VarianceExploding, VariancePreserving

EVERY = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
TIMES = torch.linspace(0.001, 0.999, 201, dtype=torch.float64)


def normals(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@EVERY
def test_the_angle_rises_from_data_to_noise(path: Path) -> None:
    phi = path.angle(torch.linspace(0, 1, 1001, dtype=torch.float64))
    assert (phi.diff() > 0).all()
    assert 0 < phi[0] <= 1.1e-3
    assert 0.95 * 0.5 * math.pi < phi[-1] <= 0.5 * math.pi
    assert path.last == pytest.approx(float(phi[0]))
    assert path.first == pytest.approx(min(float(phi[-1]), math.atan(math.exp(4))))


@EVERY
def test_single_precision_is_precise_enough(path: Path) -> None:
    time = torch.linspace(0, 1, 1001, dtype=torch.float64)
    torch.testing.assert_close(
        path.angle(time.float()).double(), path.angle(time), rtol=2e-3, atol=1e-7
    )


@EVERY
def test_mixtures_lie_on_the_circle(path: Path) -> None:
    """x over its spread is y, and (y, u) is (r, e) turned by the angle."""
    alpha, sigma = path.alpha_sigma(TIMES)
    data, noise = normals(201), normals(201, seed=1)
    phi = path.angle(TIMES)
    y = torch.cos(phi) * data + torch.sin(phi) * noise
    torch.testing.assert_close((alpha * data + sigma * noise) / torch.hypot(alpha, sigma), y)


def recovered(path: Path, time: Tensor, data: Tensor, noise: Tensor, miss: Tensor):
    """Data and noise (T, D) that a velocity wrong by ``miss`` implies, where x is known."""
    phi = path.angle(time)[:, None]
    cos, sin = torch.cos(phi), torch.sin(phi)
    y, u = cos * data + sin * noise, cos * noise - sin * data + miss
    return cos * y - sin * u, sin * y + cos * u


def test_flow_matching_weighs_the_error_of_the_path_s_velocity() -> None:
    path = FlowMatching()
    data, noise, miss = (normals(201, 5, seed=seed) for seed in range(3))
    guessed = recovered(path, TIMES, data, noise, miss)

    def velocity(data: Tensor, noise: Tensor) -> Tensor:
        return (1 - path.smallest) * noise - data  # Lipman et al. 2023, eq. 23

    published = (velocity(*guessed) - velocity(data, noise)).square().sum(1)
    ours = path.weight(TIMES) * miss.square().sum(1)
    torch.testing.assert_close(ours, published)
    # Which is indeed the derivative of the path along the time.
    step = 1e-6
    ends = [path.alpha_sigma(TIMES + sign * step) for sign in (1, -1)]
    points = [alpha[:, None] * data + sigma[:, None] * noise for alpha, sigma in ends]
    torch.testing.assert_close((points[0] - points[1]) / (2 * step), velocity(data, noise))


@pytest.mark.parametrize("path", [VarianceExploding(), VariancePreserving()], ids=["ve", "vp"])
def test_diffusion_weighs_scores_by_the_noise_s_variance(path: Path) -> None:
    data, noise, miss = (normals(201, 5, seed=seed) for seed in range(3))
    _, sigma = path.alpha_sigma(TIMES)
    guessed = recovered(path, TIMES, data, noise, miss)[1]
    # The score of the perturbation kernel is -e / sigma (Song et al. 2021, eq. 7 and 29).
    score, found = -noise / sigma[:, None], -guessed / sigma[:, None]
    published = sigma**2 * (found - score).square().sum(1)
    torch.testing.assert_close(path.weight(TIMES) * miss.square().sum(1), published)


def test_variance_preserving_follows_its_equation() -> None:
    """d alpha / dt = -beta alpha / 2 and alpha^2 + sigma^2 = 1 (Song et al. 2021, eq. 11, 33)."""
    path = VariancePreserving()
    alpha, sigma = path.alpha_sigma(TIMES)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(TIMES))
    step = 1e-6
    before, after = (path.alpha_sigma(TIMES + sign * step)[0].log() for sign in (-1, 1))
    # The path begins a hundred-thousandth late.
    beta = path.least + (path.most - path.least) * TIMES
    torch.testing.assert_close((before - after) / step, beta, rtol=1e-4, atol=4e-4)


def test_variance_exploding_grows_geometrically() -> None:
    path = VarianceExploding()
    alpha, sigma = path.alpha_sigma(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    assert alpha.tolist() == [1, 1, 1]
    assert sigma.tolist() == pytest.approx([1e-4, math.sqrt(15e-4), 15])


@EVERY
@pytest.mark.parametrize("count", [1, 7, 5000])
def test_training_times_follow_their_density(path: Path, count: int) -> None:
    times = path.times(count, torch.Generator().manual_seed(0))
    assert times.shape == (count,)
    assert ((times >= 0) & (times <= 1)).all()
    if isinstance(path, FlowMatching):
        uniform = torch.special.ndtr((torch.logit(times.double()) - path.middle) / path.spread)
    else:
        uniform = times.double()
    # A comb: one time in each of equal parts, so that it fits far better than chance would.
    grid = (torch.arange(count) + 0.5) / count
    assert float((uniform.sort().values - grid).abs().max()) < 0.55 / count + 1e-4


@EVERY
def test_neighbouring_rows_have_unrelated_times(path: Path) -> None:
    times = path.times(5000, torch.Generator().manual_seed(0))
    rank = times.argsort().argsort().double()
    assert abs(float(torch.corrcoef(torch.stack([rank[1:], rank[:-1]]))[0, 1])) < 0.06


@EVERY
def test_ends_of_the_times_are_harmless(path: Path) -> None:
    ends = path._stretched(torch.tensor([0.0, 1.0]))
    assert path.angle(ends).isfinite().all()
    assert path.weight(ends).isfinite().all()
