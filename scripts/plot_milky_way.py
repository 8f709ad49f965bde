"""Draw the Milky Way: its density from above and from the side, and two observed-like diagrams.

python scripts/plot_milky_way.py [docs/images/milky_way.png]
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

from maury.sky.photometry import cached_table
from maury.sky.populations.brightness import apparent_magnitudes
from maury.sky.populations.milky_way import Footprint, MilkyWay

PICTURE = Path(__file__).resolve().parents[1] / "docs/images/milky_way.png"
BANDS = ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp")
VIEWS = {
    "Galactic pole, 10°, 20,000 systems": Footprint(0.0, 90.0, 10.0),
    "Baade's window, 0.2°, 20,000 systems": Footprint(1.0, -3.9, 0.2),
}
FAINTEST, STARS = 18.0, 20_000
EXTENT = 16.0
"""Half the width of the maps, kpc."""


def density_map(axes: Axes, model: MilkyWay, side: bool) -> None:
    """Systems per pc3 in the plane, or in the plane of the Sun, the centre and the poles."""
    wide = torch.linspace(-EXTENT, EXTENT, 641, dtype=torch.float64)
    high = torch.linspace(-5.0, 5.0, 201, dtype=torch.float64) if side else wide
    across, up = torch.meshgrid(wide, high, indexing="xy")
    flat = torch.zeros_like(across)
    place = 1000 * torch.stack([across, flat, up] if side else [across, up, flat], -1)
    density = model.density(place).sum(-1).numpy()
    colours = axes.pcolormesh(wide, high, density, norm=LogNorm(1e-6, 10), cmap="magma")
    axes.plot(-model.galaxy.sun.radius / 1000, 0, "o", mfc="none", mec="white", ms=5)
    style = {"xytext": (4, 4), "textcoords": "offset points", "color": "white"}
    axes.annotate("Sun", (-model.galaxy.sun.radius / 1000, 0), **style)
    axes.set(xlabel="x [kpc]", ylabel="z [kpc]" if side else "y [kpc]", aspect="equal")
    axes.set_title("from the side" if side else "from above", fontsize=10)
    axes.figure.colorbar(colours, ax=axes, label="systems born [pc$^{-3}$]", shrink=0.8)


def diagram(axes: Axes, model: MilkyWay, name: str, footprint: Footprint) -> None:
    """Colour and magnitude as Gaia would measure them, coloured by component."""
    generator = torch.Generator().manual_seed(0)
    table = cached_table("phoenix-kurucz", BANDS)
    view = model.view(footprint, band=BANDS[0], faintest=FAINTEST, table=table)
    systems = view.sample(STARS, generator)
    magnitude = apparent_magnitudes(table, systems).numpy()
    # A floor and photon noise, 1% at magnitude 16, about what BP and RP have.
    noise = np.hypot(0.004, 0.01 * 10 ** (0.2 * (magnitude - 16)))
    magnitude = magnitude + noise * torch.randn(magnitude.shape, generator=generator).numpy()
    groups = {"thin disc": 0, "thick disc": 0, "halo": 0, "bulge": 0}
    kind = np.array([next(g for g in groups if c.startswith(g)) for c in systems.components])
    of = kind[systems.component.numpy()]
    for group in groups:
        here = of == group
        colour = magnitude[here, 1] - magnitude[here, 2]
        share = f"{group} {here.mean():.0%}"
        axes.plot(colour, magnitude[here, 0], ".", ms=1.2, alpha=0.5, label=share)
    axes.set(xlabel="BP - RP", ylabel="G", xlim=(-0.3, 4.2), ylim=(FAINTEST + 0.1, 9))
    axes.set_title(name, fontsize=10)
    axes.legend(markerscale=8, fontsize=8, loc="upper right")


def main() -> None:
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    model = MilkyWay()
    figure, axes = plt.subplots(
        2, 2, figsize=(11.5, 8.6), height_ratios=[1, 1.05], layout="constrained"
    )
    density_map(axes[0, 0], model, side=False)
    density_map(axes[0, 1], model, side=True)
    for panel, (name, footprint) in zip(axes[1], VIEWS.items(), strict=True):
        diagram(panel, model, name, footprint)
    figure.savefig(picture, dpi=130)
    print(picture)


if __name__ == "__main__":
    main()
