"""Build the packaged passbands (``src/maury/sky/data/bands/*.csv``) from three public packages.

    python scripts/build_bands.py speclite-1.0.0-py3-none-any.whl pyphot-2.1.1-py3-none-any.whl \\
        astro_sedpy-0.4.1-py3-none-any.whl

Needs h5py. Curves are cut to where they respond and thinned, as far as no magnitude of a set of
test spectra moves by more than 0.5 mmag. Afterwards it prints every band and its checks against
the observed spectra of the Sun and of Vega.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from maury.sky import bands
from maury.sky.passband import Band

__all__: list[str] = []

FloatArray = NDArray[np.float64]
Curve = tuple[FloatArray, FloatArray]

OUT = Path(bands.__file__).parent / "data" / "bands"
TESTS = Path(__file__).parents[1] / "tests" / "sky" / "data"

SHA256 = {
    "speclite": "4bc8cb7f718b347e0ce566cb5ed341684c8efebe4a77f2a49aabe8ee085465d7",
    "pyphot": "98937d2ee371a7fd490ce1528474fd3a8da0a033da9e9b236a5a4a93d52a3456",
    "sedpy": "162e9d5604cc324597be7c5a7c586fbd57ae9fdd55d22957e2c8bce908cd72d1",
}

SPECLITE = {
    "GALEX/GALEX.": {"FUV": "galex-fuv", "NUV": "galex-nuv"},
    "SLOAN/SDSS.": {b: f"sdss2010-{b}" for b in "ugriz"},
    "PAN-STARRS/PS1.": {b: f"panstarrs-{b}" for b in "grizy"},
    "GAIA/GAIA3.": {"G": "gaiadr3-G", "Gbp": "gaiadr3-BP", "Grp": "gaiadr3-RP"},
    "GAIA/GAIA2r.": {"G": "gaiadr2-G", "Gbp": "gaiadr2-BP", "Grp": "gaiadr2-RP"},
    "2MASS/2MASS.": {b: f"twomass-{b}" for b in ("J", "H", "Ks")},
    "WISE/WISE.": {b: f"wise2010-{b}" for b in ("W1", "W2", "W3", "W4")},
    "LSST/LSST.": {b: f"lsst2023-{b}" for b in "ugrizy"},
    "Euclid/VIS.": {"vis": "Euclid-VIS"},
    "Euclid/NISP.": {b: f"Euclid-{b}" for b in "YJH"},
    "CTIO/DECam.": {"u": "decam2014-u", **{b: f"decamDR1-{b}" for b in "grizY"}},
}
PYPHOT = {
    "SkyMapper/SkyMapper.": {b: f"SkyMapper_{b}" for b in "uvgriz"},
    "Spitzer/IRAC.": {f"I{i}": f"SPITZER_IRAC_{n}" for i, n in enumerate((36, 45, 58, 80), 1)},
    "TESS/TESS.": {"Red": "TESS"},
    "Kepler/Kepler.": {"K": "KEPLER_Kp"},
    "Herschel/Pacs.": {c: f"HERSCHEL_PACS_{c.upper()}" for c in ("blue", "green", "red")},
}
SEDPY = {"Spitzer/MIPS.": {"24mu": "spitzer_mips_24"}}

# Hp, normalised response of Bessell 2000 (PASP 112, 961, table 1): Angstrom: response.
HIPPARCOS = """
3400 0.000 3500 0.015 3600 0.032 3800 0.103 3900 0.155 4000 0.227 4100 0.300 4200 0.400
4300 0.530 4400 0.700 4500 0.845 4600 0.928 4700 0.970 4800 1.000 4900 0.997 5000 0.988
5100 0.973 5200 0.956 5300 0.935 5400 0.911 5500 0.887 5600 0.858 5700 0.825 5800 0.789
5900 0.752 6000 0.714 6100 0.675 6200 0.637 6300 0.599 6400 0.562 6500 0.525 6600 0.487
6700 0.449 6800 0.411 6900 0.372 7000 0.335 7100 0.299 7200 0.264 7300 0.232 7400 0.203
7500 0.176 8000 0.074 8500 0.020 8800 0.000
"""

# Beyond 4200 A the tabulated DECam u is the noise of its measurement, 1% of the area, mostly near
# 1 micron: to a red star that would be a leak as strong as the band.
RED_END = {"CTIO/DECam.u": 4200.0}

TOLERANCE = 0.0005
"""Largest change of a magnitude by the thinning, mag."""


def main(speclite: str, pyphot: str, sedpy: str) -> None:
    """Write every curve, the two small test spectra, and print the table of checks."""
    with _open(speclite, "speclite") as first, _open(pyphot, "pyphot") as second:
        curves = _speclite_curves(first) | _pyphot_curves(second)
        sun = _spectrum(second, "sun_reference_stis_001.fits")
        vega = _spectrum(second, "alpha_lyr_stis_011.fits")
    with _open(sedpy, "sedpy") as third:
        curves |= _sedpy_curves(third)
    hipparcos = np.array(HIPPARCOS.split(), dtype=float).reshape(-1, 2)
    curves["Hipparcos/Hipparcos.Hp_bes"] = (hipparcos[:, 0], hipparcos[:, 1])
    missing = set(bands.band_ids()) ^ set(curves)
    if missing:
        raise SystemExit(f"bands.toml and this script disagree about {sorted(missing)}")
    for name in bands.band_ids():
        wave, throughput = curves[name]
        blue = wave <= RED_END.get(name, np.inf)
        wave, throughput = thin((wave[blue], throughput[blue]))
        lines = [f"{w:.8g},{t:.5g}" for w, t in zip(wave, throughput, strict=True)]
        text = "\n".join(["wavelength,throughput", *lines]) + "\n"
        (OUT / (name.replace("/", "_") + ".csv")).write_text(text, encoding="utf-8")
    TESTS.mkdir(parents=True, exist_ok=True)
    _write_spectrum("sun.csv", sun)
    _write_spectrum("vega.csv", vega)
    report(sun, vega)


def thin(curve: Curve) -> Curve:
    """Cut and thin a curve until magnitudes of the test spectra would move too much."""
    wave, throughput = curve
    throughput = np.clip(throughput, 0, None) / throughput.max()
    full = _band(wave, throughput)
    for tolerance in (4e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 1e-5):
        keep = np.flatnonzero(throughput > tolerance / 10)
        low, high = max(keep[0] - 1, 0), min(keep[-1] + 2, len(wave))
        cut = slice(low, high)
        chosen = _simplify(wave[cut], throughput[cut], tolerance)
        small = _band(wave[cut][chosen], throughput[cut][chosen])
        if _largest_change(full, small) < TOLERANCE:
            return small.wave, small.throughput
    return wave, throughput


def _simplify(wave: FloatArray, throughput: FloatArray, tolerance: float) -> FloatArray:
    """Indices of the points that linear interpolation needs (Douglas & Peucker 1973)."""
    kept, open_spans = {0, len(wave) - 1}, [(0, len(wave) - 1)]
    while open_spans:
        low, high = open_spans.pop()
        inner = slice(low + 1, high)
        line = np.interp(wave[inner], wave[[low, high]], throughput[[low, high]])
        miss = np.abs(line - throughput[inner])
        if len(miss) and miss.max() > tolerance:
            at = low + 1 + int(miss.argmax())
            kept.add(at)
            open_spans += [(low, at), (at, high)]
    return np.array(sorted(kept))


def _largest_change(full: Band, small: Band) -> float:
    """In mag, over blackbodies and power laws with and without a steep ultraviolet cut.

    Bands of the far infrared see dust: over blackbodies down to 30 K too.
    """
    wave = np.geomspace(900, 330000, 5700)
    far = full.wave[-1] > 3e5
    if far:
        wave = np.append(wave, np.geomspace(330100, 3.3e6, 2200))

    def blackbody(teff: float) -> FloatArray:
        exponent = np.minimum(1.438777e8 / wave / teff, 600.0)
        return np.asarray(1e20 * wave**-5.0 / np.expm1(exponent))

    spectra = [blackbody(teff) for teff in (3500, 6000, 3e4)]
    spectra += [spectra[0] * np.exp(-3000 * np.sin(wave / 30) ** 2 / wave), wave**-2.0]
    spectra += [blackbody(teff) for teff in (300, 100, 50, 30)] if far else []
    old, new = full.magnitude(wave, np.array(spectra)), small.magnitude(wave, np.array(spectra))
    return float(np.abs(old - new).max())


def report(sun: Curve, vega: Curve) -> None:
    """Print every band: pivot, zero point, Vega's magnitude and the Sun's absolute one."""
    print(f"{'band':28}{'points':>7}{'pivot':>10}{'zero':>8}{'Vega':>8}{'Sun':>8}")
    for name in bands.band_ids():
        b = bands._packaged.__wrapped__(name)
        # The Sun at 10 pc: 5 log10(1 au / 10 pc) = -31.5721 (IAU 2012 au, 2015 pc).
        at_sun = b.magnitude(*sun) + 31.5721 if b.wave[-1] < sun[0][-1] else np.nan
        at_vega = b.magnitude(*vega) if b.pivot < 0.9 * vega[0][-1] else np.nan
        print(
            f"{name:28}{len(b.wave):7}{b.pivot:10.1f}{b.zero_point:8.4f}{at_vega:8.3f}{at_sun:8.3f}"
        )


def _band(wave: FloatArray, throughput: FloatArray) -> Band:
    return Band("thinned", "AB", "photon", 0.0, "", 0.0, wave, throughput)


def _open(path: str, package: str) -> zipfile.ZipFile:
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if found != SHA256[package]:
        raise SystemExit(f"{path}: sha256 {found}, but {SHA256[package]} is expected")
    return zipfile.ZipFile(path)


def _speclite_curves(wheel: zipfile.ZipFile) -> dict[str, Curve]:
    found = {}
    for prefix, names in SPECLITE.items():
        for suffix, name in names.items():
            text = wheel.read(f"speclite/data/filters/{name}.ecsv").decode()
            table = Table.read(text, format="ascii.ecsv")
            scale = (table["wavelength"].unit or units.AA).to(units.AA)
            wave = np.asarray(table["wavelength"], dtype=float) * scale
            found[prefix + suffix] = (wave, np.asarray(table["response"], dtype=float))
    return found


def _pyphot_curves(wheel: zipfile.ZipFile) -> dict[str, Curve]:
    found = {}
    with h5py.File(io.BytesIO(wheel.read("pyphot/libs/new_filters.hd5"))) as file:
        for prefix, names in PYPHOT.items():
            for suffix, name in names.items():
                table = file[f"filters/{name}"]
                unit = table.attrs["WAVELENGTH_UNIT"].decode()
                scale = units.Unit("Angstrom" if unit == "AA" else unit).to(units.AA)
                found[prefix + suffix] = (table["WAVELENGTH"] * scale, table["THROUGHPUT"])
    return found


def _sedpy_curves(wheel: zipfile.ZipFile) -> dict[str, Curve]:
    found = {}
    for prefix, names in SEDPY.items():
        for suffix, name in names.items():
            text = wheel.read(f"sedpy/data/filters/{name}.par").decode()
            wave, throughput = np.loadtxt(text.splitlines(), unpack=True)
            found[prefix + suffix] = (wave, throughput)
    return found


def _spectrum(wheel: zipfile.ZipFile, name: str) -> Curve:
    table = fits.getdata(io.BytesIO(wheel.read(f"pyphot/libs/{name}")))
    return tuple(np.asarray(table[c], dtype=float) for c in ("WAVELENGTH", "FLUX"))  # type: ignore[return-value]


def _write_spectrum(name: str, spectrum: Curve) -> None:
    """Average a spectrum in bins of 0.001 dex, 1150 to 300,000 Angstrom, for the tests."""
    wave, flux = spectrum
    edges = 10 ** np.arange(3.0605, 5.48, 0.001)
    edges = edges[(edges > wave[0]) & (edges < wave[-1])]
    nodes = np.union1d(wave, edges)
    values = np.interp(nodes, wave, flux)
    summed = np.concatenate([[0], np.cumsum(np.diff(nodes) * (values[1:] + values[:-1]) / 2)])
    means = np.diff(np.interp(edges, nodes, summed)) / np.diff(edges)
    centres = np.sqrt(edges[1:] * edges[:-1])
    lines = [f"{w:.7g},{f:.5g}" for w, f in zip(centres, means, strict=True)]
    (TESTS / name).write_text("\n".join(["wavelength,flam", *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
