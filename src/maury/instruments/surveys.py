"""The imaging surveys: which bands each measures, how deep, and of how much of the sky.

Depths are those at which the photometric error reaches about 0.2 mag; saturation is where the
catalogue stops being usable. A new survey is one more entry of `SURVEYS`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SURVEYS", "Survey"]


@dataclass(frozen=True)
class Survey:
    """One imaging survey.

    Parameters
    ----------
    name : str
    coverage : float
        Fraction of stars that have been looked at by it.
    saturation : float
        Magnitude above (fainter than) which it measures.
    depth : dict
        SVO band id -> magnitude at which the error is 0.2 mag (5 sigma).
    error_floor : tuple of float
        Smallest and largest error that its catalogues quote for a bright star; catalogues differ
        because some add a calibration error and some do not.
    group : str
        Surveys of one group exclude each other (two releases of the same measurement).
    source : str
    """

    name: str
    coverage: float
    saturation: float
    depth: dict[str, float]
    error_floor: tuple[float, float]
    group: str
    source: str


def _survey(
    name: str,
    prefix: str,
    depth: dict[str, float],
    *,
    coverage: float,
    saturation: float,
    error_floor: tuple[float, float],
    source: str,
    group: str | None = None,
) -> Survey:
    return Survey(
        name=name,
        coverage=coverage,
        saturation=saturation,
        depth={prefix + suffix: limit for suffix, limit in depth.items()},
        error_floor=error_floor,
        group=group or name,
        source=source,
    )


SURVEYS: tuple[Survey, ...] = (
    _survey(
        "GALEX",
        "GALEX/GALEX.",
        {"FUV": 19.9, "NUV": 20.8},
        coverage=0.4,
        saturation=12.5,
        error_floor=(0.003, 0.03),
        source="all-sky imaging survey, Morrissey et al. 2007, ApJS 173, 682",
    ),
    _survey(
        "SDSS",
        "SLOAN/SDSS.",
        {"u": 22.15, "g": 23.1, "r": 22.7, "i": 22.2, "z": 20.7},
        coverage=0.35,
        saturation=12.5,
        error_floor=(0.001, 0.03),
        source="Data Release 16, Ahumada et al. 2020, ApJS 249, 3",
    ),
    _survey(
        "PS1",
        "PAN-STARRS/PS1.",
        {"g": 23.3, "r": 23.2, "i": 23.1, "z": 22.3, "y": 21.4},
        coverage=0.6,
        saturation=12.5,
        error_floor=(0.002, 0.03),
        source="stacked survey, Chambers et al. 2016, arXiv:1612.05560",
    ),
    _survey(
        "SkyMapper",
        "SkyMapper/SkyMapper.",
        {"u": 19.8, "v": 19.9, "g": 21.7, "r": 21.5, "i": 20.6, "z": 20.0},
        coverage=0.35,
        saturation=9.0,
        error_floor=(0.003, 0.03),
        source="Southern Survey, Onken et al. 2019, PASA 36, e033",
    ),
    _survey(
        "Gaia DR3",
        "GAIA/GAIA3.",
        {"G": 22.5, "Gbp": 21.3, "Grp": 20.9},
        coverage=0.6,
        saturation=3.0,
        error_floor=(0.0003, 0.025),
        source="Riello et al. 2021, A&A 649, A3",
        group="Gaia",
    ),
    _survey(
        "Gaia DR2",
        "GAIA/GAIA2r.",
        {"G": 22.5, "Gbp": 21.3, "Grp": 20.9},
        coverage=0.35,
        saturation=3.0,
        error_floor=(0.0003, 0.025),
        source="Evans et al. 2018, A&A 616, A4",
        group="Gaia",
    ),
    _survey(
        "2MASS",
        "2MASS/2MASS.",
        {"J": 16.9, "H": 16.1, "Ks": 15.5},
        coverage=0.93,
        saturation=4.5,
        error_floor=(0.015, 0.04),
        source="Skrutskie et al. 2006, AJ 131, 1163",
    ),
    _survey(
        "WISE",
        "WISE/WISE.",
        {"W1": 17.5, "W2": 16.4, "W3": 12.1, "W4": 8.6},
        coverage=0.8,
        saturation=7.5,
        error_floor=(0.015, 0.04),
        source="AllWISE, Cutri et al. 2013; Wright et al. 2010, AJ 140, 1868",
    ),
    _survey(
        "IRAC",
        "Spitzer/IRAC.",
        {"I1": 16.5, "I2": 16.0, "I3": 13.8, "I4": 13.0},
        coverage=0.2,
        saturation=7.0,
        error_floor=(0.01, 0.05),
        source="GLIMPSE, Churchwell et al. 2009, PASP 121, 213",
    ),
)
