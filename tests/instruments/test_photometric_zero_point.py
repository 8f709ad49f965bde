"""Catalogues' colours: taken off where a table is read, put back where one is written."""

import numpy as np
import pytest
import torch
from astropy.table import Table

from maury.instruments.photometric_zero_point import CATALOGUE_OFFSETS
from maury.measurements import Measurements
from maury.sky.bands import band_ids

BANDS = ("PAN-STARRS/PS1.g", "2MASS/2MASS.H", "GAIA/GAIA3.G")


def test_offsets_are_small_and_of_known_bands() -> None:
    assert set(CATALOGUE_OFFSETS) <= set(band_ids())
    assert max(map(abs, CATALOGUE_OFFSETS.values())) < 0.06


def test_a_table_is_read_onto_the_models_scale() -> None:
    columns = {name: [15.0] for name in BANDS} | {f"{name}_err": [0.02] for name in BANDS}
    read = Measurements.from_table(Table(columns))
    expected = [15.0 - CATALOGUE_OFFSETS.get(name, 0.0) for name in read.channels]
    assert read.value[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_what_is_written_is_read_back_to_the_bit() -> None:
    value = 5 + 20 * torch.rand(2000, 3, generator=torch.Generator().manual_seed(0))
    stars = Measurements.from_dense(BANDS, value, torch.full_like(value, 0.02))
    table = stars.to_table()
    assert np.median(table[BANDS[1]] - value[:, 1].numpy()) == pytest.approx(0.041, abs=1e-4)
    assert torch.equal(Measurements.from_table(table).hash(), stars.hash())
