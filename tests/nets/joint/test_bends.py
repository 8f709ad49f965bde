"""Bends: invertible, one node after another, for any set of latent nodes."""

import pytest
import torch
from torch import Tensor

from maury.nets.joint.bends import FORM, Bends, Bent

NODES, HIDDEN = 5, 6


@pytest.fixture
def bends() -> Bends:
    torch.manual_seed(0)
    bends = Bends(NODES, HIDDEN)
    with torch.no_grad():
        bends.last.normal_()
        bends.follows.normal_()
    return bends.double()  # so stirred, float32 would lose digits


def bent(bends: Bends, *rows: str, slots: list[int] | None = None, shape: float = 1.0) -> Bent:
    """Bends of rows of letters: + bends, o does not, . is an empty slot."""
    slots = slots or list(range(NODES))
    identity = torch.tensor([slots[: len(row)] for row in rows])
    active = torch.tensor([[letter == "+" for letter in row] for row in rows])
    present = torch.tensor([[letter != "." for letter in row] for row in rows])
    generator = torch.Generator().manual_seed(1)
    size = HIDDEN + FORM
    told = torch.randn(1, NODES, size, generator=generator, dtype=torch.float64)
    steer, form = told.to(bends.last.dtype).expand(len(rows), -1, -1).split([HIDDEN, FORM], -1)
    which, place = identity.masked_fill(~present, 0).unique(return_inverse=True)
    return bends(which, place, active, active, steer[:, which], shape * form[:, which])


def values(rows: int, *, draws: int = 3, slots: int = NODES) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(rows, draws, slots, generator=generator, dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("row", ["+++++", "+o+++", "+.+++", "oo", "+"])
def test_bending_undoes_straightening(bends: Bends, row: str) -> None:
    found = bent(bends, row)
    v = values(1, slots=len(row))
    r, _ = found.straighten(v)
    torch.testing.assert_close(found.bend(r), v)
    moved = (r != v).any(1)[0].tolist()
    assert all(letter == "+" for letter, here in zip(row, moved, strict=True) if here)


def test_slopes_are_those_of_the_map(bends: Bends) -> None:
    found = bent(bends, "++o++")
    v = values(1, draws=1)
    jacobian = torch.func.jacrev(lambda v: found.straighten(v[None, None])[0][0, 0])(v[0, 0])
    assert torch.equal(jacobian.triu(1), torch.zeros(NODES, NODES, dtype=torch.float64))
    assert jacobian.tril(-1).abs().sum() > 0.1
    _, log_slope = found.straighten(v)
    torch.testing.assert_close(jacobian.diagonal().log(), log_slope[0, 0])


@torch.no_grad()
def test_the_order_of_slots_is_nothing(bends: Bends) -> None:
    order = [3, 0, 4, 1, 2]
    v = values(1)
    r, log_slope = bent(bends, "+++++").straighten(v)
    other, other_slope = bent(bends, "+++++", slots=order).straighten(v[..., order])
    torch.testing.assert_close(other, r[..., order])
    torch.testing.assert_close(other_slope, log_slope[..., order])


@torch.no_grad()
def test_nodes_that_do_not_bend_are_nothing_to_the_others(bends: Bends) -> None:
    v = values(1)
    r, _ = bent(bends, "++o++").straighten(v)
    other, _ = bent(bends, "++++", slots=[0, 1, 3, 4]).straighten(v[..., [0, 1, 3, 4]])
    torch.testing.assert_close(r[..., [0, 1, 3, 4]], other)


@torch.no_grad()
def test_a_missing_node_is_not_one_at_zero(bends: Bends) -> None:
    v = values(1).index_fill(-1, torch.tensor(1), 0.0)
    there, _ = bent(bends, "+++++").straighten(v)
    missing, _ = bent(bends, "+o+++").straighten(v)
    torch.testing.assert_close(missing[..., 0], there[..., 0])
    assert (missing[..., 2:] != there[..., 2:]).all()


@torch.no_grad()
def test_rows_are_as_they_were_alone(bends: Bends) -> None:
    together, v = bent(bends, "+++..", "o++++", "+...."), values(3)
    r, _ = together.straighten(v)
    back = together.bend(r)
    for row, letters in enumerate(["+++", "o++++", "+"]):
        size = len(letters)
        alone = bent(bends, letters)
        torch.testing.assert_close(alone.straighten(v[row, None, :, :size])[0][0], r[row, :, :size])
        one = together[row : row + 1].bend(r[row, None])[0]
        torch.testing.assert_close(one, back[row])


def test_new_bends_are_none() -> None:
    v = values(2)
    r, log_slope = bent(Bends(NODES, HIDDEN).double(), "+++++", "++o..", shape=0.0).straighten(v)
    torch.testing.assert_close(r, v)
    torch.testing.assert_close(log_slope, torch.zeros_like(v), atol=1e-5, rtol=0)


def test_a_thin_curved_sheet_is_learned() -> None:
    """The nearest normal density of a parabola is as wide as the parabola is high."""
    torch.manual_seed(0)
    bends = Bends(2, 16)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(bends.parameters(), 1e-2)
    x = torch.randn(4096, generator=generator)
    noise = 0.05 * torch.randn(4096, generator=generator)
    v = torch.stack([x, x**2 - 1 + noise], -1)[:, None]
    which, place = torch.arange(2), torch.arange(2).expand(256, 2)
    active, steer = torch.ones(256, 2, dtype=torch.bool), torch.zeros(256, 2, 16)
    form = torch.zeros(256, 2, FORM)
    for step in range(300):
        some = v[torch.randint(len(v), (256,), generator=generator)]
        r, log_slope = bends(which, place, active, active, steer, form).straighten(some)
        loss = (0.5 * r.square() - log_slope).sum(-1).mean()
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / 300)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = 1.0 + torch.log(torch.tensor(0.05))
    assert float(loss.detach()) == pytest.approx(float(right), abs=0.5)
