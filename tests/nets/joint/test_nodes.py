"""Rows are parted without loss: every number and every edge arrives where its node went."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.nets.joint.nodes import Nodes


def parted(n: int, t: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = torch.randint(0, 3, (n, t), generator=generator)
    return {
        "identity": torch.randint(0, 50, (n, t), generator=generator),
        "value": torch.randn(n, t, generator=generator),
        "error": torch.rand(n, t, generator=generator),
        "given": state == 1,
        "latent": state == 2,
    }


@settings(max_examples=40)
@given(n=st.integers(0, 5), t=st.integers(0, 7), seed=st.integers(0, 10**6), each=st.booleans())
def test_split_moves_everything_with_its_node(n: int, t: int, seed: int, each: bool) -> None:
    row = parted(n, t, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    shape = (n, t, t) if each else (t, t)
    edges = torch.rand(shape, generator=generator) < 0.5
    nodes, asked = Nodes.split(**row, edges=edges)
    every = edges.expand(n, t, t)

    assert len(nodes) == n
    for side, chosen in ((nodes.given, row["given"]), (nodes.latent, row["latent"])):
        assert side.present.shape == (n, int(chosen.sum(1).max()) if n and t else 0)
    for i in range(n):
        where = [row[kind][i].nonzero().flatten().tolist() for kind in ("given", "latent")]
        sides = ((nodes.given, nodes.value, where[0]), (nodes.latent, asked, where[1]))
        for side, values, slots in sides:
            count = len(slots)
            assert side.present[i].sum() == count
            assert side.present[i, :count].all()
            assert torch.equal(side.identity[i, :count], row["identity"][i, slots])
            assert torch.equal(side.error[i, :count], row["error"][i, slots])
            assert torch.equal(values[i, :count], row["value"][i, slots])
            assert not side.identity[i, count:].any()
            assert not side.error[i, count:].any()
            assert not values[i, count:].any()
        blocks = (
            (nodes.among_given, where[0], where[0]),
            (nodes.to_given, where[1], where[0]),
            (nodes.among_latent, where[1], where[1]),
        )
        for block, readers, read in blocks:
            assert block is not None
            for a, source in enumerate(readers):
                for b, target in enumerate(read):
                    assert block[i, a, b] == every[i, source, target]


def test_without_edges_there_are_no_blocks() -> None:
    nodes, _ = Nodes.split(**parted(3, 4, 0))
    assert nodes.among_given is None
    assert nodes.to_given is None
    assert nodes.among_latent is None


def test_split_never_lets_out_what_left_out_nodes_hold() -> None:
    row = parted(40, 6, 3)
    out = ~(row["given"] | row["latent"])
    row["value"][out] = torch.nan
    row["error"][out] = torch.nan
    row["identity"][out] = -7
    nodes, asked = Nodes.split(**row)
    for numbers in (nodes.value, asked, nodes.given.error, nodes.latent.error):
        assert numbers.isfinite().all()
    for side in (nodes.given, nodes.latent):
        assert (side.identity >= 0).all()
