"""Tree, HMM and their chains: densities in closed form, conditionals against quadrature."""

import math

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from joint_tasks import StructuredTask, hmm, tempering, tree
from maury.errors import MauryError

GRID = torch.linspace(-7, 7, 1401, dtype=torch.float64)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_tree_is_the_authors():
    t1, t2, t3, *_ = values = torch.randn(7, generator=_generator())
    means = 0, t1, t1, t2.sin() ** 2, 0.1 * t2**2, 0.1 * t3**2, t3.cos() ** 2
    deviations = 1, 1, 1, 0.2, 0.2, 0.6, 0.1
    terms = [
        torch.distributions.Normal(mean, deviation).log_prob(value)
        for value, mean, deviation in zip(values, means, deviations, strict=True)
    ]
    assert torch.isclose(tree().log_prob(values), sum(terms))


def test_hmm_is_the_authors():
    values = torch.randn(20, generator=_generator())
    walk, seen = values.view(2, 10)
    step = torch.diff(walk, prepend=torch.zeros(1))
    squares = (step**2).sum() + ((seen - walk**2) ** 2).sum()
    assert torch.isclose(
        hmm().log_prob(values), -squares / (2 * 0.25) - 20 * math.log(0.5 * math.sqrt(2 * math.pi))
    )


@pytest.mark.parametrize("make", [tree, hmm])
def test_draws_have_the_density(make):
    """The mean log density of draws is the negative entropy of the normals that make them."""
    task = make()
    log_prob = task.log_prob(task.sample(20_000, _generator()))
    entropy = sum(0.5 + math.log(node.deviation * math.sqrt(2 * math.pi)) for node in task.nodes)
    error = math.sqrt(len(task.nodes) / 2 / len(log_prob))
    assert log_prob.mean().item() == pytest.approx(-entropy, abs=4 * error)


@pytest.mark.parametrize("make", [tree, hmm])
def test_edges_are_those_of_the_density(make):
    """Two nodes share a term of the density, and its mixed derivative, where an edge joins them."""
    task = make()
    values = task.sample(1, _generator())[0].double()
    mixed = torch.autograd.functional.hessian(task.log_prob, values) != 0
    edges = task.edges()
    assert torch.equal(mixed, edges | edges.T)


@pytest.fixture
def _quick(monkeypatch):
    """References of noise, as fast as they are wrong."""

    def reference(
        self: StructuredTask, given: Tensor, values: Tensor, n: int, *, seed: int
    ) -> Tensor:
        return torch.randn(n, int((~given).sum()))

    monkeypatch.setattr(StructuredTask, "reference", reference)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("masks", ["even", "authors"])
def test_questions_are_fixed(masks):
    short, long = (hmm(questions=n, masks=masks, draws=1).cases() for n in (5, 60))
    for a, b in zip(short, long, strict=False):
        assert torch.equal(a.given, b.given)
        assert torch.equal(a.values, b.values)
    assert not any(case.given.all() for case in long)
    assert all(case.given.any() for case in long) is (masks == "even")
    assert 0.35 < torch.stack([case.given for case in long]).float().mean() < 0.65


@pytest.mark.usefixtures("_quick")
def test_references_are_kept(tmp_path):
    task = tree(questions=2, draws=50, folder=tmp_path / "new")
    first, second = task.cases(), task.cases()
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.reference, b.reference)
        assert a.reference.shape == (50, int((~a.given).sum()))


def test_modes_against_quadrature():
    """The tree's posterior has four modes, for the signs of two parameters: each with its share."""
    task = tree()
    values = torch.tensor([0.0, 0.0, 0.0, 0.8, 0.1, 0.4, 0.3])
    given = torch.arange(7) >= 3
    ours = task.reference(given, values, 2000, seed=1).double()
    exact = _by_quadrature(task, given, values.double(), 2000, _generator(2))
    for f in (lambda x: x, lambda x: x[:, [1]] * x):
        for a, b in zip(f(ours).T, f(exact).T, strict=True):
            assert ks_2samp(a.numpy(), b.numpy()).pvalue > 1e-4


def _by_quadrature(
    task: StructuredTask, given: Tensor, values: Tensor, n: int, generator: torch.Generator
) -> Tensor:
    """Exact conditional draws on a tree: messages from the leaves, then draws from the root."""
    log_belief = torch.zeros(len(task.nodes), len(GRID), dtype=torch.float64)
    for i in reversed(range(len(task.nodes))):
        node = task.nodes[i]
        if node.parent is None:
            continue
        mean = node.link(GRID)[:, None]
        if given[i]:
            message = _log_normal(values[i], mean, node.deviation)[:, 0]
        else:
            message = (_log_normal(GRID, mean, node.deviation) + log_belief[i]).logsumexp(1)
        log_belief[node.parent] += message
    nodes = torch.zeros(n, len(task.nodes), dtype=torch.float64)
    for i, node in enumerate(task.nodes):
        mean = 0 * nodes[:, :1] if node.parent is None else node.link(nodes[:, [node.parent]])
        chance = (_log_normal(GRID, mean, node.deviation) + log_belief[i]).softmax(1)
        cell = torch.multinomial(chance, 1, generator=generator)[:, 0]
        jitter = torch.rand(n, generator=generator, dtype=torch.float64) - 0.5
        nodes[:, i] = values[i] if given[i] else GRID[cell] + jitter * (GRID[1] - GRID[0])
    return nodes[:, ~given]


def _log_normal(x: Tensor, mean: Tensor, deviation: float) -> Tensor:
    return -0.5 * ((x - mean) / deviation) ** 2


def test_everything_given():
    with pytest.raises(MauryError, match="every node is given"):
        tree().reference(torch.ones(7, dtype=torch.bool), torch.zeros(7), 10)


def test_no_reference_without_agreement(monkeypatch):
    monkeypatch.setattr(tempering, "WARM_UP", 0)
    monkeypatch.setattr(tempering, "ROUND", 10)
    monkeypatch.setattr(tempering, "ROUNDS", 2)
    with pytest.raises(MauryError, match="did not agree after 20 steps"):
        tree().reference(torch.arange(7) >= 3, torch.zeros(7), 10)


def test_split_r_hat():
    chains = torch.randn(2000, 8, 2, generator=_generator())
    assert (tempering.split_r_hat(chains) < 1.002).all()
    chains[:, :4, 0] += 1
    apart, together = tempering.split_r_hat(chains)
    assert apart == pytest.approx(math.sqrt(1 + 0.25), rel=0.05)
    assert together < 1.002
    drifting = chains[..., :1] + torch.linspace(0, 2, 2000)[:, None, None]
    assert tempering.split_r_hat(drifting) > 1.1
