"""The public tasks with tables: simulators against closed forms and against the references."""

import importlib.util
import math
from functools import cache
from importlib.util import find_spec

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from joint_tasks import TASKS, Case, gaussian_linear, slcp
from maury.errors import MauryError

PUBLIC = ("two_moons", "gaussian_mixture", "gaussian_linear", "slcp")
normal = Normal(0.0, 1.0)
needs_tables = pytest.mark.skipif(find_spec("sbibm") is None, reason="needs the tables of sbibm")


@cache
def _cases(name: str) -> list[Case]:
    return TASKS[name]().cases()


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", TASKS)
def test_common_shape(name):
    task = TASKS[name]()
    nodes = task.parameters + task.data
    draws = task.sample(50, _generator())
    assert task.name == name
    assert draws.shape == (50, nodes)
    assert draws.dtype == torch.float32
    assert torch.equal(draws, task.sample(50, _generator()))
    if task.bounds is not None:
        lower, upper = task.bounds
        assert (draws[:, : task.parameters] >= lower).all()
        assert (draws[:, : task.parameters] <= upper).all()
    edges = task.edges()
    assert edges.shape == (nodes, nodes)
    assert edges.dtype == torch.bool
    assert edges.diagonal().all()
    assert torch.equal(edges, edges.tril())
    assert edges[task.parameters :, : task.parameters].any(dim=1).all()


@needs_tables
@pytest.mark.parametrize("name", PUBLIC)
def test_ten_observations(name):
    task = TASKS[name]()
    cases = _cases(name)
    assert len(cases) == 10
    for case in cases:
        assert torch.equal(case.given, torch.arange(len(case.given)) >= task.parameters)
        assert case.values.shape == case.given.shape
        assert case.reference.shape == (10_000, task.parameters)


def test_missing_tables(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MauryError, match="pip install --no-deps sbibm"):
        slcp().cases()


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "slcp"])
def test_posterior_in_closed_form(name):
    """Residuals of a draw of the posterior are distributed as in the simulator.

    So they are in the references, but for those that the prior's bounds cut.
    """
    task = TASKS[name]()
    draws = task.sample(10_000, _generator(1))
    assert _uniform(RESIDUALS[name](*draws.split([task.parameters, task.data], dim=1)))
    if find_spec("sbibm") is None:
        pytest.skip("needs the tables of sbibm")
    bound = math.inf if task.bounds is None else 0.99 * task.bounds[1][0]
    cases = [case for case in _cases(name) if case.reference.abs().max() < bound]
    assert cases
    for case in cases:
        assert _uniform(RESIDUALS[name](case.reference, case.values[task.parameters :]))


def _moons(theta: Tensor, x: Tensor) -> Tensor:
    u = x[..., 0] + (theta[..., 0] + theta[..., 1]).abs() / math.sqrt(2) - 0.25
    v = x[..., 1] - (theta[..., 1] - theta[..., 0]) / math.sqrt(2)
    radius = normal.cdf((u.hypot(v) - 0.1) / 0.01)
    return torch.stack([radius, torch.atan2(v, u) / math.pi + 0.5], dim=-1)


def _mixture(theta: Tensor, x: Tensor) -> Tensor:
    """Both coordinates share one scale: the square of their distance is exponential for each."""
    u, v = (x - theta).unbind(-1)
    square = u.square() + v.square()
    radius = 1 - 0.5 * (-square / 2).exp() - 0.5 * (-square / 0.02).exp()
    return torch.stack([radius, torch.atan2(v, u) / (2 * math.pi) + 0.5], dim=-1)


def _linear(theta: Tensor, x: Tensor) -> Tensor:
    """The conjugate posterior: mean half the data, variance 0.05."""
    return normal.cdf((theta - x / 2) / math.sqrt(0.05))


RESIDUALS = {"two_moons": _moons, "gaussian_mixture": _mixture, "gaussian_linear": _linear}


def _uniform(u: Tensor) -> bool:
    """Each column even on [0, 1], and no two correlated."""
    n, columns = u.shape
    even = all(kstest(column.numpy(), "uniform").pvalue > 1e-4 for column in u.T)
    return even and bool((u.T.corrcoef() - torch.eye(columns)).abs().max() < 5 / math.sqrt(n))


def test_linear_prior():
    draws = gaussian_linear().sample(20_000, _generator())
    assert torch.allclose(draws.T.cov()[:10, :10], 0.1 * torch.eye(10), atol=0.005)
    assert torch.allclose(draws.T.cov()[10:, 10:], 0.2 * torch.eye(10), atol=0.01)


def test_slcp_simulator_has_its_density():
    theta, x = slcp().sample(20_000, _generator()).split([5, 8], dim=1)
    law = _slcp(theta)
    white = torch.linalg.solve_triangular(
        law.scale_tril[:, None], (x.view(-1, 4, 2) - law.loc[:, None])[..., None], upper=False
    )
    assert _uniform(normal.cdf(white.flatten(1)))


@needs_tables
def test_slcp_reference():
    """Wide normal draws, weighted by the density, have the moments of the reference.

    Signs of the third and fourth parameter, which the density does not see, are left out.
    """
    case = _cases("slcp")[0]
    reference = _unsigned(case.reference)
    law = Normal(reference.mean(dim=0), 1.5 * reference.std(dim=0))
    torch.manual_seed(0)
    theta = law.sample((40_000,))
    inside = (theta.abs() < 3).all(dim=1) & (theta[:, 2:4] > 0).all(dim=1)
    theta = theta[inside]
    density = _slcp(theta).log_prob(case.values[5:].view(4, 1, 2)).sum(0)
    weight = (density - law.log_prob(theta).sum(1)).softmax(0)
    effective = 1 / weight.square().sum()
    assert effective > 400
    ours, theirs = (torch.cat([t, t.square()], dim=1) for t in (theta, reference))
    error = theirs.std(dim=0) / effective.sqrt()
    assert ((weight @ ours - theirs.mean(dim=0)).abs() < 4 * error).all()


def _unsigned(theta: Tensor) -> Tensor:
    return torch.cat([theta[:, :2], theta[:, 2:4].abs(), theta[:, 4:]], dim=1)


def _slcp(theta: Tensor) -> MultivariateNormal:
    s1, s2, rho = theta[:, 2].square(), theta[:, 3].square(), theta[:, 4].tanh()
    rows = [torch.stack([s1 * s1, rho * s1 * s2], -1), torch.stack([rho * s1 * s2, s2 * s2], -1)]
    covariance = torch.stack(rows, dim=-2) + 1e-6 * torch.eye(2)
    return MultivariateNormal(theta[:, :2], covariance)
