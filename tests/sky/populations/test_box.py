"""The box prior on small libraries with holes, and on the default library."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from maury.errors import MauryError
from maury.sky.libraries import load_library
from maury.sky.populations import BoxPrior, Population, Support, load_population
from maury.sky.populations.dust import PAPER_DUST

TEFF = np.array([3000.0, 4000.0, 5000.0, 6000.0, 8000.0])
LOGG = np.arange(0.0, 6.01, 0.5)
MH = np.array([-3.0, -2.0, -1.0, -0.5, 0.0, 0.5])


def grid(exists: np.ndarray | None = None) -> SimpleNamespace:
    shape = (len(TEFF), len(LOGG), len(MH))
    return SimpleNamespace(
        teff_nodes=TEFF,
        logg_nodes=LOGG,
        mh_nodes=MH,
        exists=np.ones(shape, bool) if exists is None else exists,
    )


def draw(prior: Population, count: int, seed: int = 0) -> torch.Tensor:
    return prior.sample(count, torch.Generator().manual_seed(seed))


def test_marginals_on_a_whole_grid() -> None:
    """Where the library has no edge inside, every marginal is IrisML's own."""
    teff, logg, mh, _, _ = draw(BoxPrior(Support.from_library(grid())), 100_000).double().numpy().T
    assert stats.kstest(logg, stats.uniform(0.1, 5.4).cdf).pvalue > 1e-3
    log_range = stats.uniform(np.log(3000.0), np.log(8000.0 / 3000.0))
    assert stats.kstest(np.log(teff), log_range.cdf).pvalue > 1e-3
    old, young = stats.norm(-1.49, 0.4), stats.norm(-0.1, 0.2)

    def mixture(x: np.ndarray) -> np.ndarray:
        return 0.25 * old.cdf(x) + 0.75 * young.cdf(x)

    low, high = mixture(np.array([-3.0, 0.5]))
    assert stats.kstest(mh, lambda x: (mixture(x) - low) / (high - low)).pvalue > 1e-3


def test_stars_keep_to_the_cells_of_a_library_with_holes() -> None:
    exists = np.ones((len(TEFF), len(LOGG), len(MH)), bool)
    exists[-1, LOGG < 3] = False  # no hot giants
    exists[0, LOGG > 5, 0] = False  # no cool, compact, metal-poor stars
    exists[2, 4, 1] = False  # a hole at low metallicity
    library = grid(exists)
    prior = BoxPrior(Support.from_library(library))
    stars = draw(prior, 100_000)
    teff, logg, mh = stars[:, :3].double().numpy().T
    assert (teff[logg < 2.5] <= 6000.0).all()
    assert not ((teff < 4000) & (logg > 5.0) & (mh < -2)).any()
    assert not ((abs(teff - 5000) < 900) & (abs(logg - 2) < 0.45) & (mh < -1)).any()
    assert torch.isfinite(prior.log_prob(stars)).all()


def test_density_is_normalised_over_a_library_with_holes() -> None:
    exists = np.ones((len(TEFF), len(LOGG), len(MH)), bool)
    exists[-1, LOGG < 3] = False
    exists[2, 4, 1] = False
    prior = BoxPrior(Support.from_library(grid(exists)))
    count = 200_000
    unit = torch.rand(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low = torch.tensor([np.log(3000.0), 0.1, -3.0])
    span = torch.tensor([np.log(8000.0 / 3000.0), 5.4, 3.5], dtype=torch.float64)
    point = low + span * unit
    dust = torch.tensor([[1.0, 3.13]], dtype=torch.float64)
    theta = torch.cat([torch.exp(point[:, :1]), point[:, 1:], dust.expand(count, 2)], 1)
    log_dust = PAPER_DUST.log_prob(dust[:, 0], dust[:, 1])
    value = torch.exp(prior.log_prob(theta) - log_dust + point[:, 0]) * torch.prod(span)
    error = value.std().item() / count**0.5
    assert value.mean().item() == pytest.approx(1.0, abs=4 * error)


def test_nothing_outside() -> None:
    prior = BoxPrior(Support.from_library(grid()))
    inside = torch.tensor([5000.0, 4.0, -0.1, 0.5, 3.1])
    assert torch.isfinite(prior.log_prob(inside[None])).all()
    for column, value in (
        (0, 2999.0),
        (0, 8001.0),
        (1, 0.05),
        (1, 5.6),
        (2, -3.1),
        (2, 0.6),
        (3, 0.001),
        (3, 21.0),
        (4, 2.4),
        (4, 4.6),
        (0, float("nan")),
    ):
        theta = inside.clone()
        theta[column] = value
        assert torch.isneginf(prior.log_prob(theta[None])).all(), (column, value)


def test_a_library_without_solar_models_is_refused() -> None:
    exists = np.ones((len(TEFF), len(LOGG), len(MH)), bool)
    exists[:, 4, 4] = False
    with pytest.raises(MauryError, match="no whole cell"):
        Support.from_library(grid(exists))


def test_default_library_answers_for_every_star() -> None:
    library = load_library()
    prior = load_population("box")
    stars = draw(prior, 50_000)
    assert torch.isfinite(prior.log_prob(stars)).all()
    some = stars[:200].double().numpy()
    assert library.fluxes(some[:, 0], some[:, 1], some[:, 2])[1].all()
    assert torch.equal(stars[:50], draw(prior, 50_000)[:50])


def test_an_unknown_population_is_named() -> None:
    with pytest.raises(MauryError, match="no population 'disc': there are box, field"):
        load_population("disc")
