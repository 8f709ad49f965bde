"""Edges of the priors: where stars end, and seldom where stars are."""

import math

import pytest
import torch
from torch import Tensor

from maury.parameters import PARAMETERS
from maury.sky.populations import load_population
from maury.sky.populations.base import STAR
from maury.sky.populations.edges import EDGES, MARGIN, TAIL, find_edges
from maury.sky.populations.surveyed import PARAMETERS as SURVEYED
from maury.sky.populations.surveyed import SurveyedGalaxy

COUNT = 20_000


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def stars(prior: str, galaxy: SurveyedGalaxy) -> tuple[Tensor, tuple[str, ...]]:
    if prior == "galaxy":
        return galaxy.theta(galaxy.sample(COUNT, seeded()), seeded()), SURVEYED
    return load_population(prior).sample(COUNT, seeded()), STAR


def test_an_even_prior_ends_with_its_last_stars_and_a_tail_with_its_range() -> None:
    even = torch.linspace(0, 1, 10_001)
    tail = -torch.log(even.clamp(min=1e-4))  # exponential: its last stars lie far apart
    edges = find_edges(torch.stack([even, tail], 1), ("logg", "mh"))
    assert edges["logg"] == pytest.approx((TAIL, 1 - TAIL), abs=1e-3)
    assert edges["mh"][1] == pytest.approx((1 - MARGIN) * tail.max().item(), abs=1e-3)


def test_facts_are_no_edges() -> None:
    edges = find_edges(torch.rand(1000, 2, generator=seeded()) + 0.1, ("a_v", "q"))
    assert edges["q"] == (-math.inf, math.inf)
    assert edges["a_v"][0] == -math.inf
    assert math.isfinite(edges["a_v"][1])


@pytest.mark.parametrize("prior", EDGES)
def test_edges_are_those_of_the_prior(prior: str, galaxy: SurveyedGalaxy) -> None:
    theta, names = stars(prior, galaxy)
    assert tuple(EDGES[prior]) == names
    found = find_edges(theta, names)
    for name, column in zip(names, theta.unbind(-1), strict=True):
        low, high = EDGES[prior][name]
        for beyond in (column < low, column > high):
            assert beyond.float().mean() < 2 * TAIL
        log = PARAMETERS[name].scale == "log"
        width = math.log(column.max() / column.min()) if log else column.max() - column.min()
        for one, other in zip((low, high), found[name], strict=True):
            if math.isfinite(one):
                gap = math.log(one / other) if log else one - other
                assert abs(gap) < 0.1 * width
            else:
                assert one == other
