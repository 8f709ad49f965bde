"""Measure by how much catalogues' colours differ from the models' at spectroscopic labels.

    python scripts/measure_colour_offsets.py ../shared/observed/field_stars.parquet

Prints what `src/maury/instruments/photometric_zero_point.py` holds. Every other star is left out
(`--half 1` takes those instead), so that accuracies may be told of stars that had no part in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from maury.column_names import GAIA_DR2
from maury.columns import recognise
from maury.sky.photometry import cached_table

COOLEST, HOTTEST, LEAST_LOGG, MOST_DUST = 5300.0, 6300.0, 3.9, 0.2
"""Dwarfs like the Sun behind little dust: where models, labels and reddening are best known."""

LARGEST_ERROR = 0.15
FEWEST = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog", type=Path, help="with columns ref_teff, ref_logg, ref_mh, ...")
    parser.add_argument("--half", type=int, choices=(0, 1), default=0)
    args = parser.parse_args()
    table = pd.read_parquet(args.catalog).iloc[args.half :: 2]
    labels = table[["ref_teff", "ref_logg", "ref_mh", "ref_av_approx"]]
    like_the_sun = labels["ref_teff"].between(COOLEST, HOTTEST) & (labels["ref_logg"] > LEAST_LOGG)
    table = table[like_the_sun & (labels["ref_av_approx"] < MOST_DUST) & labels.notna().all(axis=1)]
    if not table["gaia_release"].str.startswith("DR2").all():
        parser.error("stars of Gaia DR2 are expected")
    found = recognise(list(table)).pairs.items()
    pairs = {GAIA_DR2.get(name, name): pair for name, pair in found if "/" in name}
    theta = np.column_stack([table[c] for c in labels] + [np.full(len(table), 3.1)])
    theta[:, 3] = np.maximum(theta[:, 3], 2e-4)
    model, inside = cached_table("phoenix-kurucz", tuple(pairs))(torch.tensor(theta).float())
    values = np.column_stack([table[p.value].to_numpy(float) for p in pairs.values()])
    errors = np.column_stack([table[p.error].to_numpy(float) for p in pairs.values()])
    good = (errors > 0) & (errors < LARGEST_ERROR) & inside.numpy()[:, None]
    offset = np.where(good, values - model.numpy(), np.nan)
    reference = next(i for i, name in enumerate(pairs) if name.endswith(".G"))
    offset -= offset[:, [reference]]
    print("| band | stars | catalogue - model, relative to Gaia G | error |\n|---|---:|---:|---:|")
    for name, column in zip(pairs, offset.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known) >= FEWEST:
            low, middle, high = np.percentile(known, [16, 50, 84])
            error = (high - low) / 2 / len(known) ** 0.5
            print(f"| {name} | {len(known)} | {middle:+.3f} | {error:.3f} |")


if __name__ == "__main__":
    main()
