"""Exact synthetic photometry and its table: physics, limits, and each against the other."""

from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
import torch
from dust_extinction.parameter_averages import CCM89
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from maury.errors import MauryError
from maury.sky import dust, photometry
from maury.sky.bands import Band, band
from maury.sky.libraries import load_library
from maury.sky.libraries.grid import GridLibrary
from maury.sky.magnitude_nodes import AXES
from maury.sky.photometry import MagnitudeTable, cached_table, exact_magnitudes

IDS = ("SLOAN/SDSS.g", "GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "2MASS/2MASS.J", "WISE/WISE.W2")
LOW = np.array([4000.0, 3.0, -1.5, 0.0, 2.3])
HIGH = np.array([9500.0, 5.0, 0.5, 10.0, 5.6])
MISSING = (7000.0, 4.0, -0.5)

# Extinction in a band per A_V from MIST bolometric corrections 1.2 (Choi et al. 2016), as packaged
# by astroLACHESIS 1.0.9: BC(A_V = 0) - BC(A_V = 1) at 6000 K, log g 4.5, [Fe/H] 0, R_V 3.1. Their
# law is that of Cardelli, Clayton & Mathis 1989.
MIST_EXTINCTION = {
    "SLOAN/SDSS.g": 1.2008,
    "SLOAN/SDSS.r": 0.8784,
    "SLOAN/SDSS.i": 0.6743,
    "SLOAN/SDSS.z": 0.4899,
    "PAN-STARRS/PS1.g": 1.1590,
    "PAN-STARRS/PS1.y": 0.4306,
    "GAIA/GAIA3.G": 0.8583,
    "GAIA/GAIA3.Gbp": 1.0653,
    "GAIA/GAIA3.Grp": 0.6420,
    "2MASS/2MASS.J": 0.2899,
    "2MASS/2MASS.H": 0.1830,
    "2MASS/2MASS.Ks": 0.1180,
}


@pytest.fixture(scope="module")
def library() -> GridLibrary:
    """A part of the default library, with one model taken out."""
    whole = load_library()
    part = whole.select(
        teff=np.flatnonzero((whole.teff_nodes >= LOW[0]) & (whole.teff_nodes <= HIGH[0])).tolist(),
        logg=np.flatnonzero((whole.logg_nodes >= LOW[1]) & (whole.logg_nodes <= HIGH[1])).tolist(),
        mh=np.flatnonzero((whole.mh_nodes >= LOW[2]) & (whole.mh_nodes <= HIGH[2])).tolist(),
    )
    nodes = (part.teff_nodes, part.logg_nodes, part.mh_nodes)
    hole = tuple(int(np.searchsorted(n, x)) for n, x in zip(nodes, MISSING, strict=True))
    exists = part.exists.copy()
    exists[hole] = False
    return replace(part, exists=exists)


@pytest.fixture(scope="module")
def bands() -> list[Band]:
    return [band(name) for name in IDS]


@pytest.fixture(scope="module")
def table(library: GridLibrary, bands: list[Band]) -> MagnitudeTable:
    return MagnitudeTable.build(library, bands)


def stars(n: int, seed: int = 0) -> Tensor:
    unit = np.random.default_rng(seed).random((n, 5))
    return torch.from_numpy(LOW + unit * (HIGH - LOW)).float()


def narrow_band(centre: float) -> Band:
    wave = centre + np.array([-6.0, -5.0, 5.0, 6.0])
    return Band(
        id="test/narrow",
        system="AB",
        detector="photon",
        zero_point=0.0,
        zero_point_source="none",
        floor=0.0,
        wave=wave,
        throughput=np.array([0.0, 1.0, 1.0, 0.0]),
    )


def test_the_sun_has_its_absolute_magnitudes() -> None:
    # Willmer 2018, ApJS 236, 47, table 3, at one nominal solar radius: SDSS g, r (AB), J (Vega).
    sun = [band(name) for name in ("SLOAN/SDSS.g", "SLOAN/SDSS.r", "2MASS/2MASS.J")]
    mags, inside = exact_magnitudes(load_library(), sun, 5772.0, 4.438, 0.0, 0.0, 3.1)
    assert inside.all()
    np.testing.assert_allclose(mags[0], [5.11, 4.65, 3.67], atol=0.05)


def test_magnitude_scales_with_flux_by_definition(library: GridLibrary) -> None:
    band_5500 = narrow_band(5500.0)
    mags, _ = exact_magnitudes(library, [band_5500], 6000.0, 4.5, 0.0, 0.0, 3.1)
    flam, _ = library.fluxes(6000.0, 4.5, 0.0)
    f_lambda = np.interp(5500.0, library.wave, flam[0]) * (6.957e10 / 3.0856775814913673e19) ** 2
    expected = -2.5 * np.log10(f_lambda * 5500.0**2 / 2.99792458e18) - 48.60
    assert mags[0, 0] == pytest.approx(expected, abs=1e-3)


def test_one_magnitude_of_a_v_dims_v_by_one_magnitude(library: GridLibrary) -> None:
    mags, _ = exact_magnitudes(library, [narrow_band(5500.0)], 6000.0, 4.5, 0.0, [0.0, 1.0], 3.1)
    curve = dust.extinction("G23", [5500.0], 3.1)[0]
    assert mags[1, 0] - mags[0, 0] == pytest.approx(curve, abs=2e-4)  # not 1.086 times as much
    assert mags[1, 0] - mags[0, 0] == pytest.approx(1.0, abs=3e-3)


def test_extinction_in_bands_agrees_with_mist_under_their_law(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ccm(wave: np.ndarray, r_v: np.ndarray) -> np.ndarray:
        return np.stack([CCM89(Rv=r)(wave * u.AA) for r in r_v])

    law = replace(dust.DUST_LAWS["G23"], name="CCM89", wave_range=(1000, 33000), curve=ccm)
    monkeypatch.setitem(dust.DUST_LAWS, "CCM89", law)
    chosen = [band(name) for name in MIST_EXTINCTION]
    mags, _ = exact_magnitudes(load_library(), chosen, 6000.0, 4.5, 0.0, [0, 1], 3.1, law="CCM89")
    np.testing.assert_allclose(mags[1] - mags[0], list(MIST_EXTINCTION.values()), atol=0.01)


def test_the_table_reproduces_exact_integration(
    table: MagnitudeTable, library: GridLibrary, bands: list[Band]
) -> None:
    theta = stars(2000)
    mags, inside = table(theta)
    exact, covered = exact_magnitudes(library, bands, *theta.numpy().astype(float).T)
    np.testing.assert_array_equal(inside.numpy(), covered)
    error = np.abs(mags.numpy() - exact)[covered]
    assert np.median(error) < 0.001
    assert np.percentile(error, 99) < 0.01


def test_nothing_but_numbers_inside_and_nothing_but_nan_outside(table: MagnitudeTable) -> None:
    mags, inside = table(stars(5000, seed=1))
    assert 0.5 < inside.float().mean() < 1  # the hole and its surroundings
    assert torch.isfinite(mags[inside]).all()
    assert torch.isnan(mags[~inside]).all()


def test_no_extinction_leaves_the_magnitudes_whatever_r_v(table: MagnitudeTable) -> None:
    theta = stars(300)
    theta[:, 3] = 0
    other = theta.clone()
    other[:, 4] = 2.3
    mags, inside = table(theta)
    assert torch.equal(mags[inside], table(other)[0][inside])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_more_dust_is_never_brighter(table: MagnitudeTable, seed: int) -> None:
    theta = stars(1, seed).repeat(200, 1)
    theta[:, 3] = torch.linspace(0, 20, 200)
    mags, inside = table(theta)
    if inside.all():
        assert (mags.diff(dim=0) > 0).all()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (0, 3900.0),
        (0, -5.0),
        (0, float("nan")),
        (1, 5.2),
        (2, -2.0),
        (3, -0.1),
        (3, 21.0),
        (4, 2.2),
        (4, 0.0),
        (4, float("inf")),
    ],
)
def test_each_parameter_out_of_range_is_flagged(
    table: MagnitudeTable, column: int, value: float
) -> None:
    theta = torch.tensor([[5772.0, 4.4, 0.0, 0.5, 3.1]]).repeat(2, 1)
    theta[1, column] = value
    mags, inside = table(theta)
    assert inside.tolist() == [True, False]
    assert torch.isnan(mags[1]).all()


def test_the_corners_of_the_grid_are_inside(table: MagnitudeTable) -> None:
    edges = torch.tensor(np.stack([LOW, HIGH])).float()
    edges[:, 3] = torch.tensor([0.0, 20.0])
    assert table(edges)[1].all()


def test_a_missing_model_takes_its_neighbourhood_and_no_more(table: MagnitudeTable) -> None:
    on, beside, beyond = (7000.0, 4.0, -0.5), (7050.0, 4.2, -0.4), (7050.0, 4.6, -0.4)
    theta = torch.tensor([(*point, 0.1, 3.1) for point in (on, beside, beyond)])
    assert table(theta)[1].tolist() == [False, False, True]


def test_stars_outside_do_not_harm_the_gradients_of_others(table: MagnitudeTable) -> None:
    theta = stars(50)
    _, inside = table(theta)
    alone = theta[inside].clone().requires_grad_()
    table(alone)[0].sum().backward()
    theta[~inside] = float("nan")
    mixed = theta.requires_grad_()
    table(mixed)[0].nansum().backward()
    assert torch.equal(mixed.grad[inside], alone.grad)
    assert (mixed.grad[~inside] == 0).all()


def test_gradients_are_those_of_the_interpolant(table: MagnitudeTable) -> None:
    double = MagnitudeTable(
        bands=table.bands,
        law=table.law,
        axes={name: getattr(table, name).double() for name in AXES},
        table=table.table.double(),
    )
    theta = stars(8, seed=3).double().requires_grad_()
    inside = double(theta)[1]
    assert inside.any()
    assert torch.autograd.gradcheck(lambda x: double(x)[0][inside], theta, eps=1e-5, atol=1e-5)


def test_a_star_does_not_depend_on_its_batch(table: MagnitudeTable) -> None:
    theta = stars(40_000)
    mags, inside = table(theta)
    some = torch.tensor([0, 7, 39_999])
    alone, _ = table(theta[some])
    assert torch.allclose(alone, mags[some], rtol=0, atol=1e-5, equal_nan=True)
    assert table(theta[:0])[0].shape == (0, len(IDS))
    assert inside.shape == (40_000,)


def test_save_and_load_give_the_same_table(table: MagnitudeTable, tmp_path: Path) -> None:
    table.save(tmp_path / "table.safetensors")
    again = MagnitudeTable.load(tmp_path / "table.safetensors")
    assert (again.bands, again.law) == (table.bands, table.law)
    theta = stars(100)
    assert torch.equal(again(theta)[0].nan_to_num(), table(theta)[0].nan_to_num())
    assert [path.name for path in tmp_path.iterdir()] == ["table.safetensors"]


def test_a_damaged_table_is_an_error_that_says_so(table: MagnitudeTable, tmp_path: Path) -> None:
    path = tmp_path / "table.safetensors"
    table.save(path)
    content = bytearray(path.read_bytes())
    content[-1000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(MauryError, match="checksum"):
        MagnitudeTable.load(path)
    path.write_bytes(content[:5000])
    with pytest.raises(MauryError, match="cannot be read"):
        MagnitudeTable.load(path)
    with pytest.raises(MauryError, match="cannot be read"):
        MagnitudeTable.load(tmp_path / "missing.safetensors")


def test_the_cache_is_used_and_renewed(
    library: GridLibrary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAURY_CACHE", str(tmp_path))
    monkeypatch.setattr(photometry, "load_library", lambda name: library)
    first = cached_table("part", IDS[:2])
    (file,) = (tmp_path / "tables").iterdir()
    written = file.stat().st_mtime_ns
    assert torch.equal(cached_table("part", IDS[:2]).table, first.table)
    assert file.stat().st_mtime_ns == written
    file.write_bytes(b"not a table")
    assert torch.equal(cached_table("part", IDS[:2]).table, first.table)
    assert MagnitudeTable.load(file).bands == IDS[:2]
    cached_table("part", IDS[:2], law="F99")
    assert len(list((tmp_path / "tables").iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_done_without(
    library: GridLibrary, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv("MAURY_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(photometry, "load_library", lambda name: library)
    assert cached_table("part", IDS[:1]).bands == IDS[:1]
