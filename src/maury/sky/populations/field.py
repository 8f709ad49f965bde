"""The field prior: stars as surveys see them, flattened so that every kind is learned.

The density over (log10 Teff, log g, [M/H]) is a packaged table of weights on a regular grid of
nodes, interpolated linearly along each axis, so it is continuous and both its samples and its
values are exact. `scripts/build_field.py` makes the table from MIST isochrones; the folder
`data` tells its recipe, its sources and the mix of stars that results.
"""

from __future__ import annotations

import math
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.populations.base import STAR
from maury.sky.populations.densities import Choice
from maury.sky.populations.dust import FIELD_DUST, DustPrior

__all__ = ["FieldPrior"]

_LN10 = math.log(10.0)


class FieldPrior:
    """Density over (teff, logg, mh, a_v, r_v) of a flattened, magnitude-limited Galactic field.

    Parameters
    ----------
    table : path, optional
        An ``.npz`` file with ``start`` (3,) and ``step`` (3,), the first node and the spacing of
        the axes (log10 teff, logg, mh), and ``log_weight`` (T, G, M), the natural logarithm of
        each node's weight, -inf where no star is. The packaged table by default.
    dust : DustPrior
        Density of A_V and R_V, independent of the star.

    Raises
    ------
    MauryError
        If the table lacks an array, has a wrong shape, or carries no weight.
    """

    parameters: tuple[str, ...] = STAR

    def __init__(self, table: Path | None = None, *, dust: DustPrior = FIELD_DUST) -> None:
        start, step, log_weight = _read(table)
        self._start = torch.from_numpy(start)
        self._step = torch.from_numpy(step)
        weight = torch.exp(torch.from_numpy(log_weight))
        self._share = weight / weight.sum()
        occupied = torch.nonzero(self._share > 0)
        self._choice = Choice(self._share[tuple(occupied.unbind(1))])
        self._nodes = (self._start + self._step * occupied).float()
        self._dust = dust

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` stars, float32 (n, 5) in physical units, on the generator's device."""
        device = generator.device
        chosen = self._choice.sample(n, generator)
        # The sum of two uniforms has the triangular density of linear interpolation.
        jitter = torch.rand(2, n, 3, generator=generator, device=device).sum(0) - 1.0
        star = self._nodes.to(device).index_select(0, chosen)
        star.addcmul_(jitter, self._step.to(device, torch.float32))
        theta = torch.empty(n, len(self.parameters), device=device)
        theta[:, 0] = torch.exp(_LN10 * star[:, 0])
        theta[:, 1:3] = star[:, 1:]
        theta[:, 3], theta[:, 4] = self._dust.sample(n, generator)
        return theta

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log density (N,) per K, dex, dex, mag and unit R_V at theta (N, 5); -inf outside."""
        teff, logg, mh, a_v, r_v = theta.double().unbind(-1)
        inside = teff > 0
        log_teff = torch.log(teff.masked_fill(~inside, 1.0))
        axes = torch.stack([log_teff / _LN10, logg, mh], -1)
        share = self._interpolate(axes).masked_fill(~inside, 0.0)
        volume = float(torch.prod(self._step)) * _LN10
        star = torch.log(share) - math.log(volume) - log_teff
        return star + self._dust.log_prob(a_v, r_v)

    def _interpolate(self, axes: Tensor) -> Tensor:
        """Share of a node at positions (N, 3), linear along each axis, 0 beyond the nodes."""
        shape = torch.tensor(self._share.shape, device=axes.device)
        position = (axes - self._start.to(axes.device)) / self._step.to(axes.device)
        position = torch.where(torch.isfinite(position), position, -2.0)
        low = torch.floor(position)
        share = self._share.to(axes.device)
        total = torch.zeros_like(position[..., 0])
        for corner in range(8):
            side = torch.tensor([corner >> 2 & 1, corner >> 1 & 1, corner & 1], device=axes.device)
            index = low + side
            hat = torch.prod(1.0 - torch.abs(position - index), -1)
            known = ((index >= 0) & (index < shape)).all(-1)
            node = index.long().clamp(min=0).minimum(shape - 1)
            total += share[node.unbind(-1)] * (hat * known)
        return total


def _read(table: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if table is None:
        packaged = files("maury.sky.populations") / "data" / "field_mist.npz"
        with as_file(packaged) as path:
            return _read(path)
    with np.load(table, allow_pickle=False) as archive:
        missing = {"start", "step", "log_weight"} - set(archive.files)
        if missing:
            raise MauryError(
                f"{table}: the field table lacks {', '.join(sorted(missing))}; "
                "build it anew with scripts/build_field.py"
            )
        start, step, log_weight = (
            archive[name].astype(np.float64) for name in ("start", "step", "log_weight")
        )
    if start.shape != (3,) or step.shape != (3,) or log_weight.ndim != 3:
        raise MauryError(
            f"{table}: start, step and log_weight have shapes {start.shape}, {step.shape} and "
            f"{log_weight.shape}; they should be (3,), (3,) and (T, G, M)"
        )
    if not np.isfinite(log_weight).any() or np.isnan(log_weight).any():
        raise MauryError(f"{table}: log_weight carries no weight or is not a number somewhere")
    return start, step, log_weight
