"""Are stars of young clusters told from field stars, and is the probability honest?

    python benchmarks/young_or_field.py maury-base ../shared/observed

Members of the clusters of 26 to 36 Myr against stars of the field, both with the same channels
(parallax, Gaia, 2MASS, WISE), so that what was measured gives nobody away. By colour, too: blue
stars reach the main sequence early and cannot be told; red ones can.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from maury import Posterior
from maury.evaluation.reliability import roc_area
from maury.evaluation.report import markdown
from maury.measurements import Measurements

BANDS = [
    *(f"gaia_{band}" for band in ("g", "bp", "rp")),
    *(f"tmass_{band}" for band in "jhk"),
    *("wise_w1", "wise_w2"),
]
MEMBER = 0.5
COLOURS = (-1.0, 0.8, 1.5, 2.2, 4.0)
"""Edges in BP-RP, mag."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a shipped name or a folder")
    parser.add_argument("observed", type=Path, help="folder of the catalogues")
    args = parser.parse_args()
    posterior = Posterior.load(args.model)
    young = pd.read_parquet(args.observed / "young_clusters.parquet")
    members = young[["hdbscan_prob", "ges_prob", "cg_prob"]].max(axis=1) > MEMBER
    field = pd.read_parquet(args.observed / "field_stars.parquet")
    stars = pd.concat([_whole(young[members]), _whole(field)], keys=["young", "field"])
    truth = stars.index.get_level_values(0) == "young"
    chance = 1 - posterior.populations(Measurements.from_table(stars))["field"].numpy()
    colour = (stars["gaia_bp"] - stars["gaia_rp"]).to_numpy()
    rows = [["BP-RP", "young", "field", "median p_young", "of the field", "ROC area"]]
    rows.append(_row("all", chance, truth))
    for low, high in pairwise(COLOURS):
        here = (colour >= low) & (colour < high)
        rows.append(_row(f"{low} to {high}", chance[here], truth[here]))
    print(markdown(rows))


def _whole(table: pd.DataFrame) -> pd.DataFrame:
    """Stars with every channel, and those columns alone."""
    columns = [name for band in BANDS for name in (band, f"{band}_err")]
    columns += ["parallax", "parallax_err", "gaia_release"]
    errors = table[[f"{band}_err" for band in BANDS]]
    complete = table[columns].notna().all(axis=1) & ((errors > 0) & (errors <= 0.5)).all(axis=1)
    return table.loc[complete, columns]


def _row(name: str, chance: np.ndarray, truth: np.ndarray) -> list[str]:
    middles = [f"{np.median(chance[side]):.3f}" if side.any() else "-" for side in (truth, ~truth)]
    return [name, str(truth.sum()), str((~truth).sum()), *middles, f"{roc_area(chance, truth):.3f}"]


if __name__ == "__main__":
    main()
