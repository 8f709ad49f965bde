"""The nodes of a magnitude table: where they lie, and what stands at them.

The fine grid refines the library's own: each interval between neighbouring nodes is cut into
equal parts, so that a cell of the table lies in one cell of the library and covers nothing that
the library does not. The magnitudes of the library's models, relative to a black body, are
interpolated onto it by the library's own local cubic. The coarse grid of extinctions thins the
library's nodes, and where a node has no model the nearest model's extinction stands in: which
stars are inside is for the fine grid to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maury.sky.bands import Band
from maury.sky.dust import dust_law
from maury.sky.libraries import SpectralLibrary
from maury.sky.libraries.grid import log_black_body
from maury.sky.libraries.interpolation import stencil
from maury.sky.synthesis import BandIntegrator
from maury.sun import SUN_TEFF

__all__ = ["AXES", "DUST_AXES", "FINE_AXES", "Spacing", "table_nodes"]

FINE_AXES = ("log_teff", "logg", "mh")
DUST_AXES = ("dust_log_teff", "dust_logg", "dust_mh", "a_v", "inverse_r_v")
AXES = FINE_AXES + DUST_AXES

Array = NDArray[np.float64]
_CHUNK = 4096


@dataclass(frozen=True)
class Spacing:
    """Largest distances between nodes; `benchmarks/magnitude_table.py` measures what they give.

    Parameters
    ----------
    log_teff, logg, mh : float
        Of the fine grid, in ln K and dex.
    dust_log_teff, dust_logg, dust_mh : float
        Of the coarse grid, in ln K and dex; where the library's own nodes are wider, those.
    a_v : tuple of float
        Nodes in A_V, mag, from 0.
    inverse_r_v : int
        How many nodes, equally spaced in 1 / R_V over the range of the law.
    """

    log_teff: float = 0.012
    logg: float = 0.25
    mh: float = 1 / 6
    dust_log_teff: float = 0.09
    dust_logg: float = 1.0
    dust_mh: float = 0.5
    a_v: tuple[float, ...] = (0.0, 1.0, 2.0, 3.5, 5.0, 6.5, 8.0, 10.0, 13.0, 20.0)
    inverse_r_v: int = 6


def table_nodes(
    library: SpectralLibrary,
    bands: Sequence[Band],
    law: str,
    spacing: Spacing = Spacing(),
) -> tuple[dict[str, Array], NDArray[np.float32]]:
    """Nodes and values of a magnitude table.

    Returns
    -------
    axes : dict of ndarray
        Increasing nodes of each of `AXES`.
    table : ndarray of float32, shape (fine nodes + coarse nodes, B + 1)
        See `maury.sky.magnitude_table`.

    Raises
    ------
    MauryError
        Where the law does not cover the wavelengths of a band.
    """
    native = (np.log(library.teff_nodes), library.logg_nodes, library.mh_nodes)
    fine_steps = (spacing.log_teff, spacing.logg, spacing.mh)
    dust_steps = (spacing.dust_log_teff, spacing.dust_logg, spacing.dust_mh)
    r_v_range = dust_law(law).r_v_range
    fine = [_refine(nodes, step) for nodes, step in zip(native, fine_steps, strict=True)]
    kept = [_thin(nodes, step) for nodes, step in zip(native, dust_steps, strict=True)]
    inverse_r_v = np.linspace(1 / r_v_range[1], 1 / r_v_range[0], spacing.inverse_r_v)
    coarse = [nodes[keep] for nodes, keep in zip(native, kept, strict=True)]
    coarse += [np.asarray(spacing.a_v), inverse_r_v]

    integrator = BandIntegrator(bands, library.wave)
    relative = _library_magnitudes(library, integrator)
    black = _black_body_magnitudes(integrator, fine[0])
    fine_table = _fine_table(library, native, fine, relative, black)
    coarse_table = _coarse_table(library, kept, coarse, integrator, law)
    axes = dict(zip(AXES, fine + coarse, strict=True))
    return axes, np.concatenate([fine_table, coarse_table]).astype(np.float32)


def _refine(nodes: Array, step: float) -> Array:
    """Cut each interval into the fewest equal parts that are no longer than the step."""
    parts = np.ceil(np.diff(nodes) / step - 1e-9).astype(int)
    pieces = [
        np.linspace(low, high, n, endpoint=False)
        for low, high, n in zip(nodes[:-1], nodes[1:], parts, strict=True)
    ]
    return np.concatenate([*pieces, nodes[-1:]])


def _thin(nodes: Array, step: float) -> NDArray[np.int64]:
    """Indices of the fewest nodes, both ends among them, no further apart than the step if any."""
    kept = [0]
    while kept[-1] < len(nodes) - 1:
        reach = int(np.searchsorted(nodes, nodes[kept[-1]] + step + 1e-9, side="right")) - 1
        kept.append(max(reach, kept[-1] + 1))
    return np.array(kept)


def _black_body_magnitudes(integrator: BandIntegrator, log_teff: Array) -> Array:
    """Magnitudes (N, B) of black bodies of one solar radius at 10 pc."""
    return integrator.magnitudes(10 ** log_black_body(integrator.wave, np.exp(log_teff)[:, None]))


def _library_magnitudes(library: SpectralLibrary, integrator: BandIntegrator) -> Array:
    """Unreddened magnitudes (T, G, M, B) of all models, relative to black bodies."""
    i, j, k = np.nonzero(library.exists)
    teff, logg, mh = library.teff_nodes[i], library.logg_nodes[j], library.mh_nodes[k]
    mags = np.zeros((*library.exists.shape, len(integrator.weights)))
    for start in range(0, len(i), _CHUNK):
        rows = slice(start, start + _CHUNK)
        flam, _ = library.fluxes(teff[rows], logg[rows], mh[rows])
        seen = flam[:, integrator.used].astype(float)
        mags[i[rows], j[rows], k[rows]] = integrator.magnitudes(seen)
    black = _black_body_magnitudes(integrator, np.log(library.teff_nodes))
    return np.asarray(mags - black[:, None, None])


def _fine_table(
    library: SpectralLibrary,
    native: tuple[Array, Array, Array],
    fine: Sequence[Array],
    relative: Array,
    black: Array,
) -> Array:
    """F and a mark of what is missing (n, B + 1), from magnitudes relative to black bodies."""
    models = relative.reshape(-1, relative.shape[-1])
    points = [axis.ravel() for axis in np.meshgrid(*fine, indexing="ij")]
    table = np.zeros((len(points[0]), models.shape[1] + 1))
    # What the black body adds to each magnitude at fixed bolometric brightness.
    added = black + 10 * np.log10(np.exp(fine[0]) / SUN_TEFF)[:, None]
    added = np.repeat(added, len(points[0]) // len(fine[0]), axis=0)
    for start in range(0, len(table), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = (points[0][rows], points[1][rows], points[2][rows])
        index, weight, inside = stencil(native, library.exists, part)
        table[rows, :-1] = np.einsum("np,npb->nb", weight, models[index]) + added[rows]
        table[rows][~inside, :-1] = 0.0
        table[rows, -1] = ~inside
    return table


def _coarse_table(
    library: SpectralLibrary,
    kept: Sequence[NDArray[np.int64]],
    coarse: Sequence[Array],
    integrator: BandIntegrator,
    law: str,
) -> Array:
    """k (n, B + 1): extinction of each band per A_V; the last column is 0."""
    a_v, inverse_r_v = coarse[3:]
    thinned = np.ix_(*kept)
    nodes = np.stack([axis.ravel() for axis in np.meshgrid(*coarse[:3], indexing="ij")], axis=1)
    exists = library.exists[thinned].ravel()
    teff, logg, mh = nodes[exists].T
    flam = library.fluxes(np.exp(teff), logg, mh)[0][:, integrator.used].astype(float)
    ratios = _extinction_ratios(
        flam, integrator, dust_law(law)(integrator.wave, 1 / inverse_r_v), a_v
    )
    # Distances in steps over which extinction changes comparably.
    scaled = nodes / np.array([0.1, 2.0, 1.0])
    nearest = cKDTree(scaled[exists]).query(scaled)[1]
    table = ratios[nearest].reshape(-1, ratios.shape[-1])
    return np.hstack([table, np.zeros((len(table), 1))])


def _extinction_ratios(flam: Array, integrator: BandIntegrator, curves: Array, a_v: Array) -> Array:
    """Extinction over A_V, (N, A, R, B), of spectra (N, W') under curves (R, W').

    At A_V = 0 it is the limit: the mean of the curve, weighted by band and spectrum.
    """
    plain = flam @ integrator.weights.T
    ratios = np.empty((len(flam), len(a_v), len(curves), len(integrator.weights)))
    for r, curve in enumerate(curves):
        for a, amount in enumerate(a_v):
            if amount == 0:
                ratios[:, a, r] = flam @ (integrator.weights * curve).T / plain
            else:
                dimmed = flam @ (integrator.weights * 10 ** (-0.4 * amount * curve)).T
                ratios[:, a, r] = -2.5 / amount * np.log10(dimmed / plain)
    return ratios
