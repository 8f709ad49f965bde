"""The reader of a second library, and how far the two agree."""

import numpy as np
import pytest

from maury.errors import MauryError
from maury.sky.bands import band
from maury.sky.libraries import load_library
from maury.sky.libraries.ck04 import read_ck04


def test_agrees_with_the_default_library(shared):
    other = read_ck04(shared / "grids/ck04_atlas9.npz")
    ours = load_library()
    random = np.random.default_rng(3)
    point = random.uniform(4500, 12000, 200), random.uniform(3.5, 4.9, 200), -0.2
    one, inside = ours.fluxes(*point)
    two, also = other.fluxes(*point)
    both = inside & also
    assert both.sum() > 150
    for name in ("SLOAN/SDSS.g", "GAIA/GAIA3.G", "2MASS/2MASS.J", "2MASS/2MASS.Ks"):
        bright = one[both] @ band(name).weights(ours.wave)
        other_bright = two[both] @ band(name).weights(other.wave)
        assert abs(np.median(2.5 * np.log10(bright / other_bright))) < 0.02


def test_reads_a_file_of_its_form(tmp_path):
    wave = np.geomspace(1000, 30000, 50)
    teff, logg = np.array([4000.0, 5000.0, 4000.0]), np.array([4.0, 4.0, 5.0])
    flam = np.outer(teff**4, wave**-2.0).astype(np.float32)
    path = tmp_path / "grid.npz"
    np.savez(path, wave=wave, teff=teff, logg=logg, feh=np.zeros(3), flam=flam)
    library = read_ck04(path)
    assert library.exists.sum() == 3
    assert not library.exists[1, 1, 0]
    np.testing.assert_allclose(library.node_flux(1, 0, 0), flam[1], rtol=1e-4)


def test_a_file_that_is_none_is_named(tmp_path):
    path = tmp_path / "grid.npz"
    with pytest.raises(MauryError, match=r"grid\.npz"):
        read_ck04(path)
    np.savez(path, wave=np.ones(3))
    with pytest.raises(MauryError, match="teff"):
        read_ck04(path)
    path.write_text("garbage")
    with pytest.raises(MauryError, match=r"grid\.npz"):
        read_ck04(path)
