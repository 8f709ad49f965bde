"""Coelho 2014, MNRAS 440, 1027: the spectral energy distributions, `s_coelho14_sed.tgz`.

The archive holds a FITS image a model, named `t05750_g+4.5_m05p04_sed.fits` (Teff, log g, ten times
[Fe/H] and [alpha/Fe], m for minus): flux on even steps of log10 of the wavelength (CRVAL1, CDELT1),
with TEFF, LOG_G, FEH and AFE in the header. Wavelengths are in micron or in Angstrom, which their
size tells. The library has one flux scale throughout, which is set by sigma T^4 here.
"""

import io
import re
import tarfile
import zlib
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from maury.errors import MauryError
from maury.sky.libraries.alpha import Model, on_trend
from maury.sky.libraries.assemble import assemble, mixed
from maury.sky.libraries.grid import GridLibrary
from maury.sky.libraries.rebin import bin_centres, rebin

__all__ = ["ARCHIVE", "read_coelho"]

ARCHIVE = "s_coelho14_sed.tgz"
_SIGMA = 5.670374419e-5  # Stefan-Boltzmann, erg/s/cm2/K4 (CODATA 2018)
_SCALED_BY = (5000.0, 8000.0)  # K: models whose light is all within the library's wavelengths
_NAME = re.compile(r"t(\d{5})_g([+-]\d\.\d)_([mp]\d\d)([mp]\d\d)_sed\.fits")
_MICRON_BELOW = 100.0


def read_coelho(folder: Path) -> GridLibrary:
    """Read the archive in a folder, averaged onto wavelengths fit for broad bands.

    [alpha/Fe] is on the trend of `maury.sky.libraries.alpha`, interpolated between 0 and 0.4;
    metallicities for which the library has one of them only, off the trend, are left out.

    Raises
    ------
    MauryError
        If the archive is missing, damaged or of another form.
    """
    path = folder / ARCHIVE
    models: list[Model] = []
    spectra: list[NDArray[np.float32]] = []
    target: NDArray[np.float64] | None = None
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                found = _NAME.fullmatch(member.name.rpartition("/")[2])
                stream = archive.extractfile(member) if found else None
                if found is None or stream is None:
                    continue
                wave, flux = _spectrum(stream.read(), f"{path}: {member.name}")
                if target is None:
                    target = bin_centres(wave[0], wave[-1])[1:-1]
                models.append(_model(found))
                spectra.append(rebin(wave, flux, target).astype(np.float32))
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise MauryError(f"{path}: cannot be read ({error}): remove it and fetch again") from error
    if target is None:
        raise MauryError(f"{path}: holds no model named t*_g*_*_sed.fits")
    scale = _scale(target, models, spectra)
    nodes = on_trend(models)
    fluxes = [
        scale * mixed([spectra[i] for i, _ in mixture], [share for _, share in mixture])
        for mixture in nodes.values()
    ]
    teff, logg, mh = np.array(list(nodes)).reshape(-1, 3).T
    return assemble("coelho", target, (teff, logg, mh), fluxes)


def _model(found: re.Match[str]) -> Model:
    def tenth(text: str) -> float:
        return (-0.1 if text[0] == "m" else 0.1) * int(text[1:])

    mh, alpha = round(tenth(found[3]), 1) + 0.0, round(tenth(found[4]), 1) + 0.0
    return float(found[1]), float(found[2]), mh, alpha


def _spectrum(data: bytes, where: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wavelengths (W,) in Angstrom and fluxes (W,) in the library's unit."""
    try:
        with fits.open(io.BytesIO(data)) as held:
            header, flux = held[0].header, np.asarray(held[0].data, dtype=np.float64)
            pixel = np.arange(1, flux.size + 1) - header.get("CRPIX1", 1.0)
            wave = 10.0 ** (header["CRVAL1"] + header["CDELT1"] * pixel)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise MauryError(f"{where}: not a spectrum with CRVAL1 and CDELT1 ({error})") from error
    return wave * (1e4 if wave[0] < _MICRON_BELOW else 1.0), flux.ravel()


def _scale(
    wave: NDArray[np.float64], models: list[Model], spectra: list[NDArray[np.float32]]
) -> float:
    """What the library's unit is in erg/s/cm2/Angstrom."""
    shares = [
        np.trapezoid(flux, wave) / (_SIGMA * teff**4)
        for (teff, *_), flux in zip(models, spectra, strict=True)
        if _SCALED_BY[0] <= teff <= _SCALED_BY[1]
    ]
    return float(1.0 / np.median(shares)) if shares else 1.0
