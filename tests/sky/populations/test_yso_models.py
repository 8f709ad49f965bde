"""Published models of young stars: small files of the same form, written here."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from maury.errors import MauryError
from maury.sky.bands import band
from maury.sky.populations.yso_models import (
    YSO_SETS,
    YsoModels,
    read_yso_models,
    set_components,
)

KPC = 3.0856775814913673e21
RADII = np.geomspace(100, 1e6, 20)
MICRON = np.geomspace(5000, 0.01, 200)  # as published: by ascending frequency
STARS = {"star.temperature": (3000, 4000, 6000, 20_000), "star.radius": (0.5, 2.0, 1.5, 6.0)}


def fluxes() -> np.ndarray:
    """Black bodies at 1 kpc, mJy, fainter through small apertures: (4 models, 20, 200)."""
    wave = MICRON * 1e-4
    nu = 2.99792458e10 / wave
    out = []
    for teff, radius in zip(*STARS.values(), strict=True):
        planck = 1.4744994e-47 * nu**3 / np.expm1(np.minimum(4.7992430e-11 * nu / teff, 600))
        out.append(np.pi * planck * (radius * 6.957e10 / KPC) ** 2 * 1e26)
    share = np.linspace(0.5, 1.0, 20)
    return np.array(out)[:, None] * share[None, :, None]


def write(
    folder: Path,
    *,
    name: str = "spubhmi",
    valid: tuple[int, ...] = (1, 1, 1, 1),
    values: np.ndarray | None = None,
    order: tuple[int, ...] = (0, 1, 2, 3),
    unit: str = "um",
    ascending: bool = False,
    extra: dict[str, np.ndarray] | None = None,
) -> Path:
    """A folder as sedfitter's SEDCube.write makes it."""
    path = folder / name
    path.mkdir()
    data = (fluxes() if values is None else values).astype(np.float32)
    wave = MICRON[::-1] if ascending else MICRON
    data = data[..., ::-1] if ascending else data
    names = np.array([f"0{i}AbCdEf_0{i + 1}" for i in range(4)], dtype="S20")
    primary = fits.PrimaryHDU(np.array(valid))
    primary.header["DISTANCE"] = KPC
    spectral = Table({"WAVELENGTH": wave, "FREQUENCY": 2.99792458e14 / wave})
    spectral["WAVELENGTH"].unit, spectral["FREQUENCY"].unit = unit, "Hz"
    apertures = Table({"APERTURE": RADII})
    apertures["APERTURE"].unit = "AU"
    hdus = [primary]
    for label, table in (
        ("MODEL_NAMES", Table({"MODEL_NAME": names})),
        ("SPECTRAL_INFO", spectral),
        ("APERTURES", apertures),
    ):
        hdus.append(fits.table_to_hdu(table))
        hdus[-1].name = label
    for label in ("VALUES", "UNCERTAINTIES"):
        hdus.append(fits.ImageHDU(data, name=label))
        hdus[-1].header["BUNIT"] = "mJy"
    fits.HDUList(hdus).writeto(path / "flux.fits")
    columns = {
        "MODEL_NAME": names,
        **{key: np.array(value, dtype=float) for key, value in STARS.items()},
        "disk.mass": np.array([1e-7, 1e-6, 1e-5, 1e-4]),
        "inclination": np.array([10.0, 40.0, 60.0, 80.0]),
        **(extra or {}),
    }
    rows = list(order)
    Table({key: value[rows] for key, value in columns.items()}).write(path / "parameters.fits")
    return path


@pytest.fixture
def models(tmp_path: Path) -> YsoModels:
    return read_yso_models(write(tmp_path))


def test_reads_what_is_published(models: YsoModels) -> None:
    assert models.name == "spubhmi"
    assert len(models) == 4
    assert models.names[1] == "01AbCdEf_02"
    assert models.flux.shape == (4, 200)
    assert (np.diff(models.wave) > 0).all()
    assert models.wave[[0, -1]] == pytest.approx([100.0, 5e7], rel=1e-6)
    assert models.aperture == pytest.approx(1e6)
    assert models.parameters["star.radius"].tolist() == list(STARS["star.radius"])


def test_magnitudes_are_those_of_the_stars(models: YsoModels) -> None:
    """Against the same black bodies in 10 pc, integrated on a fine grid."""
    names = ("GAIA/GAIA3.G", "2MASS/2MASS.Ks", "WISE/WISE.W3", "Herschel/Pacs.red")
    bands = [band(name) for name in names]
    wave = np.geomspace(1000, 4e6, 20_000)
    for row, (teff, radius) in enumerate(zip(*STARS.values(), strict=True)):
        planck = 1.191042972e-5 * 1e-8 / (wave * 1e-8) ** 5
        planck /= np.expm1(np.minimum(1.438776877e8 / wave / teff, 600))
        flam = np.pi * planck * (radius * 6.957e10 / (KPC / 100)) ** 2
        expected = [float(curve.magnitude(wave, flam)) for curve in bands]
        assert models.magnitudes(bands)[row] == pytest.approx(expected, abs=0.03)


def test_aperture_is_interpolated(tmp_path: Path, models: YsoModels) -> None:
    path = tmp_path / "spubhmi"
    lit = models.flux > 1e-20

    def ratio(aperture: float) -> np.ndarray:
        return read_yso_models(path, aperture=aperture).flux[lit] / models.flux[lit]

    assert ratio(100.0) == pytest.approx(0.5, rel=1e-5)
    share = np.linspace(0.5, 1.0, 20)
    between = (share[3] + share[4]) / 2
    assert ratio(float(np.sqrt(RADII[3] * RADII[4]))) == pytest.approx(between, rel=1e-5)
    for outside in (99.0, 2e6):
        with pytest.raises(MauryError, match=r"have 100 to 1e\+06 au"):
            read_yso_models(path, aperture=outside)


def test_either_order_of_wavelengths_and_rows(tmp_path: Path, models: YsoModels) -> None:
    other = read_yso_models(
        write(tmp_path, name="sp--hmi", order=(3, 1, 0, 2), ascending=True, unit="micron")
    )
    assert other.flux == pytest.approx(models.flux, rel=1e-5)
    assert np.array_equal(other.parameters["disk.mass"], models.parameters["disk.mass"])


def test_invalid_models_are_left_out(tmp_path: Path) -> None:
    values = fluxes()
    values[2] = np.nan
    models = read_yso_models(write(tmp_path, valid=(1, 0, 1, 1), values=values))
    assert models.names == ("00AbCdEf_01", "03AbCdEf_04")
    assert models.parameters["star.temperature"].tolist() == [3000, 20_000]


def test_richardsons_columns_by_aperture(tmp_path: Path) -> None:
    """They add masses within each aperture and luminosities, in columns with spaces."""
    masses = np.arange(80.0).reshape(4, 20)
    path = write(
        tmp_path,
        extra={"Sphere Masses": masses, "Source Luminosity": np.ones(4)},
        valid=(0, 1, 1, 1),
    )
    models = read_yso_models(path)
    assert models.parameters["Sphere Masses"].shape == (3, 20)
    assert np.array_equal(models.parameters["Sphere Masses"], masses[1:])


def test_nearest_model(models: YsoModels) -> None:
    found = models.nearest([4100.0, 19_000.0], [2.1, 5.5])
    assert found.tolist() == [1, 3]
    # Of gas and dust, a hundred times the dust alone.
    found = models.nearest(
        [4000.0, 5000.0], [1.7, 1.7], log_disc_mass=[-4.0, -3.0], cos_inclination=[0.77, 0.5]
    )
    assert found.tolist() == [1, 2]


def test_sets_without_a_disc_say_so(tmp_path: Path) -> None:
    path = write(tmp_path, name="s---smi")
    table = Table.read(path / "parameters.fits")
    table.remove_columns(["disk.mass"])
    table.write(path / "parameters.fits", overwrite=True)
    with pytest.raises(MauryError, match=r"s---smi have no disk\.mass"):
        read_yso_models(path).nearest([4000.0], [2.0], log_disc_mass=[-3.0])


def test_names_tell_components() -> None:
    assert set_components("s---smi") == (
        "star",
        "inner radius at dust sublimation",
        "ambient medium",
        "interstellar dust",
    )
    assert "Ulrich envelope" in set_components("spubhmi")
    assert all(set_components(name)[0] == "star" for name in YSO_SETS)
    for wrong in ("spubhm", "xp--hmi", "spubhmix"):
        with pytest.raises(MauryError, match="no name of a set"):
            set_components(wrong)


def test_what_is_not_published_so_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MauryError, match=r"flux\.fits cannot be read.*Robitaille"):
        read_yso_models(tmp_path / "nothing")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "flux.fits").write_text("no FITS file")
    with pytest.raises(MauryError, match="cannot be read"):
        read_yso_models(tmp_path / "text")
    (tmp_path / "empty").mkdir()
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "empty" / "flux.fits")
    with pytest.raises(MauryError, match=r"not of the published form.*MODEL_NAMES"):
        read_yso_models(tmp_path / "empty")
    path = write(tmp_path, values=fluxes()[:, :7])
    with pytest.raises(MauryError, match=r"VALUES has shape \(4, 7, 200\)"):
        read_yso_models(path)


def test_no_valid_model_or_lost_parameters(tmp_path: Path) -> None:
    with pytest.raises(MauryError, match="no valid model"):
        read_yso_models(write(tmp_path, valid=(0, 0, 0, 0)))
    with pytest.raises(MauryError, match=r"lacks 1 of the models in flux\.fits, such as 02"):
        read_yso_models(write(tmp_path, name="sp--h-i", order=(0, 1, 3)))
