"""Builds the correction of the default library to the observed Sun.

    python scripts/build_solar_correction.py

Model atmospheres of the Sun miss its observed colours by a few hundredths of a magnitude, and its
near ultraviolet by a fifth. The observed spectrum is CALSPEC's solar reference (Colina et al.
1996, AJ 112, 307), as rebinned in tests/sky/data/sun.csv; its ratio to the library's Sun, smoothed
to the width of the narrowest bands, is what this writes. Shape only: the integral is left alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.ndimage import gaussian_filter1d

from maury.sky.libraries.phoenix_kurucz import read_models
from maury.sun import SUN_LOGG, SUN_TEFF

ROOT = Path(__file__).parents[1]
SUN = ROOT / "tests/sky/data/sun.csv"
TARGET = ROOT / "src/maury/sky/libraries/data/solar_correction.csv"

SMOOTHING = 0.012  # dex in wavelength, standard deviation
BLUE_END = 2100.0  # A: bluer light of the Sun comes from its chromosphere
RED_END = 24000.0  # A: redder, the observed spectrum is a model itself


def main() -> None:
    library = read_models()
    flux, _ = library.fluxes(SUN_TEFF, SUN_LOGG, 0.0)
    model = flux[0].astype(np.float64)
    correction = log_ratio(library.wave, model)
    correction -= np.log10(
        np.trapezoid(model * 10**correction, library.wave) / np.trapezoid(model, library.wave)
    )
    rows = zip(library.wave, correction, strict=True)
    lines = [f"{wave:.3f},{value:.5f}" for wave, value in rows]
    TARGET.write_text("wavelength,log10_ratio\n" + "\n".join(lines) + "\n")
    for wave in (2300, 3500, 4000, 5500, 7500, 12000, 16500, 21500):
        print(f"{wave} A: {-2.5 * np.interp(wave, library.wave, correction):+.3f} mag")


def log_ratio(wave: NDArray[np.float64], model: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothed log10 of observed over model flux, held constant beyond the ends."""
    observed_wave, observed = np.loadtxt(SUN, delimiter=",", skiprows=1, unpack=True)
    step = np.median(np.diff(np.log10(wave)))
    edges = 10 ** np.append(np.log10(wave) - step / 2, np.log10(wave[-1]) + step / 2)
    total = cumulative_trapezoid(observed, observed_wave, initial=0.0)
    binned = np.diff(np.interp(edges, observed_wave, total)) / np.diff(edges)
    inside = (wave > BLUE_END) & (wave < RED_END)
    ratio = np.log10(binned[inside] / model[inside])
    smooth = gaussian_filter1d(ratio, SMOOTHING / step, mode="nearest")
    return np.interp(wave, wave[inside], smooth)


if __name__ == "__main__":
    main()
