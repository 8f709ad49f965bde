"""Draws by name, their summary and their way to ArviZ."""

import warnings

import numpy as np
import pytest
import torch

from maury.errors import MauryError
from maury.inference.draws import Draws

NAMES = ("teff", "logg")


def gaussian(count: int = 4000) -> Draws:
    noise = torch.randn(count, 3, 2, generator=torch.Generator().manual_seed(0))
    return Draws(noise * torch.tensor([50.0, 0.1]) + torch.tensor([5800.0, 4.4]), NAMES)


def test_summary_of_a_gaussian_is_its_closed_form() -> None:
    table = gaussian().summary()
    assert len(table) == 3
    np.testing.assert_allclose(table["teff"], 5800, atol=5)
    np.testing.assert_allclose(table["teff_hi"] - table["teff_lo"], 2 * 0.9945 * 50, rtol=0.06)
    np.testing.assert_allclose(table["logg_mean"], 4.4, atol=0.01)
    np.testing.assert_allclose(table["logg_std"], 0.1, rtol=0.05)
    assert str(table["teff_lo"].unit) == "K"


def test_great_numbers_keep_their_small_scatter() -> None:
    values = 50_000 + torch.tensor([-0.5, 0.0, 0.5]).view(3, 1, 1)
    assert Draws(values, ("teff",)).summary()["teff_std"][0] == pytest.approx(0.5)


def test_a_star_without_an_answer_is_nan() -> None:
    draws = gaussian(10)
    draws.values[:, 1] = torch.nan
    table = draws.summary()
    for name in table.colnames:
        assert np.isfinite(table[name][[0, 2]]).all()
        assert np.isnan(table[name][1])


def test_one_draw_has_no_scatter_and_no_complaint() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = gaussian(1).summary()
    assert np.isnan(table["teff_std"]).all()
    assert np.array_equal(table["teff"], table["teff_lo"])


def test_no_stars() -> None:
    assert len(Draws(torch.empty(5, 0, 2), NAMES).summary()) == 0


def test_names() -> None:
    draws = gaussian(5)
    assert torch.equal(draws["logg"], draws.values[..., 1])
    with pytest.raises(MauryError, match=r"no parameter 'age'.*teff, logg"):
        draws["age"]


def test_parts_join_in_order() -> None:
    draws = gaussian(5)
    parts = [Draws(draws.values[:, i : i + 1], NAMES) for i in range(3)]
    assert torch.equal(Draws.concatenate(parts).values, draws.values)


def test_arviz() -> None:
    pytest.importorskip("arviz")
    data = gaussian(20).to_arviz()
    assert data.posterior["teff"].shape == (1, 20, 3)
