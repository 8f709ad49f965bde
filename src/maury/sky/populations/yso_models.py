"""Reader of radiative-transfer models of young stars: Robitaille 2017 and Richardson et al. 2024.

Robitaille 2017, A&A 600, A11 (doi:10.5281/zenodo.166732) and Richardson et al. 2024, ApJ 961, 188
(doi:10.5281/zenodo.10522816) publish each set of models as a folder of the set's name with

- ``flux.fits``: which models are valid (primary HDU, with the DISTANCE of the fluxes in cm), then
  tables MODEL_NAMES, SPECTRAL_INFO (WAVELENGTH) and APERTURES (APERTURE, radii in au) and an image
  VALUES of shape (models, apertures, wavelengths), in mJy;
- ``parameters.fits``: a table of MODEL_NAME and the parameters.

Only the apertures that are asked for are read, so that sets of many gigabytes can be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from maury.errors import MauryError
from maury.sky.bands import AB_CONSTANT, SPEED_OF_LIGHT, Band

__all__ = ["YSO_SETS", "YsoModels", "read_yso_models", "set_components"]

Array = NDArray[np.float64]

YSO_SETS = ("s---smi", "sp--h-i", "sp--hmi", "spubhmi")
"""The sets that this package was written for: a star in its ambient medium, with a disc, with
both, and with an Ulrich envelope and cavities besides. Any other set reads as well."""

_COMPONENTS = (
    {"s": "star"},
    {"p": "passive disc"},
    {"p": "power-law envelope", "u": "Ulrich envelope"},
    {"b": "bipolar cavities"},
    {"h": "inner hole", "s": "inner radius at dust sublimation"},
    {"m": "ambient medium"},
    {"i": "interstellar dust"},
)
_TEN_PARSEC = 10.0 * 3.0856775814913673e18
GAS_TO_DUST = 100.0
"""Robitaille's ``disk.mass`` is that of dust alone."""


def set_components(name: str) -> tuple[str, ...]:
    """What the seven letters of a set's name stand for (Robitaille 2017, section 3.4).

    Raises
    ------
    MauryError
        If the name is not of that kind.
    """
    known = len(name) == len(_COMPONENTS) and all(
        letter == "-" or letter in meanings
        for letter, meanings in zip(name, _COMPONENTS, strict=True)
    )
    if not known:
        raise MauryError(
            f"{name!r} is no name of a set of models: seven letters or hyphens such as "
            f"{', '.join(YSO_SETS)}"
        )
    return tuple(
        meanings[letter]
        for letter, meanings in zip(name, _COMPONENTS, strict=True)
        if letter != "-"
    )


@dataclass(frozen=True, eq=False)
class YsoModels:
    """M models of one set, seen through one aperture.

    Parameters
    ----------
    name : str
        Of the set.
    names : tuple of str
        Of the models, length M.
    parameters : mapping of str to array
        Columns of ``parameters.fits``, in its units (R_sun, K, Msun of dust, au, degrees): (M,),
        or (M, apertures) for what Richardson et al. give by aperture.
    wave : array of shape (W,)
        Angstrom, ascending.
    flux : array of shape (M, W)
        F_nu at 10 pc, Jy.
    aperture : float
        Its radius, au.
    """

    name: str
    names: tuple[str, ...]
    parameters: Mapping[str, NDArray[Any]]
    wave: Array
    flux: NDArray[np.float32]
    aperture: float

    def __len__(self) -> int:
        return len(self.names)

    def magnitudes(self, bands: Sequence[Band]) -> Array:
        """Magnitudes (M, B) at 10 pc, behind no dust but the models' own; NaN where dark.

        Raises
        ------
        MauryError
            If a band reaches beyond the models' wavelengths.
        """
        weights = np.stack([curve.weights(self.wave) for curve in bands], -1)
        flam = 1e-23 * SPEED_OF_LIGHT / self.wave**2
        averages = self.flux.astype(np.float64) @ (flam[:, None] * weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            mags = -2.5 * np.log10(np.where(averages > 0, averages, np.nan))
        return np.asarray(mags + AB_CONSTANT - np.array([curve.zero_point for curve in bands]))

    def nearest(
        self,
        teff: ArrayLike,
        radius: ArrayLike,
        *,
        log_disc_mass: ArrayLike | None = None,
        cos_inclination: ArrayLike | None = None,
    ) -> NDArray[np.int64]:
        """Index (N,) of the model that is most like each star.

        Distances are in units of 0.05 dex of temperature, 0.1 dex of radius, 0.5 dex of the
        disc's mass and 0.1 of the cosine of the inclination.

        Parameters
        ----------
        teff, radius : array_like
            (N,): K and Rsun, finite.
        log_disc_mass : array_like, optional
            log10 of gas and dust in Msun, finite.
        cos_inclination : array_like, optional

        Raises
        ------
        MauryError
            If this set has no such parameter.
        """
        wanted: list[tuple[str, Any, float, Any]] = [
            ("star.temperature", np.log10(teff), 0.05, np.log10),
            ("star.radius", np.log10(radius), 0.1, np.log10),
        ]
        if log_disc_mass is not None:
            dust = np.asarray(log_disc_mass) - np.log10(GAS_TO_DUST)
            wanted.append(("disk.mass", dust, 0.5, np.log10))
        if cos_inclination is not None:
            wanted.append(("inclination", cos_inclination, 0.1, lambda x: np.cos(np.radians(x))))
        missing = [name for name, *_ in wanted if name not in self.parameters]
        if missing:
            raise MauryError(f"the models {self.name} have no {', '.join(missing)}")
        ours = [scale(self.parameters[name]) / unit for name, _, unit, scale in wanted]
        theirs = [np.asarray(value, dtype=float) / unit for _, value, unit, _ in wanted]
        _, index = cKDTree(np.stack(ours, -1)).query(np.stack(theirs, -1))
        return np.asarray(index, dtype=np.int64)


def read_yso_models(folder: str | Path, *, aperture: float | None = None) -> YsoModels:
    """Read one set from the folder that its authors publish.

    Parameters
    ----------
    folder : path
        That holds ``flux.fits`` and ``parameters.fits`` and bears the set's name.
    aperture : float, optional
        Radius in au; flux is interpolated linearly in its logarithm. The largest by default,
        which takes in all of the model.

    Returns
    -------
    YsoModels
        The valid models, with flux at any wavelength.

    Raises
    ------
    MauryError
        If a file is missing or not of this form, or the aperture is outside those there are.
    """
    folder = Path(folder)
    with _open(folder / "flux.fits") as cube:
        names = _names(cube["MODEL_NAMES"].data["MODEL_NAME"])
        distance = float(cube[0].header["DISTANCE"])
        wave = _column(cube["SPECTRAL_INFO"], "WAVELENGTH", units.AA)
        radii = _column(cube["APERTURES"], "APERTURE", units.au)
        values = cube["VALUES"]
        shape = (len(names), len(radii), len(wave))
        if values.shape != shape:
            raise MauryError(
                f"{folder / 'flux.fits'}: VALUES has shape {values.shape}; with its names, "
                f"apertures and wavelengths it should be {shape}"
            )
        scale = units.Unit(values.header["BUNIT"]).to(units.Jy)
        chosen = float(radii.max()) if aperture is None else aperture
        flux = _through(values.data, radii, chosen, folder)
        valid = np.asarray(cube[0].data).astype(bool)
    order = np.argsort(wave)
    flux = (flux[:, order] * (scale * (distance / _TEN_PARSEC) ** 2)).astype(np.float32)
    keep = np.flatnonzero(valid & np.isfinite(flux).all(1) & (flux > 0).any(1))
    if not len(keep):
        raise MauryError(f"{folder / 'flux.fits'} holds no valid model")
    kept = tuple(names[place] for place in keep)
    parameters = _read_parameters(folder / "parameters.fits", kept)
    return YsoModels(folder.name, kept, parameters, wave[order], flux[keep], chosen)


def _through(
    data: NDArray[np.float32], radii: Array, aperture: float, folder: Path
) -> NDArray[np.float32]:
    """Flux (M, W) within an aperture, from the two apertures next to it."""
    order = np.argsort(radii)
    edges = radii[order]
    if not edges[0] * (1 - 1e-6) <= aperture <= edges[-1] * (1 + 1e-6):
        raise MauryError(
            f"an aperture of {aperture:g} au: the models in {folder} have {edges[0]:g} to "
            f"{edges[-1]:g} au"
        )
    upper = int(np.clip(np.searchsorted(edges, aperture), 1, max(len(edges) - 1, 1)))
    if len(edges) == 1:
        return np.asarray(data[:, 0], dtype=np.float32)
    share = np.log(aperture / edges[upper - 1]) / np.log(edges[upper] / edges[upper - 1])
    share = float(np.clip(share, 0.0, 1.0))
    low, high = data[:, order[upper - 1]], data[:, order[upper]]
    return np.asarray(low * (1 - share) + high * share, dtype=np.float32)


def _read_parameters(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Columns of the table, rows in the order of ``names``."""
    with _open(path) as file:
        table = file[1].data
        place = {name: row for row, name in enumerate(_names(table["MODEL_NAME"]))}
        missing = [name for name in names if name not in place]
        if missing:
            raise MauryError(
                f"{path} lacks {len(missing)} of the models in flux.fits, such as {missing[0]}"
            )
        rows = np.array([place[name] for name in names])
        return {name: np.array(table[name])[rows] for name in table.names if name != "MODEL_NAME"}


def _open(path: Path) -> Any:
    if not path.is_file() and path.with_name(path.name + ".gz").is_file():
        path = path.with_name(path.name + ".gz")
    try:
        return _Guarded(path)
    except (OSError, ValueError) as error:
        raise MauryError(
            f"{path} cannot be read ({error}); a folder of models holds flux.fits and "
            "parameters.fits as Robitaille (2017) and Richardson et al. (2024) publish them"
        ) from error


class _Guarded:
    """An open FITS file whose missing parts are told as the user's error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = fits.open(path, memmap=not path.name.endswith(".gz"))

    def __enter__(self) -> Any:
        return self._file.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._file.__exit__(kind, error, trace)
        if isinstance(error, KeyError):
            raise MauryError(f"{self._path} is not of the published form: {error}") from error


def _names(column: Any) -> list[str]:
    return [str(name).strip() for name in np.asarray(column).astype(str)]


def _column(hdu: Any, name: str, unit: units.UnitBase) -> Array:
    """A column in a unit; the files write micron as 'um' or 'micron' and au in capitals too."""
    text = str(hdu.columns[name].unit or "").strip()
    found = units.Unit({"MICRONS": "um", "AU": "AU"}.get(text.upper(), text))
    return np.asarray(np.asarray(hdu.data[name], dtype=np.float64) * found.to(unit))
