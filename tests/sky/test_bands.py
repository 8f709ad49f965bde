"""Passbands: closed forms, published pivots, and the observed Sun and Vega in their own units."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.sky.bands import AB_CONSTANT, PAPER_BANDS, SPEED_OF_LIGHT, Band, band, band_ids

DATA = Path(__file__).parent / "data"
AT_TEN_PARSEC = 31.5721
"""From 1 au to 10 pc: 5 log10(10 pc / 1 au), IAU 2012 and 2015."""

GRID = 10 ** np.arange(2.96, 6.6, 0.001)
"""912 A to 400 micron in the steps of a library, 0.001 dex."""


def box(detector: str = "photon", low: float = 4000.0, high: float = 6000.0) -> Band:
    edge = 1e-3
    wave = np.array([low - edge, low, high, high + edge])
    return Band("box", "AB", detector, 0.0, "", 0.02, wave, np.array([0.0, 1, 1, 0]))


def spectrum(name: str) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=1, unpack=True))


def power_integral(low: float, high: float, power: float) -> float:
    if power == -1:
        return float(np.log(high / low))
    return (high ** (power + 1) - low ** (power + 1)) / (power + 1)


# --- the integral ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", band_ids())
def test_a_flat_source_has_the_same_ab_magnitude_in_every_band(name):
    flam = 3.631e-20 * SPEED_OF_LIGHT / GRID**2
    b = band(name)
    expected = -2.5 * np.log10(3.631e-20) + AB_CONSTANT
    assert b.magnitude(GRID, flam) + b.zero_point == pytest.approx(expected, abs=1e-4)
    assert expected == pytest.approx(0.0, abs=1e-4)


@settings(deadline=None, max_examples=40)
@given(
    st.floats(1500, 50000),
    st.floats(1.02, 2.0),
    st.floats(-4, 2),
    st.sampled_from(["photon", "energy"]),
)
def test_a_box_over_a_power_law_has_its_closed_form(low, ratio, slope, detector):
    high = low * ratio
    counting = 1 if detector == "photon" else 0
    grid = np.geomspace(low / 1.1, high * 1.1, 4000)
    mean = (box(detector, low, high).weights(grid)) @ (grid / low) ** slope
    exact = power_integral(low, high, slope + counting) / low**slope
    exact /= SPEED_OF_LIGHT * power_integral(low, high, counting - 2)
    assert mean == pytest.approx(exact, rel=2e-5)


def test_pivot_of_a_box():
    assert box("photon").pivot == pytest.approx(
        np.sqrt((6000**2 - 4000**2) / 2 / np.log(1.5)), rel=1e-6
    )
    assert box("energy").pivot == pytest.approx(np.sqrt(4000 * 6000), rel=1e-6)


@pytest.mark.parametrize("name", band_ids())
def test_pivot_turns_mean_flux_per_wavelength_into_flux_per_frequency(name):
    b = band(name)
    assert b.weights(GRID).sum() == pytest.approx(b.pivot**2 / SPEED_OF_LIGHT, rel=1e-9)


def test_energy_counting_equals_photons_times_wavelength():
    b = band("GAIA/GAIA3.G")
    fine = np.linspace(b.wave[0], b.wave[-1], 20001)
    curve = np.interp(fine, b.wave, b.throughput)
    photons = Band("a", "AB", "photon", 0.0, "", 0.0, fine, curve)
    energy = Band("b", "AB", "energy", 0.0, "", 0.0, fine, curve * fine)
    flam = np.exp(-GRID / 5000)
    assert photons.magnitude(GRID, flam) == pytest.approx(energy.magnitude(GRID, flam), abs=1e-6)


def test_narrow_bands_between_the_points_of_the_grid_are_exact():
    grid = np.array([4000.0, 5000.0, 6000.0])
    narrow = box(low=4499.0, high=4501.0)
    flam = np.array([1.0, 3.0, 2.0])
    assert narrow.weights(grid) @ flam == pytest.approx(
        2.0 * narrow.pivot**2 / SPEED_OF_LIGHT, rel=1e-6
    )
    assert narrow.weights(grid)[2] == 0


def test_magnitudes_of_many_spectra_and_of_none():
    flux = np.stack([GRID**-2.0, 10 * GRID**-2.0, 0 * GRID, np.full_like(GRID, np.nan)])
    mags = band("TESS/TESS.Red").magnitude(GRID, flux)
    assert mags[0] - mags[1] == pytest.approx(2.5)
    assert np.isnan(mags[2:]).all()


def test_a_band_off_the_spectrum_is_an_error_that_names_it():
    with pytest.raises(MauryError, match=r"2MASS/2MASS.J.*100%"):
        band("2MASS/2MASS.J").weights(np.linspace(3000, 9000, 100))
    with pytest.raises(MauryError, match="ascending"):
        box().weights(np.array([5000.0, 4000.0]))


# --- the packaged bands ---------------------------------------------------------------------

# SVO Filter Profile Service, but: NISP Schirmer et al. 2022; TESS Ricker et al. 2015 (centre);
# Hp Mann & von Braun 2015 (effective wavelength). SDSS g to z are those of the 2001 curves.
PIVOTS = {
    "GALEX/GALEX.": {"FUV": 1535.08, "NUV": 2300.78},
    "SLOAN/SDSS.": {"u": 3608.04, "g": 4702.50, "r": 6175.58, "i": 7490.00, "z": 8946.71},
    "PAN-STARRS/PS1.": {"g": 4849.11, "r": 6201.20, "i": 7534.96, "z": 8674.20, "y": 9627.79},
    "SkyMapper/SkyMapper.": {"u": 3493.36, "v": 3835.93, "g": 5075.19, "r": 6138.44},
    "GAIA/GAIA3.": {"G": 6217.59, "Gbp": 5109.71, "Grp": 7769.02},
    "GAIA/GAIA2r.": {"G": 6246.77, "Gbp": 5048.62, "Grp": 7740.87},
    "2MASS/2MASS.": {"J": 12358.09, "H": 16457.50, "Ks": 21603.75},
    "WISE/WISE.": {"W1": 33682.21, "W2": 46179.05, "W3": 120717.0, "W4": 221944.0},
    "CTIO/DECam.": {
        "u": 3814.33,
        "g": 4808.49,
        "r": 6417.65,
        "i": 7814.58,
        "z": 9168.85,
        "Y": 9896.11,
    },
    "Euclid/NISP.": {"Y": 10809.0, "J": 13673.0, "H": 17714.0},
    "TESS/TESS.": {"Red": 7865.0},
    "Hipparcos/Hipparcos.": {"Hp_bes": 5338.0},
}


@pytest.mark.parametrize(
    ("name", "pivot"), [(p + s, w) for p, rest in PIVOTS.items() for s, w in rest.items()]
)
def test_pivots_are_the_published_ones(name, pivot):
    assert band(name).pivot == pytest.approx(pivot, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "micron"),
    [("W1", 3.368), ("W2", 4.618), ("W3", 12.082), ("W4", 22.194)],
)
def test_wise_curves_count_photons(name, micron):
    """E. L. Wright's effective wavelengths for constant nu F_nu tell photons from energy."""
    b = band(f"WISE/WISE.{name}")
    fine = np.linspace(b.wave[0], b.wave[-1], 50001)
    curve = np.interp(fine, b.wave, b.throughput)
    found = np.exp(np.trapezoid(curve * np.log(fine), fine) / np.trapezoid(curve, fine))
    assert found == pytest.approx(micron * 1e4, rel=5e-4)


@pytest.mark.parametrize(
    ("name", "micron"), [("I1", 3.550), ("I2", 4.493), ("I3", 5.731), ("I4", 7.872)]
)
def test_irac_curves_count_photons(name, micron):
    """Reach et al. 2005's nominal wavelengths are the photon-weighted means of the curves."""
    b = band(f"Spitzer/IRAC.{name}")
    fine = np.linspace(b.wave[0], b.wave[-1], 50001)
    curve = np.interp(fine, b.wave, b.throughput)
    found = np.trapezoid(curve, fine) / np.trapezoid(curve / fine, fine)
    assert found == pytest.approx(micron * 1e4, rel=5e-4)


@pytest.mark.parametrize(
    ("name", "jansky", "flam"),
    [("J", 1594, 3.129e-13), ("H", 1024, 1.133e-13), ("Ks", 666.7, 4.283e-14)],
)
def test_2mass_curves_carry_cohens_two_flux_densities_into_each_other(name, jansky, flam):
    """Cohen et al. 2003 give F_nu in Jy and F_lambda in W/cm2/micron: the pivot joins them."""
    b = band(f"2MASS/2MASS.{name}")
    per_frequency = flam * 1e7 / 1e4 * b.pivot**2 / SPEED_OF_LIGHT
    assert per_frequency * 1e23 == pytest.approx(jansky, rel=2e-3)


def test_gaia_zero_points_are_the_missions():
    """Riello et al. 2021, table 5: AB minus Vega; they contain Vega's own magnitude."""
    for name, offset in {"G": 0.1136, "Gbp": 0.0155, "Grp": 0.3561}.items():
        assert band(f"GAIA/GAIA3.{name}").zero_point == pytest.approx(offset, abs=1e-6)


def solar(name: str) -> float:
    return float(band(name).magnitude(*spectrum("sun")) + AT_TEN_PARSEC)


# Willmer 2018, ApJS 236, 47: AB except 2MASS, which is Vega.
WILLMER = {
    "GALEX/GALEX.NUV": 10.16,
    "SLOAN/SDSS.g": 5.11,
    "SLOAN/SDSS.r": 4.65,
    "SLOAN/SDSS.i": 4.53,
    "SLOAN/SDSS.z": 4.50,
    "PAN-STARRS/PS1.g": 5.03,
    "PAN-STARRS/PS1.r": 4.64,
    "PAN-STARRS/PS1.i": 4.52,
    "PAN-STARRS/PS1.z": 4.51,
    "PAN-STARRS/PS1.y": 4.50,
    "2MASS/2MASS.J": 3.67,
    "2MASS/2MASS.H": 3.32,
    "2MASS/2MASS.Ks": 3.27,
}


@pytest.mark.parametrize("name", WILLMER)
def test_absolute_magnitudes_of_the_sun(name):
    assert solar(name) == pytest.approx(WILLMER[name], abs=0.03)


@pytest.mark.parametrize(
    ("blue", "red", "colour"),
    [
        # Solar twins: Casagrande et al. 2012, ApJ 761, 16; Gaia DR2, Casagrande & VandenBerg 2018.
        ("2MASS/2MASS.J", "2MASS/2MASS.Ks", 0.362),
        ("GAIA/GAIA2r.Gbp", "GAIA/GAIA2r.Grp", 0.82),
        # The observed spectrum integrated elsewhere, in the systems of DR3 and of AB.
        ("GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp", 0.825),
        ("GAIA/GAIA3.G", "2MASS/2MASS.Ks", 1.384),
        ("SLOAN/SDSS.g", "SLOAN/SDSS.r", 0.479),
    ],
)
def test_colours_of_the_sun(blue, red, colour):
    assert solar(blue) - solar(red) == pytest.approx(colour, abs=0.03)


@pytest.mark.parametrize(("name", "step"), [("G", 0.015), ("Gbp", 0.020), ("Grp", 0.010)])
def test_gaia_dr2_is_fainter_than_dr3_by_what_was_measured(name, step):
    difference = solar(f"GAIA/GAIA2r.{name}") - solar(f"GAIA/GAIA3.{name}")
    assert difference == pytest.approx(step, abs=0.01)


@pytest.mark.parametrize(
    "name", [name for name in band_ids() if band(name).system == "Vega" and "Spitzer" not in name]
)
def test_vega_is_near_zero_in_vega_systems(name):
    """Vega is V = 0.023 to 0.03; infrared scales differ by about 2% (Rieke et al. 2008)."""
    assert float(band(name).magnitude(*spectrum("vega"))) == pytest.approx(0.01, abs=0.03)


@pytest.mark.parametrize("name", [*(f"IRAC.I{channel}" for channel in range(1, 5)), "MIPS.24mu"])
def test_spitzer_agrees_with_the_calspec_vega_as_well_as_its_calibration_is_known(name):
    magnitude = band(f"Spitzer/{name}").magnitude(*spectrum("vega"))
    assert float(magnitude) == pytest.approx(0.0, abs=0.06)


# Colour corrections of blackbodies: MIPS Instrument Handbook, table 4.17 (against 10,000 K), and
# Poglitsch et al. 2010, A&A 518, L2, table 3 (against constant nu F_nu). As the other kind of
# detector, all would be off by 0.03 to 1.2.
COLOUR_CORRECTIONS = {
    "Spitzer/MIPS.24mu": (23.675, {1000: 0.992, 300: 0.970, 100: 0.947, 50: 1.119, 20: 7.005}),
    "Herschel/Pacs.blue": (70.0, {10_000: 1.02, 100: 0.99, 50: 0.98, 20: 1.22, 10: 3.65}),
    "Herschel/Pacs.green": (100.0, {10_000: 1.03, 100: 1.01, 50: 0.99, 20: 1.04, 10: 1.71}),
    "Herschel/Pacs.red": (160.0, {10_000: 1.07, 100: 1.04, 50: 1.01, 20: 0.96, 10: 1.18}),
}


@pytest.mark.parametrize("name", COLOUR_CORRECTIONS)
def test_far_infrared_bands_have_the_published_colour_corrections(name):
    nominal, published = COLOUR_CORRECTIONS[name]
    wave = np.append(GRID, nominal * 1e4)
    order = np.argsort(wave)

    def mean_over_nominal(flam):
        average = band(name).weights(wave[order]) @ flam[order]
        return average * SPEED_OF_LIGHT / (flam[-1] * wave[-1] ** 2)

    def blackbody(teff):
        return wave**-5.0 / np.expm1(np.minimum(1.438777e8 / wave / teff, 600.0))

    reference = mean_over_nominal(blackbody(10_000) if "MIPS" in name else 1 / wave)
    for teff, correction in published.items():
        ratio = mean_over_nominal(blackbody(teff)) / reference
        assert ratio == pytest.approx(correction, rel=0.03 if teff < 20 else 0.02)


@pytest.mark.parametrize("name", COLOUR_CORRECTIONS)
def test_far_infrared_zero_points_give_the_catalogued_flux_density(name):
    """A spectrum of 1 Jy at the nominal wavelength has the magnitude of 1 Jy in catalogues."""
    nominal, _ = COLOUR_CORRECTIONS[name]
    at = nominal * 1e4
    shape = GRID**-5 / np.expm1(1.438777e4 / GRID) if "MIPS" in name else 1 / GRID
    level = at**-5 / np.expm1(1.438777e4 / at) if "MIPS" in name else 1 / at
    flam = shape / level * 1e-23 * SPEED_OF_LIGHT / at**2
    expected = 2.5 * np.log10(7.17 if "MIPS" in name else 3631)
    assert float(band(name).magnitude(GRID, flam)) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(
    ("blue", "red", "colour"),
    [
        # AB magnitudes of Vega: Blanton & Roweis 2007, AJ 133, 734, table 1.
        ("SLOAN/SDSS.g", "SLOAN/SDSS.r", -0.24),
        ("SLOAN/SDSS.r", "SLOAN/SDSS.i", -0.21),
        ("SLOAN/SDSS.i", "SLOAN/SDSS.z", -0.17),
        ("2MASS/2MASS.J", "2MASS/2MASS.H", -0.48),
        ("2MASS/2MASS.H", "2MASS/2MASS.Ks", -0.46),
    ],
)
def test_ab_colours_of_vega(blue, red, colour):
    first, second = (band(b).magnitude(*spectrum("vega")) + band(b).zero_point for b in (blue, red))
    assert first - second == pytest.approx(colour, abs=0.03)


# MIST bolometric corrections (Choi et al. 2016; its tables in astroLACHESIS 1.0.9), [Fe/H] = 0: how
# much redder band - J is at 5000 K, log g 4.5 than at 10000 K, log g 4: free of any zero point.
MIST = {
    "GAIA/GAIA3.G": 1.403,
    "GAIA/GAIA3.Gbp": 1.870,
    "GAIA/GAIA3.Grp": 0.756,
    "GAIA/GAIA2r.G": 1.403,
    "GAIA/GAIA2r.Gbp": 1.876,
    "TESS/TESS.Red": 0.771,
    "Kepler/Kepler.K": 1.321,
    "Hipparcos/Hipparcos.Hp_bes": 1.772,
    "WISE/WISE.W1": -0.616,
    "SLOAN/SDSS.g": 2.228,
    "SLOAN/SDSS.r": 1.224,
    "PAN-STARRS/PS1.g": 2.094,
    "PAN-STARRS/PS1.i": 0.767,
    "SkyMapper/SkyMapper.g": 1.914,
    "SkyMapper/SkyMapper.z": 0.483,
}


@pytest.mark.parametrize("name", MIST)
def test_colours_follow_temperature_as_those_of_mist(name, shared):
    """Photon and energy counting differ here by 0.04 (Kepler, TESS, Hp) to 0.15 mag (Gaia G)."""
    grid = np.load(shared / "grids" / "ck04_atlas9.npz")
    colours = []
    for teff, logg in ((5000, 4.5), (10000, 4.0)):
        row = (grid["teff"] == teff) & (grid["logg"] == logg) & (grid["feh"] == 0)
        flam = grid["flam"][np.flatnonzero(row)[0]].astype(float)
        mags = [band(b).magnitude(grid["wave"], flam) for b in (name, "2MASS/2MASS.J")]
        colours.append(float(mags[0] - mags[1]))
    assert colours[0] - colours[1] == pytest.approx(MIST[name], abs=0.035)


def test_the_papers_bands_are_all_here_with_six_of_skymapper():
    assert len(PAPER_BANDS) == len(set(PAPER_BANDS)) == 26
    assert set(PAPER_BANDS) <= set(band_ids())
    assert sum("SkyMapper" in name for name in PAPER_BANDS) == 6


@pytest.mark.parametrize("name", band_ids())
def test_every_band_is_documented(name):
    b = band(name)
    assert b.id == name
    assert b.description
    assert b.zero_point_source
    assert 0.01 <= b.floor <= 0.4
    assert b.throughput.max() == 1
    assert band(name) is b
    with pytest.raises(ValueError, match="read-only"):
        b.wave[0] = 0


def test_an_unknown_band_is_refused_with_its_neighbours():
    with pytest.raises(MauryError, match=r"2MASS/2MASS.K'.*2MASS/2MASS.Ks"):
        band("2MASS/2MASS.K")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "ST"}, "system 'ST'"),
        ({"detector": "ccd"}, "detector 'ccd'"),
        ({"zero_point": np.nan}, "zero point nan"),
        ({"floor": -0.1}, "floor -0.1"),
        ({"throughput": np.zeros(3)}, "zero everywhere"),
        ({"wave": np.array([-1.0, 2.0, 3.0])}, "positive"),
    ],
)
def test_a_band_that_is_none_says_why(change, message):
    good = {
        "id": "x",
        "system": "AB",
        "detector": "photon",
        "zero_point": 0.0,
        "zero_point_source": "",
        "floor": 0.0,
        "wave": np.array([1.0, 2, 3]),
        "throughput": np.ones(3),
    }
    with pytest.raises(MauryError, match=message):
        Band(**(good | change))
