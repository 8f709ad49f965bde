"""Densities are densities: normalised, and those of the draws."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from maury.nets.joint import log_density as room
from maury.nets.joint.density import Condition, JointDensity
from maury.nets.joint.log_density import log_density
from maury.nets.joint.samplers import adaptive


@torch.no_grad()
def whole(
    network: JointDensity, condition: Condition, width: float, cells: int
) -> tuple[Tensor, Tensor]:
    """A grid of values (C, L) about the unit, and the density (C,) there times the cell's size."""
    size = condition.base.location.shape[1]
    ticks = (torch.arange(cells) + 0.5) / cells * 2 * width - width
    units = torch.cartesian_prod(*[ticks] * size).view(-1, size)
    values = network.to_values(condition, units[None])
    density = log_density(network, condition, values, steps=12)[0].exp()
    shrunk = network.to_units(condition, values)[1][0].sum(-1).exp()
    return values[0], density * (2 * width / cells) ** size / shrunk


@pytest.fixture
def network(stirred) -> JointDensity:
    """Bent enough that its density is clearly no normal one."""
    return stirred(layers=1, size=0.6, seed=3)


@torch.no_grad()
def asked(network: JointDensity, question, *rows: str) -> Condition:
    return network.condition(question(*rows)[0])


@pytest.mark.parametrize(("row", "width", "cells"), [("gg?.g.", 8.0, 300), ("?gg?..", 8.0, 72)])
def test_integrates_to_one(network, question, row: str, width: float, cells: int) -> None:
    _, mass = whole(network, asked(network, question, row), width, cells)
    assert float(mass.sum()) == pytest.approx(1, abs=0.02)


@torch.no_grad()
def test_is_no_normal_density(network, question) -> None:
    """Else the other tests would show little."""
    condition = asked(network, question, "gg?.g.")
    values, mass = whole(network, condition, 8.0, 300)
    z = network.to_units(condition, values[None])[0][0, :, 0]
    plain = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) * 16 / 300
    assert 0.5 * float((mass - plain).abs().sum()) > 0.1


def test_is_that_of_draws(network, question) -> None:
    condition = asked(network, question, "gg?.g.")
    values, mass = whole(network, condition, 8.0, 300)
    y = torch.randn(1, 2000, 1, generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def field(y: Tensor, phi: float) -> Tensor:
        return network.field(condition, y, y.new_full((1,), phi))

    drawn = network.to_values(condition, adaptive(field, y, network.path.first))[0, :, 0].sort()
    right = torch.cat([torch.zeros(1), mass.cumsum(0)])
    edges = values[:, 0] + 0.5 * float(values[1, 0] - values[0, 0])
    share = torch.searchsorted(drawn.values, edges) / 2000
    # Kolmogorov and Smirnov: 1.95 / sqrt(2000) is passed once in a thousand.
    assert float((share - right[1:]).abs().max()) < 0.044


def test_follows_the_units(network, question, unbend) -> None:
    """A new network's density is the normal one of its units, whatever these are."""
    unbend(network)
    with torch.no_grad():
        network.velocity.weight.zero_()
        network.velocity.bias.zero_()
    condition = asked(network, question, "ggg???", "g..?..")
    value = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    found = log_density(network, condition, value)
    for row, size in enumerate((3, 1)):
        units = condition.base[row : row + 1]
        lower = torch.eye(size) - units.slope[0, :size, :size]
        normal = torch.distributions.MultivariateNormal(
            units.location[0, :size],
            scale_tril=(torch.linalg.inv(lower) @ torch.diag(units.spread[0, :size])).tril(),
        )
        torch.testing.assert_close(found[row], normal.log_prob(value[row, :, :size]))


def test_rows_with_empty_slots_are_as_they_were_alone(network, question) -> None:
    together = asked(network, question, "ggg???", "?..g..")
    alone = question("gggggg", "?..g..")[0]
    condition = network.condition(alone)[1:]
    value = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    both = log_density(network, together, value)
    torch.testing.assert_close(
        log_density(network, condition, value[1:, :, :1]), both[1:], rtol=1e-4, atol=1e-4
    )
    # And nothing rests on what stands in empty slots.
    value[1, :, 1:] = torch.nan
    torch.testing.assert_close(log_density(network, together, value), both)


def test_steps_are_enough(network, question) -> None:
    condition = asked(network, question, "gg?.??")
    value = torch.randn(1, 12, 3, generator=torch.Generator().manual_seed(0))
    found, finer = (log_density(network, condition, value, steps=n) for n in (24, 60))
    assert float((found - finer).abs().max()) < 0.05


def test_the_estimated_trace_of_one_node_is_exact(network, question, monkeypatch) -> None:
    condition = asked(network, question, "gg?.g.")
    value = torch.randn(1, 20, 1, generator=torch.Generator().manual_seed(0))
    exact = log_density(network, condition, value)
    monkeypatch.setattr(room, "EXACT_UP_TO", 0)
    torch.testing.assert_close(log_density(network, condition, value, probes=2), exact)


def test_the_estimated_trace_nears_the_exact_one(network, question, monkeypatch) -> None:
    condition = asked(network, question, "gg????", "g?...?")
    value = torch.randn(2, 40, 4, generator=torch.Generator().manual_seed(0))
    exact = log_density(network, condition, value, steps=8)
    monkeypatch.setattr(room, "EXACT_UP_TO", 0)
    misses = [
        (log_density(network, condition, value, steps=8, probes=n) - exact).square().mean().sqrt()
        for n in (2, 8, 32)
    ]
    assert misses[0] > 0.02
    for few, many in itertools.pairwise(misses):
        assert 1.4 < few / many < 2.9  # Errors fall by the root of the number.
    again = log_density(network, condition, value, steps=8, probes=2)
    assert torch.equal(again, log_density(network, condition, value, steps=8, probes=2))


def test_leaves_no_gradients_behind(network, question) -> None:
    condition = asked(network, question, "gg?.g.")
    found = log_density(network, condition, torch.zeros(1, 1, 1), steps=2)
    assert not found.requires_grad
    assert all(weight.grad is None for weight in network.parameters())
