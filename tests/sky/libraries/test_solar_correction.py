"""The default library has the colours of the observed Sun, and leaves far stars alone."""

from pathlib import Path

import numpy as np
import pytest

from maury.sky.bands import band
from maury.sky.libraries import load_library
from maury.sky.libraries.phoenix_kurucz import read_models

SUN = Path(__file__).parents[1] / "data" / "sun.csv"
COLOURS = [
    ("SLOAN/SDSS.g", "SLOAN/SDSS.r"),
    ("GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp"),
    ("GAIA/GAIA3.G", "2MASS/2MASS.Ks"),
    ("2MASS/2MASS.J", "2MASS/2MASS.Ks"),
    ("GALEX/GALEX.NUV", "GAIA/GAIA3.G"),
    ("SkyMapper/SkyMapper.v", "SkyMapper/SkyMapper.g"),
]


@pytest.mark.parametrize("pair", COLOURS)
def test_sun_has_its_observed_colours(pair: tuple[str, str]) -> None:
    wave, flam = np.loadtxt(SUN, delimiter=",", skiprows=1, unpack=True)
    library = load_library()
    model, _ = library.fluxes(5772.0, 4.438, 0.0)
    first, second = (band(name) for name in pair)
    observed = first.magnitude(wave, flam) - second.magnitude(wave, flam)
    synthetic = first.magnitude(library.wave, model) - second.magnitude(library.wave, model)
    # The correction is smooth; the Sun's near ultraviolet is all lines.
    tolerance = 0.08 if "NUV" in pair[0] else 0.012
    assert np.squeeze(synthetic) == pytest.approx(float(observed), abs=tolerance)


@pytest.mark.parametrize("teff", [3000.0, 12000.0])
def test_far_from_the_sun_nothing_changes(teff: float) -> None:
    corrected, _ = load_library().fluxes(teff, 4.5, 0.0)
    plain, _ = read_models().fluxes(teff, 4.5, 0.0)
    assert np.allclose(corrected, plain, rtol=0.01)


def test_correction_keeps_the_integral() -> None:
    library = load_library()
    corrected, _ = library.fluxes(5772.0, 4.438, 0.0)
    plain, _ = read_models().fluxes(5772.0, 4.438, 0.0)
    ratio = np.trapezoid(corrected[0], library.wave) / np.trapezoid(plain[0], library.wave)
    assert ratio == pytest.approx(1.0, abs=2e-3)
