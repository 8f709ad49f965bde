"""Draw the field prior: the Kiel diagram and the distribution of metallicity and dust.

python scripts/plot_field.py [docs/images/field_prior.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from maury.sky.populations import FieldPrior

PICTURE = Path(__file__).resolve().parents[1] / "docs/images/field_prior.png"
STARS = 1_000_000
LANDMARKS = {
    "Sun": (5772, 4.44),
    "Vega": (9600, 4.05),
    "Arcturus": (4286, 1.66),
    "Barnard's star": (3200, 5.05),
    "HD 140283": (5790, 3.65),
}


def kiel_diagram(axes: Axes, teff: np.ndarray, logg: np.ndarray) -> None:
    """Effective temperature against surface gravity, with some known stars."""
    bins = [np.linspace(np.log10(2300), np.log10(40000), 180), np.linspace(0, 6, 160)]
    counts, *edges = np.histogram2d(np.log10(teff), logg, bins)
    mesh = axes.pcolormesh(10 ** edges[0], edges[1], counts.T / STARS, norm=LogNorm())
    axes.figure.colorbar(mesh, ax=axes, label="share of stars per pixel")
    for name, (x, y) in LANDMARKS.items():
        axes.plot(x, y, "o", mfc="white", mec="black", ms=5)
        axes.annotate(name, (x, y), xytext=(6, -3), textcoords="offset points", color="0.1")
    ticks = [2500, 4000, 6000, 10000, 20000, 40000]
    axes.set(xscale="log", xlabel="Teff [K]", ylabel="log g [cgs]")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.invert_xaxis()
    axes.invert_yaxis()


def main() -> None:
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    stars = FieldPrior().sample(STARS, torch.Generator().manual_seed(0)).numpy()
    teff, logg, mh, a_v, _ = stars.T
    figure, (kiel, iron, dust) = plt.subplots(
        1, 3, figsize=(12.5, 4.2), width_ratios=[1.7, 1, 1], layout="constrained"
    )
    kiel_diagram(kiel, teff, logg)
    bins = np.linspace(-4, 1, 101)
    for chosen, label in ((logg >= 3.5, "dwarfs"), (logg < 3.5, "giants")):
        weights = np.full(np.count_nonzero(chosen), 1 / (STARS * (bins[1] - bins[0])))
        iron.hist(mh[chosen], bins, weights=weights, histtype="step", label=label)
    iron.set(xlabel="[M/H] [dex]", ylabel="density", yscale="log")
    iron.legend(frameon=False)
    steps = np.geomspace(1e-4, 20, 81)
    dust.hist(a_v, steps, weights=np.full(STARS, 1 / STARS), histtype="step")
    dust.set(xlabel="A_V [mag]", ylabel="share of stars per bin", xscale="log")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main()
