"""The field prior: its samples, its density, and which stars it holds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from maury.errors import MauryError
from maury.sky.libraries import load_library
from maury.sky.populations import FieldPrior
from maury.sky.populations.dust import FIELD_DUST

DRAWN = 150_000


@pytest.fixture(scope="module")
def prior() -> FieldPrior:
    return FieldPrior()


@pytest.fixture(scope="module")
def stars(prior: FieldPrior) -> torch.Tensor:
    return prior.sample(DRAWN, torch.Generator().manual_seed(1))


def density(prior: FieldPrior, *, teff: float, logg: float, mh: float) -> float:
    return prior.log_prob(torch.tensor([[teff, logg, mh, 0.2, 3.1]])).item()


def test_shape_and_seed(prior: FieldPrior) -> None:
    first, again, other = (
        prior.sample(100, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert first.shape == (100, 5)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_star_has_a_finite_density(prior: FieldPrior, stars: torch.Tensor) -> None:
    assert torch.isfinite(prior.log_prob(stars)).all()


def test_density_is_normalised(prior: FieldPrior) -> None:
    """Uniform points over (ln teff, logg, mh) in all that the table covers, at fixed dust."""
    low = torch.tensor([np.log(2300.0), -0.5, -4.0], dtype=torch.float64)
    span = torch.tensor([np.log(40000.0 / 2300.0), 6.5, 5.0], dtype=torch.float64)
    count = 250_000
    unit = torch.quasirandom.SobolEngine(3, scramble=True, seed=0).draw(count, dtype=torch.float64)
    point = low + span * unit
    dust = torch.tensor([[0.2, 3.1]], dtype=torch.float64)
    theta = torch.cat([torch.exp(point[:, :1]), point[:, 1:], dust.expand(count, 2)], 1)
    log_dust = FIELD_DUST.log_prob(dust[:, 0], dust[:, 1])
    value = torch.exp(prior.log_prob(theta) - log_dust + point[:, 0]) * torch.prod(span)
    assert value.mean().item() == pytest.approx(1.0, abs=0.01)


def test_samples_follow_the_density(prior: FieldPrior, stars: torch.Tensor) -> None:
    """E[g / p] over draws is the integral of g, here of smooth bumps at three kinds of stars."""
    for centre in ([5772.0, 4.44, 0.0], [4750.0, 2.5, -0.2], [3300.0, 4.95, -0.2]):
        mean = torch.tensor(centre, dtype=torch.float64)
        width = torch.tensor([centre[0] * 0.01, 0.06, 0.1], dtype=torch.float64)
        bump = torch.distributions.Normal(mean, width).log_prob(stars[:, :3].double()).sum(-1)
        log_dust = FIELD_DUST.log_prob(stars[:, 3], stars[:, 4])
        ratio = torch.exp(bump - prior.log_prob(stars) + log_dust)
        error = ratio.std().item() / DRAWN**0.5
        assert error < 0.1
        assert ratio.mean().item() == pytest.approx(1.0, abs=4 * error)


def test_every_star_lies_in_the_library(stars: torch.Tensor) -> None:
    library = load_library()
    nodes = (library.teff_nodes, library.logg_nodes, library.mh_nodes)
    star = stars[:, :3].numpy().astype(np.float64)
    low = [
        np.clip(np.searchsorted(axis, star[:, i], side="right") - 1, 0, len(axis) - 2)
        for i, axis in enumerate(nodes)
    ]
    for corner in np.ndindex(2, 2, 2):
        assert library.exists[tuple(i + c for i, c in zip(low, corner, strict=True))].all()
    for i, axis in enumerate(nodes):
        assert star[:, i].min() >= axis[0]
        assert star[:, i].max() <= axis[-1]


@pytest.mark.parametrize(
    "theta",
    [
        [5772.0, 0.5, 0.0, 0.2, 3.1],
        [1000.0, 5.0, 0.0, 0.2, 3.1],
        [0.0, 4.4, 0.0, 0.2, 3.1],
        [-5.0, 4.4, 0.0, 0.2, 3.1],
        [5772.0, 4.44, -9.0, 0.2, 3.1],
        [5772.0, 4.44, 0.0, 0.0, 3.1],
        [5772.0, 4.44, 0.0, 25.0, 3.1],
        [5772.0, 4.44, 0.0, 0.2, 6.0],
        [float("nan"), 4.44, 0.0, 0.2, 3.1],
        [5772.0, float("inf"), 0.0, 0.2, 3.1],
    ],
)
def test_nothing_outside(prior: FieldPrior, theta: list[float]) -> None:
    assert torch.isneginf(prior.log_prob(torch.tensor([theta]))).all()


def test_common_stars_are_commoner_than_the_median_place(
    prior: FieldPrior, stars: torch.Tensor
) -> None:
    """Per unit (ln teff, logg, mh), against the median over the places where stars are drawn."""
    at = stars[:20_000].clone()
    at[:, 3], at[:, 4] = 0.2, 3.1
    median = (prior.log_prob(at) + torch.log(at[:, 0])).median().item()
    for teff, logg, mh in ((5772.0, 4.44, 0.0), (4800.0, 2.45, -0.1), (3300.0, 4.95, 0.0)):
        assert density(prior, teff=teff, logg=logg, mh=mh) + np.log(teff) > median


def test_rare_stars_are_learned_too(prior: FieldPrior) -> None:
    """Each at a thousandth or more of the density of Suns."""
    sun = density(prior, teff=5772.0, logg=4.44, mh=0.0) + np.log(5772.0)
    for teff, logg, mh in (
        (2400.0, 5.3, 0.0),  # the end of the main sequence
        (4600.0, 1.4, -2.5),  # a halo giant
        (6200.0, 4.4, -3.0),  # an extremely metal-poor turn-off star
        (25000.0, 4.1, 0.0),  # an early B star
        (9800.0, 2.4, 0.0),  # a bright giant of class A
        (3400.0, 0.7, -0.1),  # an M giant
        (8300.0, 3.2, -1.7),  # on the blue horizontal branch
    ):
        here = density(prior, teff=teff, logg=logg, mh=mh) + np.log(teff)
        assert here - sun > -np.log(1000.0), (teff, logg, mh)


def test_the_mix_of_stars_is_as_documented(stars: torch.Tensor) -> None:
    teff, logg, mh = stars[:, :3].T
    fractions = {
        "giants": (logg < 3.5, 0.25, 0.35),
        "hot": (teff > 10_000, 0.03, 0.08),
        "cool dwarfs": ((teff < 4000) & (logg >= 3.5), 0.08, 0.16),
        "metal-poor": (mh < -0.7, 0.20, 0.30),
    }
    for name, (chosen, least, most) in fractions.items():
        assert least < chosen.float().mean().item() < most, name


def test_a_spoiled_table_is_refused(tmp_path: Path) -> None:
    good = {"start": np.zeros(3), "step": np.ones(3), "log_weight": np.zeros((2, 2, 2))}
    for change, words in (
        ({"step": np.ones(2)}, "should be"),
        ({"log_weight": np.full((2, 2, 2), -np.inf)}, "no weight"),
    ):
        np.savez(tmp_path / "table.npz", **{**good, **change})
        with pytest.raises(MauryError, match=words):
            FieldPrior(tmp_path / "table.npz")
    np.savez(tmp_path / "table.npz", start=np.zeros(3))
    with pytest.raises(MauryError, match="lacks log_weight, step"):
        FieldPrior(tmp_path / "table.npz")


def test_a_table_of_one_node_is_a_pyramid(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "table.npz",
        start=np.array([3.7, 4.0, 0.0]),
        step=np.array([0.01, 0.1, 0.1]),
        log_weight=np.zeros((1, 1, 1)),
    )
    prior = FieldPrior(tmp_path / "table.npz")
    dust = FIELD_DUST.log_prob(torch.tensor([0.2]), torch.tensor([3.1])).item()
    teff = 10**3.7
    peak = np.log(1 / (0.01 * 0.1 * 0.1) / (teff * np.log(10))) + dust
    assert density(prior, teff=teff, logg=4.0, mh=0.0) == pytest.approx(peak, abs=1e-3)
    halfway = density(prior, teff=teff, logg=4.05, mh=0.0)
    assert halfway == pytest.approx(peak - np.log(2), abs=1e-3)
    drawn = prior.sample(20_000, torch.Generator().manual_seed(0))
    assert drawn[:, 1].std().item() == pytest.approx(0.1 / 6**0.5, rel=0.03)
