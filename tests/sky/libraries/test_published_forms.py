"""Loaders on small files of the forms in which libraries are published, and fetching them.

The spectra are black bodies with a line, so that what comes back is known.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from maury.download import DownloadError, Patience
from maury.errors import MauryError
from maury.sky.libraries import fetch_library, library_names, library_path, load_library
from maury.sky.libraries.assemble import assemble, check_energy
from maury.sky.libraries.basel import POINTS, read_basel, read_basel_file
from maury.sky.libraries.bosz import read_bosz, read_bosz_spectrum
from maury.sky.libraries.coelho import read_coelho
from maury.sky.libraries.grid import log_black_body
from maury.sky.libraries.phoenix import METALLICITIES, WAVELENGTHS, read_phoenix
from maury.sky.libraries.stsci import read_atlas

HASTY = Patience(timeout=5.0, tries=2, wait=0.01)
TEFF, LOGG = (5000.0, 6000.0), (4.0, 4.5)


def flux(wave: NDArray, teff: float, mh: float, alpha: float = 0.0) -> NDArray:
    """Black body with an absorption about 5000 Angstrom that deepens with metals and alpha."""
    line = np.exp(-0.5 * (np.log(wave / 5000.0) / 0.05) ** 2)
    return 10.0 ** (log_black_body(wave, teff) - 0.1 * (1.0 + 0.3 * mh + alpha) * line)


def agree(library, wave: NDArray, expected: NDArray, teff: float, logg: float, mh: float) -> None:
    """Within 1% wherever there is light."""
    flam, inside = library.fluxes(teff, logg, mh)
    assert inside.all()
    theirs = np.interp(library.wave, wave, expected)
    seen = (library.wave > 3000) & (library.wave < 30000)
    np.testing.assert_allclose(flam[0, seen], theirs[seen], rtol=0.01)


# Writers of the published forms ------------------------------------------------------------------


def write_atlas(root: Path) -> NDArray:
    wave = np.geomspace(900.0, 330000.0, 600)
    index, names = [], []
    for sign, mh in (("m05", -0.5), ("p00", 0.0)):
        (root / f"ck{sign}").mkdir(parents=True)
        for teff in TEFF:
            name = f"ck{sign}/ck{sign}_{teff:.0f}.fits"
            columns = [fits.Column("WAVELENGTH", "D", "ANGSTROM", array=wave)]
            for logg in (4.0, 4.5, 5.0):
                # A column of zeros is a model that was not computed.
                spectrum = flux(wave, teff, mh) * (logg in LOGG)
                columns.append(fits.Column(f"g{10 * logg:.0f}", "E", "FLAM", array=spectrum))
                index.append(f"{teff:.0f},{mh:.1f},{logg:.1f}")
                names.append(f"{name}[g{10 * logg:.0f}]")
            fits.BinTableHDU.from_columns(columns).writeto(root / name)
    listed = [fits.Column("INDEX", "30A", array=index), fits.Column("FILENAME", "60A", array=names)]
    fits.BinTableHDU.from_columns(listed).writeto(root / "catalog.fits")
    return wave


def write_bosz(root: Path, *, resolution: int = 500) -> NDArray:
    wave = np.geomspace(500.0, 320000.0, 1500)
    (root / "wavelength_grids").mkdir(parents=True)
    np.savetxt(root / f"wavelength_grids/bosz2024_wave_r{resolution}.txt", wave, fmt="%.6f")
    (root / "download_scripts").mkdir()
    for mh in np.arange(-2.5, 0.76, 0.25):
        lines = ["#!/bin/bash"]
        place = f"r{resolution}/m{mh:+.2f}"
        (root / place).mkdir(parents=True)
        for alpha, atmosphere, speed in (
            *((a, "mp", 2) for a in (-0.25, 0.0, 0.25, 0.5)),
            (0.0, "ap", 2),
            (0.0, "mp", 0),
        ):
            for teff in TEFF:
                for logg in LOGG:
                    name = (
                        f"bosz2024_{atmosphere}_t{teff:.0f}_g{logg:+.1f}_m{mh:+.2f}_a{alpha:+.2f}"
                        f"_c+0.00_v{speed}_r{resolution}_resam.txt.gz"
                    )
                    url = f"https://archive.stsci.edu/hlsps/bosz/bosz2024/{place}/{name}"
                    lines.append(f"curl -L -O '{url}'")
                    # Others than those wanted would be noticed by their flux.
                    wrong = 1.0 if (atmosphere, speed) == ("mp", 2) else 7.0
                    eddington = wrong * flux(wave, teff, mh, alpha) / (4.0 * np.pi)
                    pairs = np.stack([eddington, 1.1 * eddington], axis=1)
                    text = io.StringIO()
                    np.savetxt(text, pairs, fmt="%.5e")
                    (root / place / name).write_bytes(gzip.compress(text.getvalue().encode(), 1))
        script = f"hlsp_bosz_bosz2024_sim_r{resolution}_m{mh:+.2f}_v1_bulkdl.sh"
        (root / "download_scripts" / script).write_text("\n".join(lines))
    return wave


def write_phoenix(root: Path) -> NDArray:
    wave = np.geomspace(500.0, 55000.0, 5000)
    root.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(wave).writeto(root / WAVELENGTHS)
    for mh in METALLICITIES:
        trend = min(max(-0.4 * mh, 0.0), 0.4) if mh >= -3 else 0.0
        for alpha in sorted({0.0, trend}):
            metals = (f"{mh:+.1f}" if mh else "-0.0") + (f".Alpha={alpha:+.2f}" if alpha else "")
            place = root / f"PHOENIX-ACES-AGSS-COND-2011/Z{metals}"
            place.mkdir(parents=True)
            for teff in TEFF:
                for logg in LOGG:
                    if alpha and logg == 4.5:
                        continue  # enhanced models are fewer
                    name = (
                        f"lte{teff:05.0f}-{logg:.2f}{metals}.PHOENIX-ACES-AGSS-COND-2011-HiRes.fits"
                    )
                    fits.PrimaryHDU((1e8 * flux(wave, teff, mh, alpha)).astype(">f4")).writeto(
                        place / name
                    )
    return wave


def write_coelho(root: Path) -> NDArray:
    root.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(2000)
    start, step = np.log10(0.13), np.log10(100.0 / 0.13) / 1999  # micron
    wave = 10.0 ** (start + step * pixels) * 1e4
    with tarfile.open(root / "s_coelho14_sed.tgz", "w:gz") as archive:
        for mh, alpha in ((-1.0, 0.0), (-1.0, 0.4), (-0.8, 0.4), (-0.5, 0.0), (-0.5, 0.4), (0, 0)):
            for teff in TEFF:
                for logg in LOGG:
                    sign = f"{'m' if mh < 0 else 'p'}{abs(10 * mh):02.0f}p{10 * alpha:02.0f}"
                    hdu = fits.PrimaryHDU((3e-5 * flux(wave, teff, mh, alpha)).astype(">f4"))
                    hdu.header.update({"CRVAL1": start, "CDELT1": step, "CRPIX1": 1.0})
                    hdu.header.update({"TEFF": teff, "LOG_G": logg, "FEH": mh, "AFE": alpha})
                    data = io.BytesIO()
                    hdu.writeto(data)
                    entry = tarfile.TarInfo(
                        f"s_coelho14_sed/t{teff:05.0f}_g{logg:+.1f}_{sign}_sed.fits"
                    )
                    entry.size = data.tell()
                    data.seek(0)
                    archive.addfile(entry, data)
    return wave


def write_basel(root: Path) -> NDArray:
    root.mkdir(parents=True, exist_ok=True)
    nanometres = np.round(np.geomspace(9.1, 160000.0, POINTS) + 0.05 * np.arange(POINTS), 1)

    def rows(values: NDArray, form: str, width: int) -> str:
        parts = [values[i : i + width] for i in range(0, len(values), width)]
        return "\n".join("".join(form % v for v in part) for part in parts) + "\n"

    for sign, mh in (("m05", -0.5), ("p00", 0.0)):
        text = rows(nanometres, "%10.1f", 8)
        for number, (teff, logg) in enumerate(
            [(t, g) for t in TEFF for g in LOGG] + [(5000.0, 0.28)], start=1
        ):
            flam = flux(10.0 * nanometres, teff, mh)
            moment = 10.0 * flam * nanometres**2 / 2.99792458e17 / (4.0 * np.pi)
            text += f"{number:6d}{teff:6.0f}{logg:6.2f}{mh:6.2f}  2.00  1.25\n"
            block = rows(np.maximum(moment, 1e-120), "%11.4E", 7)
            # As Fortran writes it: no E before an exponent of three digits.
            text += re.sub(r"(\d\.\d{4})E([+-]\d{3})", r" \1\2", block)
        (root / f"wlbc99_{sign}.cor").write_text(text)
    return 10.0 * nanometres


# Readers -----------------------------------------------------------------------------------------


def test_an_atlas_of_stsci(tmp_path):
    wave = write_atlas(tmp_path)
    for rebinned in (False, True):
        library = read_atlas(tmp_path, name="ck04", rebinned=rebinned)
        assert library.logg_nodes.tolist() == [4.0, 4.5]
        agree(library, wave, flux(wave, 5000.0, -0.5), 5000.0, 4.0, -0.5)
    (tmp_path / "ckm05/ckm05_5000.fits").write_bytes(b"<html>log in</html>")
    with pytest.raises(MauryError, match="ckm05_5000"):
        read_atlas(tmp_path, name="ck04")
    (tmp_path / "catalog.fits").unlink()
    with pytest.raises(MauryError, match=r"catalog\.fits"):
        read_atlas(tmp_path, name="ck04")


def test_bosz(tmp_path):
    wave = write_bosz(tmp_path, resolution=1000)
    library = read_bosz(tmp_path, resolution=1000)
    assert library.name == "bosz-r1000"
    assert len(library.mh_nodes) == 14
    # [alpha/Fe] is 0, 0.2 and 0.4, of which the last two lie between the published ones.
    for mh, alpha in ((0.25, 0.0), (-0.5, 0.2), (-2.0, 0.4)):
        agree(library, wave, flux(wave, 5000.0, mh, alpha), 5000.0, 4.0, mh)
    path = next((tmp_path / "r1000/m+0.00").glob("bosz2024_mp_t5000_g+4.0_*a+0.00*v2*"))
    native, flam = read_bosz_spectrum(path, tmp_path / "wavelength_grids/bosz2024_wave_r1000.txt")
    np.testing.assert_allclose(flam, flux(native, 5000.0, 0.0), rtol=1e-4)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(MauryError, match="damaged"):
        read_bosz(tmp_path, resolution=1000)
    path.write_bytes(gzip.compress(b"1 2\n3 4\n"))
    with pytest.raises(MauryError, match=r"4 numbers.*fetch again"):
        read_bosz(tmp_path, resolution=1000)


def test_phoenix(tmp_path):
    wave = write_phoenix(tmp_path)
    library = read_phoenix(tmp_path)
    assert library.mh_nodes.tolist() == list(METALLICITIES)
    agree(library, wave, flux(wave, 5000.0, -1.0, 0.4), 5000.0, 4.0, -1.0)
    agree(library, wave, flux(wave, 5000.0, -1.0, 0.0), 5000.0, 4.5, -1.0)
    agree(library, wave, flux(wave, 6000.0, 0.5), 6000.0, 4.5, 0.5)


def test_coelho(tmp_path):
    wave = write_coelho(tmp_path)
    library = read_coelho(tmp_path)
    assert library.mh_nodes.tolist() == [-1.0, -0.5, 0.0]
    scale = library.fluxes(5000.0, 4.0, 0.0)[0][0].max() / flux(wave, 5000.0, 0.0).max()
    # The unit is set by sigma T^4, of which the line takes a few hundredths.
    assert scale == pytest.approx(1.0, abs=0.05)
    agree(library, wave, scale * flux(wave, 5000.0, -0.5, 0.2), 5000.0, 4.5, -0.5)
    (tmp_path / "s_coelho14_sed.tgz").write_bytes(b"nothing")
    with pytest.raises(MauryError, match="cannot be read"):
        read_coelho(tmp_path)


def test_basel(tmp_path):
    wave = write_basel(tmp_path)
    library = read_basel(tmp_path)
    assert library.logg_nodes.tolist() == [4.0, 4.5]
    agree(library, wave, flux(wave, 6000.0, -0.5), 6000.0, 4.5, -0.5)
    own, models, flam = read_basel_file(tmp_path / "wlbc99_p00.cor")
    assert own.shape == (POINTS,)
    assert models.tolist()[-1] == [5000.0, 0.28, 0.0]
    assert flam.shape == (5, POINTS)
    packed = gzip.compress((tmp_path / "wlbc99_p00.cor").read_bytes())
    (tmp_path / "wlbc99_p00.cor").unlink()
    (tmp_path / "wlbc99_p00.cor.gz").write_bytes(packed)
    np.testing.assert_array_equal(read_basel(tmp_path).coefficients, library.coefficients)
    (tmp_path / "wlbc99_m05.cor").write_text("1.0 2.0")
    with pytest.raises(MauryError, match="wlbc99_m05"):
        read_basel(tmp_path)
    with pytest.raises(MauryError, match="lasting address"):
        read_basel(tmp_path / "nowhere")


def test_what_cannot_be_a_library_is_refused():
    wave = np.array([1000.0, 2000.0, 3000.0])
    ones = np.ones((2, 3))
    with pytest.raises(MauryError, match="two models at Teff 5000"):
        assemble("x", wave, ([5000, 5000], [4, 4], [0, 0]), ones)
    with pytest.raises(MauryError, match="no numbers"):
        assemble("x", wave, ([5000], [4], [0]), [[1.0, np.nan, 1.0]])
    with pytest.raises(MauryError, match="increase"):
        assemble("x", wave[::-1], ([5000], [4], [0]), ones[:1])
    with pytest.raises(MauryError, match="no model"):
        assemble("x", wave, ([], [], []), [])
    wave = np.geomspace(1000, 300000, 500)
    wrong = 1e3 * flux(wave, 5000.0, 0.0)
    with pytest.raises(MauryError, match=r"sigma T\^4"):
        check_energy(assemble("x", wave, ([5000], [4], [0]), [wrong]))


def test_wide_gaps_follow_the_black_body():
    wave = np.concatenate([np.geomspace(1000, 100000, 300), [200000.0, 400000.0]])
    library = assemble("x", wave, ([9000], [4], [0]), [0.8 * flux(wave, 9000.0, 0.0)])
    assert library.wave[-1] == 320000.0
    dense = library.wave > 100000
    expected = 0.8 * flux(library.wave, 9000.0, 0.0)
    np.testing.assert_allclose(library.node_flux(0, 0, 0)[dense], expected[dense], rtol=1e-4)


# From address to library -------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAURY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is published."""
    root = tmp_path / "site"
    root.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield root, f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("ck04", write_atlas),
        ("kurucz93", write_atlas),
        ("btsettl", write_atlas),
        ("bosz", write_bosz),
        ("phoenix", write_phoenix),
        ("coelho", write_coelho),
    ],
)
def test_fetched_by_name(
    name: str, write: Callable[[Path], NDArray], site: tuple[Path, str], cache: Path
):
    root, address = site
    wave = write(root / "grid")
    seen: list[tuple[int, int]] = []
    path = fetch_library(
        name,
        mirror=f"{address}/grid/",
        patience=HASTY,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path == library_path(name) == cache / "libraries" / f"{name}.safetensors"
    assert seen[0][0] == 0
    assert max(seen)[0] == seen[0][1]
    library = load_library(name)
    assert library.name == name
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    if name != "coelho":
        agree(library, wave, flux(wave, 5000.0, 0.0), 5000.0, 4.5, 0.0)
    flam, inside = library.fluxes([5500.0, 7000.0, 5500.0], [4.2, 4.2, 1.0], 0.0)
    assert inside.tolist() == [True, False, False]
    assert np.isnan(flam[1:]).all()
    assert np.isfinite(flam[0]).all()


def test_from_a_folder_and_read_anew_once_replaced(cache: Path, tmp_path: Path):
    write_basel(tmp_path / "basel")
    fetch_library("basel", source=tmp_path / "basel")
    assert load_library("basel") is load_library("basel")
    first = load_library("basel")
    (tmp_path / "basel/wlbc99_m05.cor").unlink()
    fetch_library("basel", source=tmp_path / "basel")
    assert len(load_library("basel").mh_nodes) < len(first.mh_nodes)
    again = load_library(str(library_path("basel")))
    np.testing.assert_array_equal(again.coefficients, load_library("basel").coefficients)


def test_what_is_not_there_says_how_to_have_it(cache: Path, tmp_path: Path):
    assert {"bosz-r50000", "sedfit-coelho", "phoenix-kurucz"} <= set(library_names())
    with pytest.raises(MauryError, match="maury libraries fetch bosz`"):
        load_library("bosz")
    with pytest.raises(MauryError, match="--from FOLDER"):
        load_library("basel")
    with pytest.raises(MauryError, match=r"build_sedfit_libraries\.py coelho"):
        load_library("sedfit-coelho")
    with pytest.raises(MauryError, match="sedfit"):
        fetch_library("sedfit-coelho")
    with pytest.raises(MauryError, match="no lasting address"):
        fetch_library("basel")
    with pytest.raises(MauryError, match="no library 'marcs'"):
        fetch_library("marcs")
    with pytest.raises(MauryError, match="no such file"):
        fetch_library("ck04", source=tmp_path / "nowhere")
    with pytest.raises(MauryError, match="no such library file"):
        load_library("elsewhere.npz")
    damaged = cache / "libraries/ck04.safetensors"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    with pytest.raises(MauryError, match="fetch the library anew"):
        load_library("ck04")


def test_a_site_that_lacks_files(site: tuple[Path, str], cache: Path):
    root, address = site
    write_atlas(root)
    (root / "ckp00/ckp00_6000.fits").unlink()
    with pytest.raises(DownloadError, match=r"ckp00_6000.*404"):
        fetch_library("ck04", mirror=address, patience=HASTY)
    assert library_path("ck04") is None
    (root / "catalog.fits").write_text("<html>moved</html>")
    with pytest.raises(MauryError, match=r"catalog\.fits"):
        fetch_library("ck04", mirror=address, patience=HASTY)
