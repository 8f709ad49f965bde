"""Errors of models: shapes over temperature, and the light that follows from them."""

import numpy as np
import pytest
import torch

from maury.cluster.mock import mock_cluster
from maury.cluster.model_errors import (
    BAND_RAMPS,
    TEMPERATURE_ERRORS,
    band_shapes,
    own_temperature,
    temperature_shapes,
)
from maury.cluster.sequence import StellarModel
from maury.sky.isochrones import load_isochrones
from maury.sky.photometry import cached_table

BANDS = (*(f"GAIA/GAIA3.{b}" for b in ("G", "Gbp", "Grp")), "2MASS/2MASS.Ks")


def test_errors_are_least_at_the_suns_temperature_and_grow_towards_both_ends() -> None:
    teff = torch.logspace(3.4, 4.3, 200)
    dwarfs, giants = torch.full((200,), 4.5), torch.full((200,), 2.0)
    widths = torch.tensor(list(TEMPERATURE_ERRORS.values()))
    total = ((temperature_shapes(teff, dwarfs) * widths) ** 2).sum(-1).sqrt()
    sun = int((teff - 5772).abs().argmin())
    assert total.min() == total[sun]
    assert total[0] > 0.04
    assert total[-1] == pytest.approx(np.hypot(0.005, 0.025), rel=1e-5)
    assert own_temperature(teff).argmin() <= sun
    assert band_shapes(teff)[sun].abs().max() == 0
    assert band_shapes(teff).shape == (200, len(BAND_RAMPS))
    evolved = temperature_shapes(teff, giants)
    assert evolved[:, 1:-1].abs().max() < 1e-6
    assert evolved[:, -1].min() == pytest.approx(1.0)


def test_warmer_stars_of_one_luminosity_are_bluer_and_as_bright_where_they_shine() -> None:
    model = StellarModel(load_isochrones(), cached_table("phoenix-kurucz", BANDS))
    pieces = model.sequence(9.0, 0.0, 0.0)
    assert pieces is not None
    dwarfs = (pieces.mass > 0.7) & (pieces.mass < 1.5)
    blue, red = (pieces.warm[dwarfs][:, BANDS.index(b)] for b in (BANDS[1], BANDS[3]))
    assert np.all(blue < red)
    # In the Rayleigh-Jeans tail light goes as T R^2, that is as 1 / T^3.
    assert np.median(red) == pytest.approx(7.5 / np.log(10.0), abs=1.0)
    # Two alike change as one.
    for q in (0.0, float(pieces.q.max())):
        some = pieces.warm[dwarfs & (pieces.q == q)]
        assert np.median(some[:, 0]) == pytest.approx(np.median(pieces.warm[dwarfs][:, 0]), abs=0.3)


def test_errors_of_models_change_a_simulated_cluster_but_not_who_belongs_to_it() -> None:
    theta = torch.tensor([8.5, 0.0, 250.0, 400.0, 0.3, 0.05])
    exact, wrong = (mock_cluster(theta, seed=3, bands=BANDS, models=m) for m in (0.0, 1.0))
    assert exact.member.sum() == pytest.approx(wrong.member.sum(), rel=0.15)
    blue = [float(np.median((m.measurements.value[m.member, 1]).numpy())) for m in (exact, wrong)]
    assert 0 < abs(blue[0] - blue[1]) < 0.5
