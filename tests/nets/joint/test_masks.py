"""Questions come in the shares that were asked for, and graphs keep what they must."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from maury.nets.joint.masks import Conditions, draw_conditions, graph_edges

ROWS, PARAMETERS, DATA = 40_000, 2, 3
KINDS = ("posterior", "likelihood", "joint", "sparse", "dense")


def drawn(
    here: Tensor | None = None, *, seed: int = 0, left_out: float = 0.0, **shares: float
) -> tuple[Tensor, Tensor]:
    if here is None:
        here = torch.ones(ROWS, PARAMETERS + DATA, dtype=torch.bool)
    if shares:
        shares = dict.fromkeys(KINDS, 0.0) | shares
    conditions = Conditions(**shares, left_out=left_out)
    return draw_conditions(PARAMETERS, here, conditions, torch.Generator().manual_seed(seed))


@settings(max_examples=40)
@given(
    n=st.integers(1, 12),
    parameters=st.integers(0, 3),
    data=st.integers(1, 4),
    left_out=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_every_row_asks_something(
    n: int, parameters: int, data: int, left_out: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    here = torch.rand(n, parameters + data, generator=generator) < 0.6
    known, asked = draw_conditions(parameters, here, Conditions(left_out=left_out), generator)
    assert not (known & asked).any()
    assert not ((known | asked) & ~here).any()
    assert torch.equal(asked.any(1), here.any(1))


def test_plain_questions() -> None:
    is_data = torch.arange(PARAMETERS + DATA) >= PARAMETERS
    for kind, expected in (
        ("posterior", is_data),
        ("likelihood", ~is_data),
        ("joint", torch.zeros_like(is_data)),
    ):
        known, asked = drawn(**{kind: 1.0})
        assert (known == expected).all()
        assert (asked == ~expected).all()


@pytest.mark.parametrize(("kind", "chance"), [("sparse", 0.3), ("dense", 0.7)])
def test_subsets_have_their_density(kind: str, chance: float) -> None:
    known, asked = drawn(**{kind: 1.0})
    # Rows where all came out given ask for one node after all.
    expected = chance - chance ** (PARAMETERS + DATA) / (PARAMETERS + DATA)
    torch.testing.assert_close(
        known.float().mean(0), torch.full((PARAMETERS + DATA,), expected), atol=0.015, rtol=0
    )
    assert torch.equal(asked, ~known)


def test_kinds_have_their_shares() -> None:
    known, _ = drawn(posterior=0.1, likelihood=0.2, joint=0.7)
    is_data = torch.arange(PARAMETERS + DATA) >= PARAMETERS
    shares = [
        float((known == kind).all(1).float().mean()) for kind in (is_data, ~is_data, 0 * is_data)
    ]
    assert shares == pytest.approx([0.1, 0.2, 0.7], abs=0.015)


def test_latent_nodes_are_left_out_in_half_of_the_rows() -> None:
    known, asked = drawn(joint=1.0, left_out=0.5)
    assert not known.any()
    nodes = PARAMETERS + DATA
    count = asked.sum(1)
    # A thinned row keeps one node for certain and each other with a chance of one half.
    whole = 0.5 + 0.5 * 0.5 ** (nodes - 1)
    assert float((count == nodes).float().mean()) == pytest.approx(whole, abs=0.015)
    assert float(count.float().mean()) == pytest.approx(
        0.5 * nodes + 0.5 * (1 + 0.5 * (nodes - 1)), abs=0.05
    )
    # No node is kept more often than another.
    share = asked.float().mean(0)
    assert float(share.max() - share.min()) < 0.02


def test_the_same_generator_asks_the_same() -> None:
    for one, two in zip(drawn(seed=5), drawn(seed=5), strict=True):
        assert torch.equal(one, two)


def graph(nodes: int, *arrows: tuple[int, int]) -> Tensor:
    """A graph whose arrows run from parent to child."""
    edges = torch.zeros(nodes, nodes, dtype=torch.bool)
    for parent, child in arrows:
        edges[child, parent] = True
    return edges


def pairs(edges: Tensor) -> set[tuple[int, int]]:
    return {(i, j) for i, j in edges.nonzero().tolist() if i != j}


def test_directed_edges_keep_their_direction() -> None:
    chain = graph(3, (0, 1), (1, 2))
    edges = graph_edges(chain, undirected=False)
    assert pairs(edges) == {(1, 0), (2, 1)}
    assert edges.diagonal().all()


def test_undirected_edges_go_both_ways_and_marry_only_parents() -> None:
    chain = graph_edges(graph(3, (0, 1), (1, 2)), undirected=True)
    assert pairs(chain) == {(1, 0), (0, 1), (2, 1), (1, 2)}
    fork = graph_edges(graph(3, (0, 1), (0, 2)), undirected=True)
    assert pairs(fork) == {(1, 0), (0, 1), (2, 0), (0, 2)}
    collider = graph_edges(graph(3, (0, 2), (1, 2)), undirected=True)
    assert pairs(collider) == {(i, j) for i in range(3) for j in range(3) if i != j}
    for edges in (chain, fork, collider):
        assert edges.diagonal().all()


def test_edges_do_not_care_whether_nodes_point_at_themselves() -> None:
    loops = graph(3, (0, 2), (1, 2)) | torch.eye(3, dtype=torch.bool)
    for undirected in (True, False):
        plain = graph_edges(graph(3, (0, 2), (1, 2)), undirected=undirected)
        assert torch.equal(graph_edges(loops, undirected=undirected), plain)
