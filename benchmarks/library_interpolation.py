"""How well the default spectral library is normalised and interpolated.

    python benchmarks/library_interpolation.py

Prints, for every band and range of Teff, the error of magnitudes at nodes that are left out of
the grid: every other node of Teff, of log g, of [M/H], and of all three at once. The spacing is
then twice that of the library, so the true error is smaller: for a smooth spectrum by 2^4 where
the interpolation is cubic.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from maury.sky.bands import PAPER_BANDS, band, band_ids
from maury.sky.libraries.grid import GridLibrary
from maury.sky.libraries.phoenix_kurucz import load_phoenix_kurucz

RANGES = (
    (2300, 3000),
    (3000, 4000),
    (4000, 5000),
    (5000, 7000),
    (7000, 10000),
    (10000, 50001),
    (4000, 50001),
)
AXES = {"teff": (0,), "logg": (1,), "mh": (2,), "all": (0, 1, 2)}
SIGMA = 5.670374419e-5  # erg/s/cm2/K4

Floats = NDArray[np.float64]


def magnitudes(library: GridLibrary, flam: NDArray[np.float32], bands: Sequence[str]) -> Floats:
    """Surface magnitudes (N, B) of fluxes (N, W), up to a constant."""
    weights = np.stack([band(name).weights(library.wave) for name in bands], axis=1)
    return -2.5 * np.log10(flam.astype(np.float64) @ weights)


def left_out(
    library: GridLibrary, axes: tuple[int, ...], bands: Sequence[str]
) -> tuple[Floats, Floats]:
    """Leave out every other node along `axes`, predict the nodes left out.

    Returns
    -------
    teff (N,) of the nodes predicted and the errors (N, B) in magnitudes.
    """
    counts = library.exists.shape
    kept = [np.arange(0, n, 2 if a in axes else 1) for a, n in enumerate(counts)]
    coarse = library.select(teff=kept[0], logg=kept[1], mh=kept[2])
    tested = library.exists.copy()
    for axis in axes:
        odd = (np.arange(counts[axis]) % 2 == 1).reshape([-1 if a == axis else 1 for a in range(3)])
        tested &= odd
    i, j, k = np.nonzero(tested)
    teff = library.teff_nodes[i]
    flam, inside = coarse.fluxes(teff, library.logg_nodes[j], library.mh_nodes[k])
    nodes = zip(i[inside], j[inside], k[inside], strict=True)
    true = np.stack([library.node_flux(a, b, c) for a, b, c in nodes])
    error = magnitudes(library, flam[inside], bands) - magnitudes(library, true, bands)
    return teff[inside], error


def bolometric(library: GridLibrary) -> tuple[Floats, Floats]:
    """Teff (N,) of every node and its integrated flux over sigma T^4 (N,)."""
    index = np.argwhere(library.exists)
    teff = library.teff_nodes[index[:, 0]]
    total = [np.trapezoid(library.node_flux(*map(int, n)), library.wave) for n in index]
    return teff, np.array(total) / (SIGMA * teff**4)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all-bands", action="store_true", help="not only those of the paper")
    bands = band_ids() if parser.parse_args().all_bands else PAPER_BANDS
    library = load_phoenix_kurucz()
    teff, share = bolometric(library)
    print("integral over sigma T^4: 1st, 50th, 99th percentile, extremes")
    for low, high in RANGES:
        part = share[(teff >= low) & (teff < high)]
        values = np.percentile(part, [1, 50, 99, 0, 100])
        print(f"{low:6d}-{high:<6d}", *(f"{v:7.3f}" for v in values))
    for name, axes in AXES.items():
        teff, error = left_out(library, axes, bands)
        print(f"\nevery other node of {name} left out: rms error in mag at {len(teff)} nodes")
        print(" " * 24, *(f"{low:>6d}-{high:<6d}" for low, high in RANGES))
        for b, band_id in enumerate(bands):
            parts = [error[(teff >= low) & (teff < high), b] for low, high in RANGES]
            rms = [np.sqrt(np.mean(p**2)) if len(p) else np.nan for p in parts]
            print(f"{band_id:24s}", *(f"{value:13.4f}" for value in rms))


if __name__ == "__main__":
    main()
