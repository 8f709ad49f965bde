"""Differences of two libraries, and what is made of them."""

import json

import numpy as np
import pytest
from astropy.table import Table

from maury.errors import MauryError
from maury.evaluation.library_report import comparison_table, rich_medians, write_comparison
from maury.sky.bands import band
from maury.sky.libraries.assemble import assemble
from maury.sky.libraries.compare import MH_RANGES, compare_libraries
from maury.sky.libraries.grid import log_black_body

NAMES = ("GAIA/GAIA3.G", "2MASS/2MASS.Ks", "SLOAN/SDSS.u")
BANDS = [band(name) for name in NAMES]


def library(name, teff, logg, mh, *, fainter=lambda t, g, m: 0.0, wave=(1000.0, 320000.0)):
    """Black bodies on a grid, fainter by so many magnitudes at each node."""
    wave = np.geomspace(*wave, 800)
    nodes = [axis.ravel() for axis in np.meshgrid(teff, logg, mh, indexing="ij")]
    flam = [
        10.0 ** (log_black_body(wave, t) - 0.4 * fainter(t, g, m))
        for t, g, m in zip(*nodes, strict=True)
    ]
    return assemble(name, wave, tuple(nodes), flam)


TEFF, LOGG, MH = np.arange(4000.0, 9001.0, 500.0), [3.0, 4.0, 5.0], [-2.0, -1.0, 0.0]


@pytest.fixture(scope="module")
def comparison():
    def fainter(teff, logg, mh):
        return 0.1 * (teff < 4900) - 0.05 * mh

    first = library("one", TEFF, LOGG, MH, fainter=fainter)
    return compare_libraries(first, library("two", TEFF[::2], LOGG, MH[1:]), BANDS)


def test_differences_are_first_minus_second_at_shared_nodes(comparison):
    assert comparison.names == ("one", "two")
    assert len(comparison.teff) == 6 * 3 * 2
    expected = 0.1 * (comparison.teff < 4900) - 0.05 * comparison.mh
    np.testing.assert_allclose(comparison.difference, np.tile(expected, (3, 1)).T, atol=2e-4)


def test_medians_by_temperature_and_metallicity(comparison):
    counts = comparison.counts()
    assert counts.sum() == 36
    poor = comparison.medians(MH_RANGES[1:3])[0]
    assert poor[2] == pytest.approx(0.15, abs=1e-3)  # 4000 to 5000 K
    assert poor[4] == pytest.approx(0.05, abs=1e-3)  # 6500 to 8500 K
    assert np.isnan(poor[0])
    assert np.nanmax(comparison.spreads((-1.25, -0.25))) < 1e-3
    assert comparison.counts(MH_RANGES[:2]).sum() == 0
    assert sum(comparison.counts(mh).sum() for mh in ((-1.25, -0.25), (-0.25, 1.0))) == 36


def test_bands_beyond_the_spectra_are_left_out(comparison):
    short = library("short", TEFF, LOGG, MH, wave=(3500.0, 10500.0))
    found = compare_libraries(short, library("two", TEFF, LOGG, MH), BANDS)
    assert found.bands == ("GAIA/GAIA3.G",)
    assert set(found.left_out) == set(NAMES[1:])
    with pytest.raises(MauryError, match="no band in common"):
        compare_libraries(short, short, BANDS[1:2])


def test_libraries_apart_have_nothing_in_common():
    with pytest.raises(MauryError, match="no star in common"):
        compare_libraries(
            library("hot", [20000.0, 30000.0], LOGG, MH), library("cool", TEFF, LOGG, MH), BANDS
        )


def test_the_report(comparison, tmp_path):
    write_comparison(comparison, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "differences.ecsv",
        "medians.png",
        "hr.png",
    }
    table = Table.read(tmp_path / "new/differences.ecsv")
    assert len(table) == len(comparison_table(comparison)) > 0
    assert table.meta["difference"] == "one minus two"
    assert str(table["median"].unit) == "mag"
    row = table[(table["band"] == NAMES[0]) & (table["teff_to"] == 5000) & (table["mh_to"] < 0)]
    assert row["median"][0] == pytest.approx(0.15, abs=1e-3)
    assert row["stars"][0] == 3
    assert json.dumps(table.meta["left_out"]) == "[]"
    shown = rich_medians(comparison)
    assert len(shown) == 2
    assert shown[0].row_count == len(NAMES) + 1


def test_our_library_against_castelli_and_kurucz(shared):
    from maury.sky.libraries import load_library

    other = load_library(str(shared / "grids/ck04_atlas9.npz"))
    optical = [band(name) for name in ("SLOAN/SDSS.g", "GAIA/GAIA3.G", "2MASS/2MASS.Ks")]
    found = compare_libraries(load_library(), other, optical)
    assert len(found.teff) > 3000
    assert np.abs(found.medians()[:, 2:]).max() < 0.02
    infrared = compare_libraries(load_library(), other, [band("WISE/WISE.W3")])
    assert np.abs(infrared.medians()[:, 2:]).max() < 0.12
