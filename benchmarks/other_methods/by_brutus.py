"""brutus (Speagle et al. 2025, arXiv:2503.02227) on a grid of maury's stars, with maury's prior.

Its likelihood is normal in flux: it knows of no outliers, which the mock stars have. Distance and
dust are integrated out for every model. The prior of both given the model's Galactic component is
exact here, as for the other samplers; the mock stars have no place on the sky, so that brutus' own
Galaxy cannot be asked.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
from brutus.analysis import BruteForce
from brutus.core import StarGrid
from numpy.typing import NDArray
from torch import Tensor

from maury.simulator import Simulator
from maury.sky.populations.dust import FIELD_DUST
from maury.sky.populations.surveyed import SurveyedGalaxy
from maury.sky.populations.surveyed.population import AMBIENT_AGE, AMBIENT_DUST, DUST_SCATTER
from other_methods.answers import Answers, MockStars, stopwatch
from other_methods.dense import Dense
from other_methods.prior_grid import PriorGrid

A_V = (1e-4, 20.0)
DUST_NODES = 160

Floats = NDArray[np.float64]


def brute_force(
    simulator: Simulator, stars: MockStars, grid: PriorGrid, *, draws: int, seed: int
) -> Answers:
    """Answers of `brutus.analysis.BruteForce`, its options as it has them."""
    labels = np.array([(i,) for i in range(len(grid))], dtype=[("model", np.int64)])
    names = list(simulator.config.bands)
    models = StarGrid(_at_kiloparsec(grid), labels, filters=names, verbose=False)
    fitter = BruteForce(models, verbose=False)
    place = PlacePrior(simulator.prior, grid)
    seen = stars.observations
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "brutus.h5")
        _fit(fitter, place, seen[:1], file, draws=draws, seed=seed)  # compiles
        with stopwatch() as watch:
            _fit(fitter, place, seen, file, draws=draws, seed=seed)
        with h5py.File(file) as found:
            model, pc = found["model_idx"][:].T, 1000.0 * found["samps_dist"][:].T
            a_v = found["samps_red"][:].T
    rows = torch.as_tensor(model).long()
    known = [getattr(grid.systems, name)[rows].numpy() for name in ("teff", "logg", "mh")]
    values = np.stack([*known, a_v, pc], -1).astype(float)
    return Answers(
        f"brutus, {len(grid):,} models",
        watch.seconds / len(stars),
        values,
        f"grid of {grid.megabytes:,.0f} MB",
    )


def _at_kiloparsec(grid: PriorGrid) -> NDArray[np.float32]:
    """Coefficients with magnitudes at 1 kpc: brutus' scale is 1 / distance^2 in kpc."""
    coefficients = grid.coefficients.clone()
    coefficients[..., 0] += 10.0
    return coefficients.numpy()


def _fit(
    fitter: BruteForce, place: PlacePrior, seen: Dense, file: str, *, draws: int, seed: int
) -> None:
    value, width = (x[:, :-1].double() for x in (seen.value, seen.width))
    measured = torch.isfinite(value)
    flux = 10 ** (-0.4 * value.nan_to_num(0.0))
    error = flux * 0.4 * math.log(10.0) * width.nan_to_num(1.0)
    count = len(flux)
    fitter.fit(
        flux.numpy(),
        error.numpy(),
        measured.numpy(),
        np.arange(count)[:, None],
        file,
        parallax=seen.value[:, -1].double().numpy(),
        parallax_err=seen.width[:, -1].double().numpy(),
        avlim=A_V,
        rvlim=(FIELD_DUST.r_v_lower, FIELD_DUST.r_v_upper),
        rv_gauss=(FIELD_DUST.r_v_mean, FIELD_DUST.r_v_sigma),
        lnprior=np.zeros(len(place.component)),
        apply_agewt=False,
        apply_grad=False,
        lngalprior=place.distance,
        lndustprior=place.dust,
        dustfile=place,
        data_coords=np.zeros((count, 2)),
        merr_max=10.0,
        Ndraws=draws,
        rstate=np.random.RandomState(seed),
        running_io=False,
        verbose=False,
    )


class PlacePrior:
    """Prior of distance and A_V given the model, in the form of brutus' callbacks.

    brutus asks for the distance first and for the dust right after, of the same models; only the
    first time does it say which.
    """

    def __init__(self, prior: SurveyedGalaxy, grid: PriorGrid) -> None:
        places = prior.places
        self.component = grid.systems.component.long().numpy()
        self.young = (grid.systems.log_age < AMBIENT_AGE).numpy().astype(int)
        self._edges = places.edges.numpy()
        step = math.log(10.0) * np.diff(self._edges)
        number = places.cumulative.diff(dim=1).numpy()
        with np.errstate(divide="ignore"):
            self._density = np.log(number / step)
        magnitude = grid.gaia.double()
        met = places.met(magnitude)[grid.systems.component.long(), torch.arange(len(grid))]
        met = met * 10 ** (places.tilt * magnitude)
        self._met = torch.log(met.clamp_min(1e-300)).numpy()
        ends = [1 + 0.2 * (limit - magnitude) for limit in places.limits]
        self._near, self._far = (end.numpy() for end in ends)
        self._dust_step = (math.log(A_V[1]) - math.log(A_V[0])) / (DUST_NODES - 1)
        self._dust = np.stack([self._dust_table(prior, middle) for middle in (0.0, AMBIENT_DUST)])
        self._asked = np.zeros(0, dtype=np.int64)

    def distance(self, kpc: Floats, coord: Floats, labels: NDArray) -> Floats:
        """Log density per kpc, up to a constant, of models ``labels`` at these distances."""
        self._asked = labels["model"]
        log_pc = 3 + np.log10(kpc)
        density = self._density[self.component[self._asked], self._cell(kpc)] - np.log(kpc)
        seen = (log_pc >= self._near[self._asked]) & (log_pc <= self._far[self._asked])
        return np.where(seen, density - self._met[self._asked], -1e300)

    def dust(self, a_v: Floats, _map: PlacePrior, coord: Floats, *, distance: Floats) -> Floats:
        """Log density per mag of A_V at these distances (kpc) of the models asked for last."""
        young, component = self.young[self._asked], self.component[self._asked]
        place = (np.log(a_v) - math.log(A_V[0])) / self._dust_step
        node = np.clip(place.astype(int), 0, DUST_NODES - 2)
        cell = self._cell(distance)
        low, high = (self._dust[young, component, cell, node + i] for i in (0, 1))
        return low + (place - node) * (high - low) - np.log(a_v)

    def _cell(self, kpc: Floats) -> NDArray[np.int64]:
        step = self._edges[1] - self._edges[0]
        cell = ((3 + np.log10(kpc) - self._edges[0]) / step).astype(int)
        return np.clip(cell, 0, len(self._edges) - 2)

    def _dust_table(self, prior: SurveyedGalaxy, ambient: float) -> Floats:
        """Log density per unit of ln A_V of each component (C, K, A), in cells of distance."""
        nodes = math.log(A_V[0]) + self._dust_step * torch.arange(DUST_NODES)
        edges = prior.places.edges
        pc = 10 ** (0.5 * (edges[1:] + edges[:-1]))
        return np.stack(
            [
                _log_dust(*prior.places.direction_shares(component, pc), ambient, nodes).numpy()
                for component in range(len(prior.components))
            ]
        )


def _log_dust(shares: Tensor, smooth: Tensor, ambient: float, nodes: Tensor) -> Tensor:
    """Log densities (K, A) of mixtures over P directions of shares and smooth A_V (K, P)."""
    middle = torch.log(smooth + ambient) - 0.5 * DUST_SCATTER**2
    rows = []
    for share, centre in zip(shares, middle, strict=True):
        miss = (nodes[:, None] - centre) / DUST_SCATTER
        rows.append((share * torch.exp(-0.5 * miss**2)).sum(-1))
    norm = math.log(DUST_SCATTER * math.sqrt(2 * math.pi))
    return torch.log(torch.stack(rows).clamp_min(1e-300)) - norm
