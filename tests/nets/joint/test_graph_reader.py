"""A graph's nodes hear of what is given along its edges, and of nothing else."""

import pytest
import torch
from torch import Tensor

from maury.nets.joint.graph_reader import GraphReader

NODES = 6
CHAIN = torch.diag(torch.ones(NODES - 1, dtype=torch.bool), 1)


def reader(edges: Tensor, layers: int) -> GraphReader:
    torch.manual_seed(0)
    sizes = {"heads": 2, "width": 8, "feedforward": 16, "dropout": 0.0, "frequencies": (1.0,)}
    return GraphReader(edges, layers=layers, **sizes).eval()


def given(seed: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two rows: nodes 5, 0 and 2; node 3 and two empty slots."""
    generator = torch.Generator().manual_seed(seed)
    identity = torch.tensor([[5, 0, 2], [3, 0, 0]])
    value, error = torch.randn(2, 2, 3, generator=generator)
    return identity, value, error, torch.tensor([[True] * 3, [True, False, False]])


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_nodes_hear_as_many_edges_far_as_there_are_layers(layers: int) -> None:
    network = reader(CHAIN | CHAIN.T, layers)
    identity, value, error, present = given()
    before = network(identity, value, error, present)
    value[0, 1] += 1.0  # Node 0.
    moved = (network(identity, value, error, present) != before).any(-1)
    assert moved[0].tolist() == [node <= layers for node in range(NODES)]
    assert not moved[1].any()


@torch.no_grad()
def test_directed_edges_are_one_way() -> None:
    network = reader(CHAIN, 6)  # Each node hears the next.
    identity, value, error, present = given()
    before = network(identity, value, error, present)
    error[0, 2] += 1.0  # Node 2.
    moved = (network(identity, value, error, present) != before).any(-1)[0]
    assert moved.tolist() == [node <= 2 for node in range(NODES)]


@torch.no_grad()
def test_slots_are_in_any_order_and_empty_ones_say_nothing() -> None:
    network = reader(torch.ones(NODES, NODES, dtype=torch.bool), 2)
    identity, value, error, present = given()
    before = network(identity, value, error, present)
    value[1, 1:], error[1, 1:] = torch.nan, torch.inf
    order = [2, 0, 1]
    after = network(*(x[:, order] for x in (identity, value, error, present)))
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_nothing_given_is_something_to_say() -> None:
    network = reader(CHAIN, 2)
    nothing = torch.zeros(3, 0)
    heard = network(nothing.long(), nothing, nothing, nothing.bool())
    assert heard.shape == (3, NODES, 8)
    assert heard.isfinite().all()
    assert heard.std(-1).min() > 0.1
