"""The default library: scale, range, interpolation and what lies outside."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maury.sky.libraries
from maury.errors import MauryError
from maury.sky.bands import AB_CONSTANT, band
from maury.sky.libraries import library_names, load_library
from maury.sky.libraries.grid import GridLibrary, log_black_body
from maury.sky.libraries.phoenix_kurucz import load_phoenix_kurucz

SIGMA = 5.670374419e-5
OPTICAL = ("SLOAN/SDSS.g", "SLOAN/SDSS.r", "SLOAN/SDSS.i", "SLOAN/SDSS.z", "PAN-STARRS/PS1.g")
OPTICAL += ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp")
OPTICAL += ("2MASS/2MASS.J", "2MASS/2MASS.H", "2MASS/2MASS.Ks")


@pytest.fixture(scope="module")
def library() -> GridLibrary:
    return load_phoenix_kurucz()


def surface_magnitudes(library, flam, bands):
    weights = np.stack([band(name).weights(library.wave) for name in bands], axis=1)
    zero = np.array([band(name).zero_point for name in bands])
    return -2.5 * np.log10(flam.astype(float) @ weights) + AB_CONSTANT - zero


def test_is_small_and_loads_by_name_once():
    file = Path(maury.sky.libraries.__file__).parent / "data/phoenix_kurucz.safetensors"
    assert file.stat().st_size < 10e6
    assert load_library() is load_library("phoenix-kurucz")
    assert "phoenix-kurucz" in library_names()


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(MauryError, match="phoenix-kurucz"):
        load_library("marcs")


def test_covers_what_it_says(library):
    assert (library.teff_nodes[0], library.teff_nodes[-1]) == (2300.0, 50000.0)
    assert library.wave[0] == pytest.approx(913.0)
    assert library.wave[-1] > 319000.0
    assert np.all(np.diff(library.wave) > 0)
    _, inside = library.fluxes([2300, 50000, 5772, 4000], [5, 5, 4.44, 1], [0, 0, 0, -4])
    assert inside.all()


def test_integrates_to_sigma_t4(library):
    for i, j, k in np.argwhere(library.exists)[::7]:
        teff = library.teff_nodes[i]
        if teff > 15000:
            continue
        total = np.trapezoid(library.node_flux(i, j, k), library.wave)
        assert total / (SIGMA * teff**4) == pytest.approx(1.0, abs=0.05)


def test_every_flux_is_positive_and_finite_where_inside(library):
    random = np.random.default_rng(1)
    teff = 10 ** random.uniform(3.3, 4.75, 400)
    logg, mh = random.uniform(-0.5, 6.5, 400), random.uniform(-4.5, 1.2, 400)
    flam, inside = library.fluxes(teff, logg, mh)
    assert 0.2 < inside.mean() < 0.8
    assert np.all(flam[inside] > 0)
    assert np.all(np.isfinite(flam[inside]))
    assert np.all(np.isnan(flam[~inside]))


def test_nothing_is_invented_outside(library):
    outside = [
        (2299, 4, 0),
        (50001, 5, 0),
        (5000, -0.01, 0),
        (5000, 6.01, 0),
        (5000, 4, 1.01),
        (5000, 4, -4.01),
        (9000, 5.1, 0),  # Kurucz ends at log g = 5
        (30000, 3.0, 0),  # beyond the Eddington limit
        (np.nan, 4, 0),
        (-5, 4, 0),
        (5000, np.inf, 0),
    ]
    flam, inside = library.fluxes(*np.array(outside).T)
    assert not inside.any()
    assert np.isnan(flam).all()
    with pytest.raises(MauryError, match="no model"):
        library.node_flux(*np.argwhere(~library.exists)[0])


def test_nodes_are_reproduced(library):
    index = np.argwhere(library.exists)[::97]
    i, j, k = index.T
    flam, inside = library.fluxes(library.teff_nodes[i], library.logg_nodes[j], library.mh_nodes[k])
    assert inside.all()
    for row, node in zip(flam, index, strict=True):
        np.testing.assert_allclose(row, library.node_flux(*node), rtol=2e-5)


def test_an_answer_does_not_depend_on_the_batch(library):
    random = np.random.default_rng(2)
    teff, logg = random.uniform(3000, 9000, 1500), random.uniform(1, 5, 1500)
    many, _ = library.fluxes(teff, logg, -0.3)
    one, _ = library.fluxes(teff[1200], logg[1200], -0.3)
    np.testing.assert_allclose(one[0], many[1200], rtol=1e-5)


@given(st.floats(4000, 12000), st.floats(2.5, 4.9), st.floats(-2, 0.5))
@settings(max_examples=40, deadline=None)
def test_changes_smoothly(teff, logg, mh):
    library = load_library()
    step = np.array([1.0, 1.001])
    flam, inside = library.fluxes(teff * step, logg, mh)
    if inside.all():
        change = np.diff(surface_magnitudes(library, flam, OPTICAL), axis=0)
        # A black body changes by d ln F / d ln T = x e^x / (e^x - 1): less than 12 from g on.
        assert np.all(np.abs(change) < 1.0857 * 12 * 0.001)


def test_every_other_node_predicts_those_between_above_4000_k(library):
    counts = library.exists.shape
    coarse = library.select(
        **{name: range(0, n, 2) for name, n in zip(("teff", "logg", "mh"), counts, strict=True)}
    )
    odd = np.zeros(counts, dtype=bool)
    odd[1::2, 1::2, 1::2] = True
    odd[library.teff_nodes < 4000] = False
    i, j, k = np.nonzero(library.exists & odd)
    flam, inside = coarse.fluxes(library.teff_nodes[i], library.logg_nodes[j], library.mh_nodes[k])
    assert inside.sum() > 400
    true = np.stack([library.node_flux(*n) for n in np.stack([i, j, k], 1)[inside]])
    error = surface_magnitudes(library, flam[inside], OPTICAL)
    error -= surface_magnitudes(library, true, OPTICAL)
    assert np.all(np.sqrt(np.mean(error**2, axis=0)) <= 0.01)


def test_a_solar_model_has_the_colours_of_the_sun(library):
    flam, _ = library.fluxes(5772.0, 4.44, 0.0)
    bands = ("GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp", "2MASS/2MASS.J", "2MASS/2MASS.Ks")
    bands += ("SLOAN/SDSS.g", "SLOAN/SDSS.r")
    bp, rp, j, ks, g, r = surface_magnitudes(library, flam, bands)[0]
    # The observed solar spectrum through the same curves: 0.825, 0.375, 0.479.
    assert bp - rp == pytest.approx(0.825, abs=0.03)
    assert j - ks == pytest.approx(0.375, abs=0.04)
    assert g - r == pytest.approx(0.479, abs=0.03)


def test_hotter_stars_are_bluer_and_metals_redden(library):
    teff = np.arange(3000.0, 20000.0, 500.0)
    flam, _ = library.fluxes(teff, 4.5, 0.0)
    magnitudes = surface_magnitudes(library, flam, ("GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp"))
    assert np.all(np.diff(magnitudes[:, 0] - magnitudes[:, 1]) < 0)
    flam, _ = library.fluxes(5500.0, 4.5, [-2.0, -1.0, 0.0, 0.5])
    blue = surface_magnitudes(library, flam, ("SkyMapper/SkyMapper.v", "SLOAN/SDSS.g"))
    assert np.all(np.diff(blue[:, 0] - blue[:, 1]) > 0)


def test_a_black_body_integrates_to_sigma_t4():
    wave = np.geomspace(200.0, 5e7, 20000)
    for teff in (3000.0, 10000.0):
        total = np.trapezoid(10 ** log_black_body(wave, teff), wave)
        assert total == pytest.approx(SIGMA * teff**4, rel=1e-4)


@pytest.mark.parametrize(
    ("teff", "logg"), [(7500, 4.0), (8000, 4.0), (9600, 4.0), (9000, 2.0), (15000, 4), (30000, 4)]
)
def test_hot_stars_have_no_colour_in_the_infrared(library, teff, logg):
    """A0 stars define zero; hotter ones are bluer by 0.2 mag at most (Rayleigh-Jeans)."""
    bands = ("Spitzer/IRAC.I4", "WISE/WISE.W3", "WISE/WISE.W4", "Spitzer/MIPS.24mu")
    flam, _ = library.fluxes(teff, logg, 0.0)
    first, *others = surface_magnitudes(library, flam, bands)[0]
    assert np.abs(first - np.array(others)).max() < 0.1
    second = surface_magnitudes(library, flam, ("2MASS/2MASS.Ks",))[0, 0]
    expected = 0.0 if teff < 12000 else -0.12
    assert second - others[1] == pytest.approx(expected, abs=0.15)


def test_the_tail_is_mended_only_where_it_fell_too_fast(library):
    flam, _ = library.fluxes([3500, 5772, 7000, 12000], 4.0, 0.0)
    far = library.wave > 1e5
    level = np.log10(flam[:, far].astype(float) * library.wave[far] ** 4)
    drop = level[:, :1] - level
    assert drop.max() < 0.01
    assert level[0, -1] - level[0, 0] > 0.03
