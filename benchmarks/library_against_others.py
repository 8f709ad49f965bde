"""The default library against two independent ones.

    python benchmarks/library_against_others.py --mist bc_tables.h5 --ck04 ck04_atlas9.npz

`bc_tables.h5` holds the bolometric corrections of MIST (Choi et al. 2016, ApJ 823, 102), as the
PyPI package astroLACHESIS 1.0.9 ships them (`lachesis/Datafiles/BC_tables`); h5py must be there.
`ck04_atlas9.npz` holds the fluxes of Castelli & Kurucz 2004 (see `maury.sky.libraries.ck04`).
Compared are absolute magnitudes of a star of one nominal solar radius, along the main sequence
and the giant branch, without dust, in mag: ours minus theirs.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maury.sky.bands import AB_CONSTANT, band
from maury.sky.libraries import SpectralLibrary, load_library
from maury.sky.libraries.ck04 import read_ck04
from maury.sky.synthesis import PARSEC_CM
from maury.sun import SUN_MAGNITUDE, SUN_RADIUS_CM, SUN_TEFF

Floats = NDArray[np.float64]

DILUTION = (SUN_RADIUS_CM / (10 * PARSEC_CM)) ** 2
RANGES = ((3200, 4000), (4000, 5000), (5000, 6500), (6500, 8500), (8500, 12001), (12001, 30001))
MIST_BANDS = {
    "GALEX/GALEX.FUV": ("GALEX", "GALEX_FUV"),
    "GALEX/GALEX.NUV": ("GALEX", "GALEX_NUV"),
    **{f"SLOAN/SDSS.{b}": ("SDSSugriz", f"SDSS_{b}") for b in "ugriz"},
    **{f"PAN-STARRS/PS1.{b}": ("PanSTARRS", f"PS_{b}") for b in "grizy"},
    **{f"SkyMapper/SkyMapper.{b}": ("SkyMapper", f"SkyMapper_{b}") for b in "uvgriz"},
    "GAIA/GAIA3.G": ("UBVRIplus", "Gaia_G_EDR3"),
    "GAIA/GAIA3.Gbp": ("UBVRIplus", "Gaia_BP_EDR3"),
    "GAIA/GAIA3.Grp": ("UBVRIplus", "Gaia_RP_EDR3"),
    **{f"2MASS/2MASS.{b}": ("UBVRIplus", f"2MASS_{b}") for b in ("J", "H", "Ks")},
    **{f"WISE/WISE.{b}": ("WISE", f"WISE_{b}") for b in ("W1", "W2")},
}


def stars(teff: Floats, logg: Floats) -> NDArray[np.bool_]:
    """Whether a grid point lies near the main sequence or the giant branch."""
    dwarf = (logg >= 4.0) & (logg <= 5.0)
    giant = (teff < 5300) & (np.abs(logg - (0.5 + (teff - 3600) / 600)) < 0.6)
    return dwarf | giant


def magnitudes(
    library: SpectralLibrary, teff: Floats, logg: Floats, mh: Floats
) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
    """Absolute magnitudes (N,) by band at one solar radius, and whether the library has them."""
    flam, inside = library.fluxes(teff, logg, mh)
    result = {}
    for name in MIST_BANDS:
        passband = band(name)
        mean = flam.astype(np.float64) @ passband.weights(library.wave) * DILUTION
        result[name] = -2.5 * np.log10(mean) + AB_CONSTANT - passband.zero_point
    return result, inside


def read_mist(path: Path, mh: float) -> tuple[Floats, Floats, dict[str, Floats]]:
    """Teff, log g (N,) and magnitudes (N,) by band of the MIST tables at A_V = 0."""
    import h5py

    result = {}
    with h5py.File(path) as tables:
        for name, (system, column) in MIST_BANDS.items():
            group = tables[system]
            which = int(np.argmin(np.abs(group["feh_values"][:] - mh)))
            rows = group["data"][which].astype(np.float64)
            rows = rows[rows[:, 3] == 0.0]
            position = [text.decode() for text in group["band_names"][:]].index(column)
            teff, logg = rows[:, 0], rows[:, 1]
            bolometric = SUN_MAGNITUDE - 10.0 * np.log10(teff / SUN_TEFF)
            result[name] = bolometric - rows[:, 5 + position]
    return teff, logg, result


def table(title: str, teff: Floats, difference: dict[str, Floats]) -> None:
    """Print median difference and median of |difference - median| by band and range of Teff."""
    print(f"\n{title}: median difference, and its median absolute deviation")
    print(" " * 24, *(f"{low:>7d}-{high:<7d}" for low, high in RANGES))
    for name, values in difference.items():
        cells = []
        for low, high in RANGES:
            part = values[(teff >= low) & (teff < high)]
            part = part[np.isfinite(part)]
            middle = np.median(part) if len(part) else np.nan
            spread = np.median(np.abs(part - middle)) if len(part) else np.nan
            cells.append(f"{middle:+8.3f} {spread:6.3f}")
        print(f"{name:24s}", *cells)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mist", type=Path, help="bc_tables.h5 of astroLACHESIS")
    parser.add_argument("--ck04", type=Path, help="ck04_atlas9.npz")
    arguments = parser.parse_args()
    library = load_library()
    for mh in (0.5, 0.0, -1.0, -2.0):
        if arguments.mist:
            teff, logg, theirs = read_mist(arguments.mist, mh)
            part = stars(teff, logg)
            ours, _ = magnitudes(library, teff[part], logg[part], np.full(part.sum(), mh))
            difference = {name: ours[name] - theirs[name][part] for name in ours}
            table(f"MIST, [M/H] = {mh:g}", teff[part], difference)
        if arguments.ck04:
            other = read_ck04(arguments.ck04)
            grid = np.meshgrid(other.teff_nodes, other.logg_nodes, indexing="ij")
            teff, logg = (axis.ravel() for axis in grid)
            part = stars(teff, logg)
            point = (teff[part], logg[part], np.full(part.sum(), mh))
            ours, theirs = magnitudes(library, *point)[0], magnitudes(other, *point)[0]
            difference = {name: ours[name] - theirs[name] for name in ours}
            table(f"Castelli & Kurucz 2004, [M/H] = {mh:g}", point[0], difference)


if __name__ == "__main__":
    main()
