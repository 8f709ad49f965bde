"""A grid of stars such as `brutus` takes, made of maury's isochrones, library and prior.

Its points are drawn from the prior itself (isochrones, scatter about them, companions), so that no
point is spent where no star is; each is as likely as the next. Light is linear in A_V and R_V, the
form that `brutus` needs: m = m0 + A_V (r0 + R_V r1), exact at A_V = 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maury.simulator import Simulator
from maury.sky.populations.brightness import apparent_magnitudes
from maury.sky.populations.systems import Systems

AT_ONCE = 50_000
DUSTLESS = 1.01e-4
STEEP, FLAT = 2.9, 3.4
"""R_V between which the slope in R_V is taken: a width of the prior either side of its mean."""

GAIA_G = "GAIA/GAIA3.G"


@dataclass(frozen=True)
class PriorGrid:
    """M models of systems at 10 pc in B bands.

    Parameters
    ----------
    coefficients : Tensor (M, B, 3) float32
        Magnitude without dust, r0 and r1.
    systems : Systems
        The M systems; distance and dust are those of some star of this kind.
    gaia : Tensor (M,)
        Absolute G of the primary, without dust.
    """

    coefficients: Tensor
    systems: Systems
    gaia: Tensor

    def __len__(self) -> int:
        return len(self.gaia)

    @property
    def megabytes(self) -> float:
        """Memory of the coefficients."""
        return self.coefficients.nbytes / 1e6


def build_grid(simulator: Simulator, count: int, *, seed: int) -> PriorGrid:
    """Draw a grid of ``count`` points, less those that the library does not cover."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        _part(simulator, min(AT_ONCE, count - first), generator)
        for first in range(0, count, AT_ONCE)
    ]
    return PriorGrid(
        torch.cat([part.coefficients for part in parts]),
        Systems.concatenate([part.systems for part in parts]),
        torch.cat([part.gaia for part in parts]),
    )


@torch.no_grad()
def _part(simulator: Simulator, count: int, generator: torch.Generator) -> PriorGrid:
    systems = simulator.prior.sample(count, generator)
    bare = _light(simulator, systems, DUSTLESS, STEEP)
    steep, flat = (_light(simulator, systems, 1.0, r_v) - bare for r_v in (STEEP, FLAT))
    slope = (flat - steep) / (FLAT - STEEP)
    coefficients = torch.stack([bare, steep - STEEP * slope, slope], -1)
    alone = replace(systems, companion_teff=torch.full_like(systems.teff, torch.nan))
    gaia = _light(simulator, alone, DUSTLESS, STEEP)[:, simulator.config.bands.index(GAIA_G)]
    known = torch.isfinite(coefficients).flatten(1).all(1)
    return PriorGrid(coefficients[known], systems[known], gaia[known])


def _light(simulator: Simulator, systems: Systems, a_v: float, r_v: float) -> Tensor:
    """Magnitudes (M, B) at 10 pc behind so much dust."""
    same = {"distance": 10.0, "a_v": a_v, "r_v": r_v}
    seen = {name: torch.full_like(systems.teff, value) for name, value in same.items()}
    return apparent_magnitudes(simulator.table, replace(systems, **seen))
