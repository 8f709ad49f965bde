"""The box prior: IrisML's, as its authors coded it, kept strictly inside the spectral library.

log g is uniform, log Teff uniform between the library's edges at that log g, [M/H] a mixture of
two normals cut where the library ends at that temperature and gravity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maury.errors import MauryError
from maury.sky.libraries import SpectralLibrary
from maury.sky.populations.base import STAR
from maury.sky.populations.densities import TruncatedNormals, uniform
from maury.sky.populations.dust import PAPER_DUST

__all__ = ["BoxPrior", "Support"]

_LOGG = (0.1, 5.5)
_MH = TruncatedNormals([0.25, 0.75], [-1.49, -0.1], [0.4, 0.2])
_ANCHOR_MH = -0.1


@dataclass(frozen=True)
class Support:
    """Where a library has models, as edges that are constant in each cell of its grid.

    Parameters
    ----------
    teff_nodes : (T,) Tensor
        K, ascending.
    logg_edges : (G + 1,) Tensor
        dex, ascending; G cells.
    teff_lower, teff_upper : (G,) Tensor
        K; the widest unbroken run of temperature at [M/H] = -0.1 in each cell of log g.
    mh_lower, mh_upper : (T - 1, G) Tensor
        dex; the unbroken run around [M/H] = -0.1 in each cell of (teff, logg).
    """

    teff_nodes: Tensor
    logg_edges: Tensor
    teff_lower: Tensor
    teff_upper: Tensor
    mh_lower: Tensor
    mh_upper: Tensor

    @classmethod
    def from_library(
        cls, library: SpectralLibrary, *, logg: tuple[float, float] = _LOGG
    ) -> Support:
        """Read the edges off ``library.exists``, between two bounds of log g.

        A cell counts when all of its eight corners exist, which is where the library answers.

        Raises
        ------
        MauryError
            If no cell around [M/H] = -0.1 is whole at some log g between the bounds.
        """
        cells = _whole_cells(np.asarray(library.exists, dtype=bool))
        mh_nodes = np.asarray(library.mh_nodes, dtype=np.float64)
        anchor = int(np.searchsorted(mh_nodes, _ANCHOR_MH)) - 1
        bottom, top = _run_around(cells, anchor)
        teff_nodes = np.asarray(library.teff_nodes, dtype=np.float64)
        logg_nodes = np.asarray(library.logg_nodes, dtype=np.float64)
        used = [
            g
            for g in range(len(logg_nodes) - 1)
            if logg_nodes[g] < logg[1] and logg_nodes[g + 1] > logg[0]
        ]
        runs = [_widest_run(cells[:, g, anchor], np.log(teff_nodes)) for g in used]
        if not used or any(stop <= start for start, stop in runs):
            raise MauryError(
                f"the library has no whole cell at [M/H] = {_ANCHOR_MH} for some log g in {logg}; "
                "the box prior needs a library that covers them"
            )
        edges = np.clip([*logg_nodes[used], logg_nodes[used[-1] + 1]], *logg)
        return cls(
            teff_nodes=torch.from_numpy(teff_nodes),
            logg_edges=torch.from_numpy(edges),
            teff_lower=torch.from_numpy(teff_nodes[[start for start, _ in runs]]),
            teff_upper=torch.from_numpy(teff_nodes[[stop for _, stop in runs]]),
            mh_lower=torch.from_numpy(mh_nodes[bottom[:, used]]),
            mh_upper=torch.from_numpy(mh_nodes[top[:, used]]),
        )

    def logg_cell(self, logg: Tensor) -> Tensor:
        """Index (N,) of the cell of log g, float64 (N,), clamped to the cells there are."""
        return torch.bucketize(logg, self.logg_edges.to(logg.device)[1:-1], right=True)

    def teff_bounds(self, logg_cell: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper temperature, K, (N,) each, in cells of log g (N,)."""
        device = logg_cell.device
        return self.teff_lower.to(device)[logg_cell], self.teff_upper.to(device)[logg_cell]

    def mh_bounds(self, teff: Tensor, logg_cell: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper [M/H], (N,) each, at temperatures (N,) in cells of log g (N,)."""
        device = teff.device
        row = torch.bucketize(teff, self.teff_nodes.to(device)[1:-1], right=True)
        return self.mh_lower.to(device)[row, logg_cell], self.mh_upper.to(device)[row, logg_cell]


class BoxPrior:
    """IrisML's prior over (teff, logg, mh, a_v, r_v) on the cells of a library.

    log g U(0.1, 5.5); log Teff uniform between the library's edges; [M/H] 0.25 N(-1.49, 0.4) +
    0.75 N(-0.1, 0.2) truncated to the library; A_V 0.003 + Exp(1.5) up to 20; R_V N(3.13, 0.18)
    in [2.5, 4.5].

    Parameters
    ----------
    support : Support
        Where models exist: ``Support.from_library(load_library())``. Where the library ends
        within the bounds of log g, log g is uniform up to there.
    """

    parameters: tuple[str, ...] = STAR

    def __init__(self, support: Support) -> None:
        self._support = support
        self._logg = (float(support.logg_edges[0]), float(support.logg_edges[-1]))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw ``n`` stars, float32 (n, 5) in physical units, on the generator's device."""
        low, high = self._logg
        logg = _as_float32(low + (high - low) * uniform(n, generator)).clamp(low, high)
        cell = self._support.logg_cell(logg)
        coolest, hottest = self._support.teff_bounds(cell)
        span = torch.log(hottest / coolest)
        teff = _as_float32(coolest * torch.exp(span * uniform(n, generator)))
        teff = teff.clamp(coolest, hottest)
        mh = _MH.sample(*self._support.mh_bounds(teff, cell), n, generator)
        a_v, r_v = PAPER_DUST.sample(n, generator)
        return torch.column_stack([teff, logg, mh, a_v, r_v]).float()

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log density (N,) per K, dex, dex, mag and unit R_V at theta (N, 5); -inf outside."""
        teff, logg, mh, a_v, r_v = theta.double().T.contiguous()
        low, high = (float(np.float32(bound)) for bound in self._logg)
        cell = self._support.logg_cell(logg)
        coolest, hottest = self._support.teff_bounds(cell)
        inside = (logg >= low) & (logg <= high) & (teff >= coolest) & (teff <= hottest)
        teff = torch.where(inside, teff, coolest)
        log_teff = -torch.log(teff) - torch.log(torch.log(hottest / coolest))
        log_mh = _MH.log_prob(mh, *self._support.mh_bounds(teff, cell))
        star = (log_teff + log_mh - math.log(high - low)).masked_fill(~inside, -math.inf)
        return star + PAPER_DUST.log_prob(a_v, r_v)


def _as_float32(x: Tensor) -> Tensor:
    """Round to float32, so that cells are chosen for the star that is returned."""
    return x.float().double()


def _whole_cells(exists: np.ndarray) -> np.ndarray:
    """Cells (T - 1, G - 1, M - 1) of which all eight corners exist."""
    for axis in range(3):
        low = np.take(exists, range(exists.shape[axis] - 1), axis)
        exists = low & np.take(exists, range(1, exists.shape[axis]), axis)
    return exists


def _run_around(cells: np.ndarray, anchor: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last node (T - 1, G - 1) of the run of cells that contains the anchor's."""
    below = np.flip(np.cumprod(np.flip(cells[..., : anchor + 1], -1), -1), -1).sum(-1)
    above = np.cumprod(cells[..., anchor:], -1).sum(-1)
    return anchor + 1 - below, anchor + above


def _widest_run(cells: np.ndarray, nodes: np.ndarray) -> tuple[int, int]:
    """First and last node of the unbroken run of cells (C,) that spans most of ``nodes``."""
    padded = np.concatenate([[False], cells, [False]]).astype(int)
    starts, stops = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    if starts.size == 0:
        return 0, 0
    widest = int(np.argmax(nodes[stops] - nodes[starts]))
    return int(starts[widest]), int(stops[widest])
