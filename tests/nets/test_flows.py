"""Flows are densities: normalised, exactly invertible, and moved by their context everywhere."""

import math
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from maury.errors import MauryError
from maury.nets.autoregressive import MaskedAutoregressiveFlow
from maury.nets.coupling import SplineCouplingFlow, splits
from maury.nets.flow import Flow, normal_quantile
from maury.nets.flows import FLOWS, build_flow

CONTEXT = 7
SMALL: dict[str, dict[str, int]] = {
    "maf": {"blocks": 4, "hidden": 32},
    "spline": {"transforms": 4, "hidden": 24},
    "sequential": {"hidden": 24, "bins": 6},
}


def stirred(kind: str, features: int, *, size: float = 0.3, seed: int = 0) -> Flow:
    """A small flow far enough from its calm start that every part of it matters."""
    torch.manual_seed(seed)
    flow = build_flow(kind, features, CONTEXT, **SMALL[kind])
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(size * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5)
    return flow.eval()


def contexts(n: int, seed: int = 1) -> Tensor:
    return torch.randn(n, CONTEXT, generator=torch.Generator().manual_seed(seed))


def noise(flow: Flow, draws: int, stars: int, seed: int = 2) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.rand(draws, stars, flow.noise_size, generator=g)


def base_point(flow: Flow, uniform: Tensor, context: Tensor) -> Tensor:
    if isinstance(flow, MaskedAutoregressiveFlow):
        return flow.base.draw(uniform, flow._condition(context)[-1])
    return normal_quantile(uniform)


def base_log_prob(flow: Flow, u: Tensor, context: Tensor) -> Tensor:
    if isinstance(flow, MaskedAutoregressiveFlow):
        return flow.base.log_prob(u, flow._condition(context)[-1])
    normal = torch.distributions.Normal(torch.zeros_like(u), torch.ones_like(u))
    return normal.log_prob(u).sum(-1)


every_kind = pytest.mark.parametrize("kind", FLOWS)


@every_kind
@pytest.mark.parametrize("features", [1, 2, 3, 5, 8, 12])
def test_draws_and_density_are_inverse_maps(kind: str, features: int) -> None:
    flow = stirred(kind, features)
    context = contexts(4)
    uniform = noise(flow, 30, 4)
    z = flow.draw(uniform, context)
    assert z.shape == (30, 4, features)
    u, _ = flow.encode(z, context)
    torch.testing.assert_close(u, base_point(flow, uniform, context), atol=2e-4, rtol=2e-4)
    flow.double()
    z = flow.draw(uniform.double(), context.double())
    u, _ = flow.encode(z, context.double())
    expected = base_point(flow, uniform.double(), context.double())
    torch.testing.assert_close(u, expected, atol=1e-9, rtol=1e-9)


@every_kind
@pytest.mark.parametrize("features", [1, 2, 5])
def test_log_prob_of_draws_is_base_and_autograd_jacobian(kind: str, features: int) -> None:
    flow = stirred(kind, features).double()
    context = contexts(6).double()
    z = flow.draw(noise(flow, 1, 6).double(), context)[0]
    for star in range(6):
        own = context[star : star + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda x, own=own: flow.encode(x[None], own)[0][0], z[star]
        )
        u, _ = flow.encode(z[star][None], own)
        expected = base_log_prob(flow, u, own) + torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(flow.log_prob(z[star][None], own), expected)


@every_kind
def test_integrates_to_one_in_one_and_two_dimensions(kind: str) -> None:
    context = contexts(3)
    axis = torch.linspace(-25.0, 25.0, 10_001)
    line = stirred(kind, 1).log_prob(axis[:, None, None].expand(-1, 3, 1), context)
    total = torch.trapezoid(line.exp(), axis, dim=0)
    torch.testing.assert_close(total, torch.ones(3), atol=0.01, rtol=0)
    axis = torch.linspace(-14.0, 14.0, 281)
    plane = torch.cartesian_prod(axis, axis)[:, None, :].expand(-1, 3, 2)
    with torch.no_grad():
        density = stirred(kind, 2).log_prob(plane, context).exp()
    total = density.sum(0) * (axis[1] - axis[0]) ** 2
    torch.testing.assert_close(total, torch.ones(3), atol=0.01, rtol=0)


@every_kind
def test_integrates_to_one_in_five_dimensions(kind: str) -> None:
    """Importance sampling from a widened Gaussian fit, whose own density is known."""
    flow = stirred(kind, 5, size=0.15)
    context = contexts(1)
    z = flow.draw(noise(flow, 20_000, 1), context)[:, 0]
    wide = torch.distributions.MultivariateNormal(z.mean(0), 1.5 * torch.cov(z.T))
    torch.manual_seed(0)
    trial = wide.sample((60_000,))
    with torch.no_grad():
        weight = (flow.log_prob(trial[:, None], context)[:, 0] - wide.log_prob(trial)).exp()
    error = weight.std() / math.sqrt(len(weight))
    assert error < 0.01
    assert abs(weight.mean() - 1.0) < max(0.01, 3.0 * float(error))


@every_kind
def test_draws_follow_the_density_in_one_dimension(kind: str) -> None:
    flow = stirred(kind, 1)
    context = contexts(1)
    draws = flow.draw(noise(flow, 20_000, 1), context).flatten().sort().values
    axis = torch.linspace(-25.0, 25.0, 50_001)
    with torch.no_grad():
        density = flow.log_prob(axis[:, None, None], context).exp().flatten()
    cdf = torch.cumulative_trapezoid(density, axis)
    at = cdf[torch.searchsorted(axis, draws).clamp(1, len(cdf)) - 1]
    steps = torch.arange(1, 20_001) / 20_000
    # Kolmogorov's statistic: 1.95 / sqrt(n) is passed once in a thousand.
    assert (at - steps).abs().max() < 1.95 / math.sqrt(20_000)


@every_kind
def test_context_moves_every_coordinate_the_first_included(kind: str) -> None:
    flow = stirred(kind, 5)
    uniform = noise(flow, 1, 1).expand(1, 50, -1)
    spread = flow.draw(uniform, contexts(50)).std(dim=1)
    assert (spread > 0.05).all()


def test_context_reaches_every_layer_and_output_of_every_made() -> None:
    """Each coordinate's scale and shift move through each place where the context enters."""
    flow = stirred("maf", 5)
    assert isinstance(flow, MaskedAutoregressiveFlow)
    z = contexts(1)[:, :5]
    for block, made in enumerate(flow.blocks):
        for layer in range(3):
            condition = [torch.randn(1, size) for size in made.condition_sizes]
            before = made(z, condition)[0]
            condition[layer] = condition[layer] + 1.0
            moved = (made(z, condition)[0] - before).abs()[0]
            assert (moved > 1e-6).all(), f"block {block}, layer {layer}"


def test_made_is_triangular_and_every_pair_is_linked() -> None:
    flow = stirred("maf", 5)
    made = flow.blocks[0]
    condition = [torch.randn(1, size) for size in made.condition_sizes]
    jacobian = torch.autograd.functional.jacobian(
        lambda x: made(x[None], condition)[0][0], contexts(1)[0, :5]
    )
    assert (jacobian.triu(1) == 0).all()
    assert (jacobian.tril() != 0)[torch.ones(5, 5).tril().bool()].all()


@pytest.mark.parametrize("features", range(2, 9))
def test_six_couplings_let_every_coordinate_steer_every_other(features: int) -> None:
    pairs = splits(features, 6)
    links = {(a, b) for steering, steered in pairs for a in steering for b in steered}
    assert links == {(a, b) for a in range(features) for b in range(features) if a != b}
    for steering, steered in pairs:
        assert sorted(steering + steered) == list(range(features))
        assert steering
        assert steered


@every_kind
def test_gradients_are_finite_and_reach_every_weight(kind: str) -> None:
    flow = stirred(kind, 5)
    flow.log_prob(contexts(300, seed=5)[:, :5], contexts(300)).sum().backward()
    for name, parameter in flow.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@every_kind
@pytest.mark.parametrize("size", [10.0, 1e3])
def test_float32_survives_great_contexts(kind: str, size: float) -> None:
    flow = build_flow(kind, 5, CONTEXT)
    context = size * contexts(200)
    z = flow.draw(noise(flow, 8, 200), context)
    log_prob = flow.log_prob(contexts(200, seed=3)[:, :5], context)
    log_prob.mean().backward()
    assert torch.isfinite(z).all()
    assert torch.isfinite(log_prob).all()
    assert all(torch.isfinite(p.grad).all() for p in flow.parameters())


@every_kind
def test_noise_at_its_very_ends_gives_finite_draws(kind: str) -> None:
    flow = stirred(kind, 3)
    for edge in (0.0, 1.0):
        z = flow.draw(torch.full((2, 2, flow.noise_size), edge), contexts(2))
        assert torch.isfinite(z).all()


@every_kind
def test_a_draw_does_not_depend_on_its_company(kind: str) -> None:
    flow = stirred(kind, 5)
    flow.rows_at_once = 64
    uniform, context = noise(flow, 100, 30), contexts(30)
    together = flow.draw(uniform, context)
    alone = flow.draw(uniform[7:8, 11:12], context[11:12])
    torch.testing.assert_close(together[7:8, 11:12], alone, atol=1e-5, rtol=1e-5)
    flow.rows_at_once = 10_000
    torch.testing.assert_close(flow.draw(uniform, context), together, atol=1e-5, rtol=1e-5)


@every_kind
def test_threads_change_no_draw_and_are_as_many_afterwards(kind: str) -> None:
    flow = stirred(kind, 3)
    flow.rows_at_once = 64
    uniform, context = noise(flow, 16, 30), contexts(30)
    before = torch.get_num_threads()
    drawn, left = [], []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn.append(flow.draw(uniform, context))
            with ThreadPoolExecutor(1) as later:
                left.append((torch.get_num_threads(), later.submit(torch.get_num_threads).result()))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*drawn)
    assert left == [(1, 1), (2, 2)]


@every_kind
def test_leading_dimensions_broadcast(kind: str) -> None:
    flow = stirred(kind, 3)
    z, context = torch.randn(2, 4, 6, 3), contexts(6)
    together = flow.log_prob(z, context)
    assert together.shape == (2, 4, 6)
    torch.testing.assert_close(together[1, 2], flow.log_prob(z[1, 2], context))
    assert flow.draw(noise(flow, 4, 6)[:, :0], context[:0]).shape == (4, 0, 3)


@every_kind
def test_state_round_trip(kind: str) -> None:
    flow, other = stirred(kind, 4), stirred(kind, 4, seed=9)
    other.load_state_dict(flow.state_dict())
    uniform, context = noise(flow, 3, 5), contexts(5)
    assert torch.equal(other.draw(uniform, context), flow.draw(uniform, context))


def test_the_papers_flow_is_the_default() -> None:
    flow = build_flow("maf", 5, 256)
    assert isinstance(flow, MaskedAutoregressiveFlow)
    assert len(flow.blocks) == 10
    assert flow.base.components == 5


def test_unknown_kinds_and_options_are_refused() -> None:
    with pytest.raises(MauryError, match="maf, spline, sequential"):
        build_flow("nice", 5, 8)
    with pytest.raises(MauryError, match="petals"):
        build_flow("spline", 5, 8, petals=3)
    with pytest.raises(MauryError, match="at least one feature"):
        build_flow("spline", 0, 8)
    assert isinstance(build_flow("spline", 5, 8, bins=12), SplineCouplingFlow)


def banana(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Curved target with a width that follows the context, and its exact log density."""
    context = torch.randn(n, 2, generator=generator)
    width = torch.stack((torch.exp(0.5 * context[:, 1]), torch.full((n,), 0.4)), dim=-1)
    e = torch.randn(n, 2, generator=generator)
    first = context[:, 0] + width[:, 0] * e[:, 0]
    second = 0.5 * first.square() + width[:, 1] * e[:, 1]
    log_prob = -0.5 * e.square().sum(-1) - math.log(2.0 * math.pi) - width.log().sum(-1)
    return torch.stack((first, second), dim=-1), context, log_prob


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("maf", {"blocks": 3, "hidden": 32}),
        ("spline", {"transforms": 2, "hidden": 48, "bound": 8.0}),
    ],
)
def test_learns_a_curved_target_to_its_known_likelihood(kind: str, options: dict[str, int]) -> None:
    torch.manual_seed(0)
    flow = build_flow(kind, 2, 2, **options)
    g = torch.Generator().manual_seed(0)
    steps = 250
    adam = torch.optim.Adam(flow.parameters(), lr=1e-2)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        z, context, _ = banana(256, g)
        loss = -flow.log_prob(z, context).mean()
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        adam.step()
        cosine.step()
    z, context, exact = banana(20_000, g)
    with torch.no_grad():
        short_by = (exact - flow.log_prob(z, context)).mean()
    # The mean is Kullback and Leibler's divergence: never below zero but for sampling.
    assert -0.02 < short_by < 0.06


FAULTS_OF_DRAWS = """
import resource
import torch
from maury.nets.flows import build_flow

torch.set_num_threads(1)
flow = build_flow("spline", features=5, context=8)
noise, context = torch.rand(64, 512, 5), torch.randn(512, 8)
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    flow.draw(noise, context)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc")
@pytest.mark.parametrize("environment", [{}, {"MALLOC_TRIM_THRESHOLD_": "65536"}])
def test_draws_reuse_their_memory(environment: dict[str, str]) -> None:
    """As in Dask's workers, which set this: new pages for each array took half of the time."""
    command = [sys.executable, "-c", FAULTS_OF_DRAWS]
    run = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 5000
