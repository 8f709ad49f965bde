"""What a latent node's velocity rests on, and what it must not rest on."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from maury.errors import MauryError
from maury.nets.config import JointConfig, SplineConfig
from maury.nets.joint.density import Condition, JointDensity
from maury.nets.joint.flowing import ParameterFlow
from maury.nets.joint.nodes import Nodes, Side
from maury.nets.joint.paths import PATHS

ANGLE = torch.tensor([0.7])
CLOSE = {"rtol": 1e-5, "atol": 2e-6}


def points(n: int, slots: int, draws: int = 1, seed: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, draws, slots, generator=generator)


@torch.no_grad()
def answer(network: JointDensity, nodes: Nodes, y: Tensor | None = None) -> tuple[Tensor, ...]:
    """Velocity and values (N, L) at given or at fixed points."""
    condition = network.condition(nodes)
    if y is None:
        y = points(len(nodes), nodes.latent.present.shape[1])
    return network.field(condition, y, ANGLE)[:, 0], network.to_values(condition, y)[:, 0]


def with_value(nodes: Nodes, row: int, slot: int, value: float) -> Nodes:
    changed = nodes.value.clone()
    changed[row, slot] = value
    return replace(nodes, value=changed)


def same(one: tuple[Tensor, ...], two: tuple[Tensor, ...]) -> bool:
    return all(torch.allclose(a, b, **CLOSE) for a, b in zip(one, two, strict=True))


def test_a_new_network_stands_still_in_plain_units() -> None:
    network = JointDensity(6, JointConfig(width=16, layers=1, heads=2, feedforward=16))
    nodes, _ = Nodes.split(
        torch.arange(6)[None],
        torch.randn(1, 6),
        torch.zeros(1, 6),
        torch.arange(6)[None] < 3,
        torch.arange(6)[None] >= 3,
    )
    u, value = answer(network, nodes)
    assert not u.any()
    torch.testing.assert_close(value, points(1, 3)[:, 0])


def test_heads_must_share_the_width_evenly() -> None:
    config = JointConfig(width=18, layers=1, heads=4, feedforward=16)
    with pytest.raises(MauryError, match="width 18 is not a multiple of heads 4"):
        JointDensity(3, config)


def test_a_flow_and_a_graph_exclude_each_other() -> None:
    flow = ParameterFlow(2, 128, SplineConfig(kind="spline", transforms=2, hidden=8), tail=4.0)
    with pytest.raises(MauryError, match="a flow reads no graph"):
        JointDensity(3, JointConfig(), flow, torch.eye(3, dtype=torch.bool))


def test_every_given_value_moves_every_latent_node(stirred, question) -> None:
    network = stirred()
    nodes, _ = question("gg??g.")
    before = answer(network, nodes)
    for slot in range(3):
        changed = with_value(nodes, 0, slot, float(nodes.value[0, slot]) + 1)
        for a, b in zip(before, answer(network, changed), strict=True):
            assert ((a - b).abs() > 1e-4).all()


def test_errors_of_given_and_of_latent_nodes_matter(stirred, question) -> None:
    network = stirred()
    nodes, _ = question("gg????")
    before = answer(network, nodes)[0]
    for side in ("given", "latent"):
        changed = getattr(nodes, side)
        changed = replace(changed, error=changed.error + 0.5)
        after = answer(network, replace(nodes, **{side: changed}))[0]
        assert ((before - after).abs() > 1e-4).all()


def test_latent_nodes_see_one_another(stirred, question) -> None:
    network = stirred()
    nodes, _ = question("gg????")
    y = points(1, 4)
    before = answer(network, nodes, y)[0]
    y[..., 3] += 1
    assert ((before - answer(network, nodes, y)[0]).abs() > 1e-6).all()


def test_nodes_that_are_left_out_change_nothing(stirred) -> None:
    network = stirred()
    identity, value, error = torch.arange(6)[None], points(1, 6)[:, 0], torch.rand(1, 6)
    given = torch.tensor([[True, False, True, False, False, False]])
    latent = torch.tensor([[False, True, False, False, True, False]])
    without, _ = Nodes.split(
        identity[:, :5], value[:, :5], error[:, :5], given[:, :5], latent[:, :5]
    )
    value[:, [3, 5]], error[:, [3, 5]] = torch.nan, torch.inf
    nodes, _ = Nodes.split(identity, value, error, given, latent)
    for a, b in zip(answer(network, nodes), answer(network, without), strict=True):
        assert torch.equal(a, b)


def test_rows_do_not_feel_the_padding_of_others(stirred, question) -> None:
    network = stirred()
    rows = ("gggg??", "g?....", ".g????", "....??")
    for edges in (None, torch.rand(6, 6, generator=torch.Generator().manual_seed(0)) < 0.6):
        together, _ = question(*rows, edges=edges)
        y = points(4, 4)
        u, values = answer(network, together, y)
        for i in range(len(rows)):
            count = rows[i].count("?")
            keep = torch.tensor([[c == "g" for c in rows[i]], [c == "?" for c in rows[i]]])
            every, _ = question(*("g" * 6,) * len(rows))  # The same numbers, before they part.
            alone, _ = Nodes.split(
                every.given.identity[i : i + 1],
                _values(question, len(rows))[i : i + 1],
                every.given.error[i : i + 1],
                keep[:1],
                keep[1:],
                edges,
            )
            found = answer(network, alone, y[i : i + 1, :, :count])
            for whole, part in zip((u, values), found, strict=True):
                torch.testing.assert_close(whole[i, :count], part[0], **CLOSE)
            assert not u[i, count:].any()


def _values(question, rows: int) -> Tensor:
    return question(*("g" * 6,) * rows)[0].value


@pytest.mark.parametrize("draws", [1, 3])
def test_what_stands_in_empty_slots_changes_nothing(stirred, question, draws: int) -> None:
    network = stirred()
    nodes, asked = question("ggg???", "g?....")
    y = points(2, 3, draws)

    def filled(side: Side) -> Side:
        empty = ~side.present
        return Side(
            side.identity.masked_fill(empty, 5), side.error.masked_fill(empty, 7), side.present
        )

    value = nodes.value.masked_fill(~nodes.given.present, 8.0)
    other = replace(nodes, given=filled(nodes.given), latent=filled(nodes.latent), value=value)
    empty = ~nodes.latent.present
    found = []
    for rows, at, right in (
        (nodes, y, asked),
        (other, y.masked_fill(empty[:, None], 9.0), asked.masked_fill(empty, 9.0)),
    ):
        with torch.no_grad():
            condition = network.condition(rows)
            loss = network.loss(condition, right, torch.Generator().manual_seed(0))
            found.append((network.field(condition, at, ANGLE), loss))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_the_order_of_given_nodes_does_not_matter(stirred) -> None:
    """Latent ones have slopes on those before them."""
    network = stirred()
    generator = torch.Generator().manual_seed(3)
    identity, value, error = torch.arange(6)[None], points(1, 6)[:, 0], torch.rand(1, 6)
    given = torch.tensor([[True, True, True, False, False, False]])
    edges = torch.rand(6, 6, generator=generator) < 0.6
    y = points(1, 3)
    for graph in (None, edges):
        before = answer(network, Nodes.split(identity, value, error, given, ~given, graph)[0], y)
        turn = torch.cat([torch.randperm(3, generator=generator), torch.arange(3, 6)])
        turned = None if graph is None else graph[turn][:, turn]
        moved = (x[:, turn] for x in (identity, value, error, given, ~given))
        after = answer(network, Nodes.split(*moved, turned)[0], y)
        assert same(before, after)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_edges_bound_what_can_be_reached(stirred, question, layers: int) -> None:
    """A chain in which each node attends to the next: values come one node nearer each layer."""
    network = stirred(layers=layers, size=1.0)
    chain = torch.eye(6, dtype=torch.bool) | torch.diag(torch.ones(5, dtype=torch.bool), 1)
    nodes, _ = question("??gggg", edges=chain)
    before = answer(network, nodes)
    for slot in range(4):
        after = answer(network, with_value(nodes, 0, slot, 3.0))
        moved = [(a != b)[0].tolist() for a, b in zip(before, after, strict=True)]
        # Units are read off the given nodes that are attended to: of the latent ones only node 1
        # attends to one, and that is slot 0.
        assert moved[1] == [False, slot == 0]
        # Velocities: layer by layer given nodes meet others along the chain; node 0 hears of them
        # through node 1 alone, a layer later, and of its unit at once.
        assert moved[0] == [slot == 0 or slot < layers - 1, slot < layers]


def test_what_no_path_reaches_counts_nowhere(stirred, question) -> None:
    """Two graphs without an edge between them, at any depth."""
    network = stirred(layers=4, size=1.0)
    block = torch.ones(3, 3, dtype=torch.bool)
    nodes, _ = question("g?gg??", edges=torch.block_diag(block, block).bool())
    before = answer(network, nodes)
    after = answer(network, with_value(nodes, 0, 2, 5.0))
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a[:, :1], b[:, :1])  # Latent node 1 lives with given nodes 0 and 2.
        assert ((a - b)[:, 1:].abs() > 1e-5).all()
    y = points(1, 3)
    y[..., 0] += 1
    moved = answer(network, nodes, y)
    assert torch.equal(before[0][:, 1:], moved[0][:, 1:])


def test_directed_edges_are_one_way(stirred, question) -> None:
    network = stirred(size=1.0)
    edges = torch.eye(6, dtype=torch.bool)
    edges[0, 5] = True  # Node 0 sees node 5, not the other way round.
    nodes, _ = question("?....g", edges=edges)
    assert not same(answer(network, nodes), answer(network, with_value(nodes, 0, 0, 4.0)))
    nodes, _ = question("g....?", edges=edges)
    assert same(answer(network, nodes), answer(network, with_value(nodes, 0, 0, 4.0)))


@pytest.mark.parametrize("path", PATHS)
def test_many_draws_are_one_draw_many_times(stirred, question, path: str) -> None:
    network = stirred(path=path)
    edges = torch.rand(6, 6, generator=torch.Generator().manual_seed(0)) < 0.6
    for graph in (None, edges):
        nodes, _ = question("gg????", "g??...", "....??", edges=graph)
        y = points(3, 4, draws=5)
        with torch.no_grad():
            condition = network.condition(nodes)
            phi = torch.tensor([0.2, 0.7, 1.3])
            together = network.field(condition, y, phi)
            alone = [network.field(condition, y[:, i : i + 1], phi) for i in range(5)]
        torch.testing.assert_close(together, torch.cat(alone, 1), **CLOSE)


def test_each_row_has_its_own_angle(stirred, question) -> None:
    network = stirred()
    nodes, _ = question("gg????", "gg????")
    y = points(2, 4, draws=2)
    phi = torch.tensor([0.2, 1.3])
    with torch.no_grad():
        condition = network.condition(nodes)
        both = network.field(condition, y, phi)
        for i in range(2):
            one = network.field(condition, y, phi[i : i + 1])
            torch.testing.assert_close(both[i], one[i], **CLOSE)
        assert (network.field(condition, y, phi.flip(0)) - both).abs().max() > 1e-3


@pytest.mark.parametrize("rows", [slice(1, 3), torch.tensor([2, 0, 2]), slice(0, 0)])
def test_rows_of_a_condition_are_its_rows(stirred, question, rows: slice | Tensor) -> None:
    network = stirred()
    nodes, _ = question("gg????", "g??...", "....??")
    y = points(3, 4, draws=2)
    with torch.no_grad():
        condition = network.condition(nodes)
        part = condition[rows]
        assert isinstance(part, Condition)
        assert len(part) == len(y[rows])
        whole = network.field(condition, y, ANGLE)
        torch.testing.assert_close(network.field(part, y[rows], ANGLE), whole[rows], **CLOSE)
        torch.testing.assert_close(
            network.to_values(part, y[rows]), _values_of(network, condition, y)[rows]
        )


def _values_of(network: JointDensity, condition: Condition, y: Tensor) -> Tensor:
    values = network.to_values(condition, y)
    torch.testing.assert_close(network.to_units(condition, values)[0], y, rtol=1e-4, atol=1e-5)
    return values


@pytest.mark.parametrize("draws", [1, 3])
def test_where_all_is_given_there_is_nothing_to_move(stirred, question, draws: int) -> None:
    network = stirred()
    nodes, asked = question("gggg..", "gg....")
    with torch.no_grad():
        u = network.field(network.condition(nodes), torch.zeros(2, draws, 0), ANGLE)
        assert u.shape == (2, draws, 0)
        assert network.loss(network.condition(nodes), asked) == 0


def test_spreads_stay_within_their_bounds(stirred, question) -> None:
    network = stirred()
    with torch.no_grad():
        for bias, log_spread in ((50.0, 7.0), (-50.0, -7.0)):
            network.base.unit.bias[1] = bias
            found = network.condition(question("gg????")[0]).base.spread[:, 1:]
            torch.testing.assert_close(found.log(), torch.full((1, 3), log_spread))


@pytest.mark.parametrize("path", PATHS)
def test_the_loss_reaches_every_weight(stirred, question, path: str) -> None:
    network = stirred(path=path)
    nodes, asked = question("gg????", "......", "????gg", "??g.g.", "g?????")
    network.loss(network.condition(nodes), asked, torch.Generator().manual_seed(0)).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


def test_the_loss_counts_latent_nodes_only(stirred, question) -> None:
    network = stirred()
    nodes, asked = question("gg????", "g?....")

    def loss(asked: Tensor) -> float:
        with torch.no_grad():
            condition = network.condition(nodes)
            return float(network.loss(condition, asked, torch.Generator().manual_seed(0)))

    for i, j in itertools.product(range(2), range(4)):
        changed = asked.clone()
        changed[i, j] += 2.0
        assert (loss(changed) == loss(asked)) == (not nodes.latent.present[i, j])


def test_the_loss_is_what_it_says(stirred, question, unbend) -> None:
    """Against a loop over rows, draws of time and noise being the same."""
    network = stirred()
    unbend(network)
    nodes, asked = question("ggg???", "g..?..", "...???")
    with torch.no_grad():
        found = network.loss(network.condition(nodes), asked, torch.Generator().manual_seed(4))
        generator = torch.Generator().manual_seed(4)
        time = network.path.times(3, generator)
        noise = torch.randn(asked.shape, generator=generator)
        condition = network.condition(nodes)
        phi = network.path.angle(time)
        total, count = 0.0, 0
        for i in range(3):
            data = condition.base.to_units(asked[:, None])[0][i, 0]
            y = phi[i].cos() * data + phi[i].sin() * noise[i]
            u = network.field(condition[i : i + 1], y[None, None], phi[i : i + 1])[0, 0]
            for j in range(int(nodes.latent.present[i].sum())):
                right = phi[i].cos() * noise[i, j] - phi[i].sin() * data[j]
                total += float(network.path.weight(time)[i] * (u[j] - right) ** 2)
                count += 1
            units = condition.base[i : i + 1]
            size = int(nodes.latent.present[i].sum())
            lower = torch.eye(size) - units.slope[0, :size, :size]
            normal = torch.distributions.MultivariateNormal(
                units.location[0, :size],
                scale_tril=(torch.linalg.inv(lower) @ torch.diag(units.spread[0, :size])).tril(),
            )
            total -= float(normal.log_prob(asked[i, :size]))
            total -= 0.5 * size * math.log(2 * math.pi)
    assert float(found) == pytest.approx(total / count, rel=1e-4)


def test_the_velocity_does_not_teach_the_units(stirred, question) -> None:
    """Units are learned from their own cost; else they would shrink what the velocity must do."""
    network = stirred()
    nodes, asked = question("gg????", "g?....")
    condition = network.condition(nodes)
    cost = condition.base.cost(asked) * condition.present
    (cost.sum() / condition.present.sum()).backward()
    taught = (network.base.unit.weight, network.base.bends.last)
    right = [weight.grad.clone() for weight in taught]
    network.zero_grad()
    network.loss(network.condition(nodes), asked).backward()
    for weight, expected in zip(taught, right, strict=True):
        torch.testing.assert_close(weight.grad, expected, rtol=1e-4, atol=1e-6)


def test_learns_a_normal_density() -> None:
    """Correlated in three dimensions: means of conditionals come out within seconds."""
    covariance = torch.tensor([[1.0, 0.8, 0.3], [0.8, 1.0, 0.5], [0.3, 0.5, 1.0]])
    factor = torch.linalg.cholesky(covariance)
    torch.manual_seed(0)
    network = JointDensity(3, JointConfig(width=16, layers=1, heads=2, feedforward=32))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)
    n = 128
    identity, nothing = torch.arange(3).expand(n, 3), torch.zeros(n, 3)

    losses = []
    for _ in range(90):
        value = torch.randn(n, 3, generator=generator) @ factor.T
        given = torch.rand(n, 3, generator=generator) < 0.5
        nodes, asked = Nodes.split(identity, value, nothing, given, ~given)
        loss = network.loss(network.condition(nodes), asked, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-20:]) / 20 < losses[0] - 0.1

    given = torch.tensor([[False, True, False]]).expand(3, 3)
    value = torch.tensor([-1.0, 0.0, 1.0])[:, None].expand(3, 3)
    nodes, _ = Nodes.split(identity[:3], value, nothing[:3], given, ~given)
    with torch.no_grad():
        location = network.condition(nodes).base.location
    right = torch.outer(torch.tensor([-1.0, 0, 1]), torch.tensor([0.8, 0.5]))
    torch.testing.assert_close(location, right, atol=0.3, rtol=0)
