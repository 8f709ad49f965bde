"""Counts by quadrature: closed forms, and samples that were drawn without it."""

from dataclasses import replace

import pytest
import torch

from maury.sky.photometry import cached_table
from maury.sky.populations.milky_way import (
    ROBIN_2003,
    DustDisc,
    Footprint,
    Galaxy,
    Limit,
    MilkyWay,
    star_counts,
)
from maury.sky.populations.milky_way.densities import ParabolicDisc

BAND = "GAIA/GAIA3.G"
EVERYWHERE = ParabolicDisc(length=1e9, height=1e9, join=1.0)
"""As good as the same density everywhere."""


@pytest.fixture(scope="module")
def limit() -> Limit:
    return Limit(BAND, 12.0, cached_table("phoenix-kurucz", [BAND]))


def uniform_galaxy() -> Galaxy:
    part = replace(ROBIN_2003.component("thin disc 5-7 Gyr"), shape=EVERYWHERE, mh_gradient=0.0)
    return replace(ROBIN_2003, components=(part,))


def test_even_density_without_dust(limit: Limit) -> None:
    """Every magnitude shows 10**0.6 times as many stars, in all directions."""
    model = MilkyWay(uniform_galaxy(), dust=DustDisc(local=0.0), binaries=False)
    limits = torch.tensor([10.0, 11.0, 12.0])
    pole, plane = (
        star_counts(
            model, *place, limit=limit, limits=limits, farthest=1e7, ages=2, metallicities=5
        )
        for place in ((0.0, 90.0), (77.0, 0.0))
    )
    assert pole.components == ("thin disc 5-7 Gyr",)
    assert torch.equal(pole.limits, limits)
    ratio = pole.total[1:] / pole.total[:-1]
    assert ratio.tolist() == pytest.approx([10**0.6] * 2, rel=1e-3)
    assert plane.total.tolist() == pytest.approx(pole.total.tolist(), rel=1e-5)


def test_dust_and_a_near_end_hide_stars(limit: Limit) -> None:
    clear, dusty = (
        MilkyWay(uniform_galaxy(), dust=DustDisc(local=local), binaries=False)
        for local in (0.0, 2.0)
    )
    free, dimmed, near = (
        star_counts(
            model, 30.0, 0.0, limit=limit, farthest=farthest, ages=1, metallicities=3
        ).total.item()
        for model, farthest in ((clear, 1e5), (dusty, 1e5), (clear, 100.0))
    )
    assert 0 < dimmed < 0.8 * free
    assert 0 < near < 0.3 * free


def test_samples_of_single_stars(limit: Limit) -> None:
    """Towards the anticentre, where dust and density both change on the way."""
    part = ROBIN_2003.component("thin disc 7-10 Gyr")
    model = MilkyWay(replace(ROBIN_2003, components=(part,)), binaries=False, r_v_sigma=0.0)
    view = model.view(Footprint(180.0, 0.0, 0.3), band=BAND, faintest=16.0, table=limit.table)
    counts = star_counts(
        model, 180.0, 0.0, limit=limit, limits=torch.tensor([16.0]), ages=4, metallicities=9
    )
    found = view.expected_count / view.footprint.square_degrees
    assert found == pytest.approx(counts.total.item(), rel=0.02)
