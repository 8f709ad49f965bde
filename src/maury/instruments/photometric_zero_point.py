"""By how much catalogues' magnitudes differ from the models', beyond what zero points say.

Colours of 468 dwarfs like the Sun (5300 to 6300 K, log g above 3.9, A_V below 0.2) with
spectroscopic temperatures (LAMOST, GALAH, APOGEE) and Gaia, Pan-STARRS, 2MASS and WISE magnitudes,
minus those of the default library at the stars' labels behind the dust of the map, relative to
Gaia's G: medians, good to 0.005 mag in the statistical sense (`scripts/measure_colour_offsets.py`
makes them anew). They hold zero points, errors of the spectra, and the scale of these surveys'
temperatures, which is some 60 K cooler than that of the Sun's colours: no more can be told apart.
Half of the offset of H against J and Ks is known from Vega and spectrophotometric standards (Maiz
Apellaniz & Pantaleoni Gonzalez 2018, A&A 616, L7).

They are taken off where a table is read, as a parallax's zero point is, and put back where one is
written; models never see them.
"""

from __future__ import annotations

__all__ = ["CATALOGUE_OFFSETS"]

CATALOGUE_OFFSETS: dict[str, float] = {
    "PAN-STARRS/PS1.g": -0.040,
    "PAN-STARRS/PS1.r": -0.014,
    "PAN-STARRS/PS1.i": -0.007,
    "PAN-STARRS/PS1.z": 0.001,
    "PAN-STARRS/PS1.y": -0.006,
    "2MASS/2MASS.J": 0.005,
    "2MASS/2MASS.H": 0.041,
    "2MASS/2MASS.Ks": 0.025,
    "WISE/WISE.W1": 0.005,
    "WISE/WISE.W2": 0.048,
}
"""Catalogue minus model, mag, by band."""
