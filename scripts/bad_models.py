"""Find single models that stand apart from a smooth grid, and fill single gaps.

A model that did not converge differs from what its neighbours predict along every axis of the
grid, by the same amount; true curvature (a molecular band setting in with Teff) shows along one
axis only. So the discrepancy of a model is the largest on which two axes agree in sign.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from maury.sky.libraries.grid import log_black_body

__all__ = ["fill", "repair"]

Floats = NDArray[np.float64]

# Windows (Angstrom) about u, and g r i z J H Ks, in which models are compared.
WINDOWS = ((3300, 3900), (3900, 5500), (5500, 7000), (7000, 8300), (8300, 9900))
WINDOWS += ((11000, 14000), (15000, 18000), (20000, 23500))
COOLEST = 3500.0  # K: below, molecules make colours curve along every axis
# Magnitudes that condemn a model in u and in the other windows, below and above 4000 K.
LIMITS = ((0.25, 0.10), (0.25, 0.05))
# Neighbours that predict a node, in order of preference.
STENCILS = ((-2, -1, 1, 2), (-1, 1, 2), (-2, -1, 1), (-1, 1))


def repair(cube: Floats, axes: tuple[Floats, Floats, Floats], wave: Floats) -> list[str]:
    """Replace outlying spectra of (T, G, M, W) by their neighbours in Teff, the worst first.

    Each is replaced at most once, so a true step in the grid is not smoothed away; the cube is
    changed in place. `axes` are log Teff, log g, [M/H]. Returns what was replaced, and by how
    much of its limit it stood apart.
    """
    teff = np.exp(axes[0])
    magnitudes = _window_magnitudes(cube, teff, wave)
    limit = np.array([[u, *[rest] * (len(WINDOWS) - 1)] for u, rest in LIMITS])
    limits = limit[(teff >= 3999.0).astype(int)][:, None, None, :]
    closed = np.zeros(cube.shape[:3], dtype=bool)
    closed[teff < COOLEST - 1.0] = True
    closed[[0, -1]] = True
    closed[1:-1] |= ~(np.isfinite(cube[:-2, ..., 0]) & np.isfinite(cube[2:, ..., 0]))
    changes = []
    while True:
        apart = (_discrepancy(magnitudes, axes) / limits).max(axis=-1)
        apart[closed] = 0.0
        i, j, k = (int(n) for n in np.unravel_index(np.argmax(apart), apart.shape))
        if apart[i, j, k] <= 1.0:
            return changes
        p = (axes[0][i] - axes[0][i - 1]) / (axes[0][i + 1] - axes[0][i - 1])
        cube[i, j, k] = (1 - p) * cube[i - 1, j, k] + p * cube[i + 1, j, k]
        magnitudes[i, j, k] = _window_magnitudes(cube[i : i + 1, j, k], teff[i : i + 1], wave)[0]
        closed[i, j, k] = True
        changes.append(f"{teff[i]:.0f}/{axes[1][j]:g}/{axes[2][k]:g} x{apart[i, j, k]:.1f}")


def fill(cube: Floats, axes: tuple[Floats, Floats, Floats]) -> list[str]:
    """Fill missing spectra that lie between two neighbours in Teff or else in log g, in place."""
    present = np.isfinite(cube[..., 0])
    filled = []
    for node in np.argwhere(~present):
        for axis in (0, 1):
            x, n = axes[axis], int(node[axis])
            step = np.eye(3, dtype=int)[axis]
            if not 0 < n < len(x) - 1:
                continue
            below, above = tuple(node - step), tuple(node + step)
            if present[below] and present[above]:
                p = (x[n] - x[n - 1]) / (x[n + 1] - x[n - 1])
                cube[tuple(node)] = (1 - p) * cube[below] + p * cube[above]
                i, j, k = node
                filled.append(f"{np.exp(axes[0][i]):.0f}/{axes[1][j]:g}/{axes[2][k]:g}")
                break
    return filled


def _window_magnitudes(cube: Floats, teff: Floats, wave: Floats) -> Floats:
    """Magnitudes in WINDOWS of log ratios (T, ..., W) at unit T^4, (T, ..., 8)."""
    magnitudes = np.empty((*cube.shape[:-1], len(WINDOWS)))
    for i, t in enumerate(teff):
        flux = 10.0 ** (cube[i] + log_black_body(wave, t)) / t**4
        for b, (low, high) in enumerate(WINDOWS):
            part = (wave > low) & (wave < high)
            magnitudes[i, ..., b] = -2.5 * np.log10(np.trapezoid(flux[..., part], wave[part]))
    return magnitudes


def _discrepancy(magnitudes: Floats, axes: tuple[Floats, Floats, Floats]) -> Floats:
    """Largest |model - prediction| of (T, G, M, windows) on which two axes agree in sign."""
    errors = [_left_out(magnitudes, axis, x) for axis, x in enumerate(axes)]
    largest = np.zeros_like(magnitudes)
    for one, other in combinations(errors, 2):
        agreed = np.where(one * other > 0, np.minimum(np.abs(one), np.abs(other)), 0.0)
        largest = np.maximum(largest, agreed)
    return largest


def _left_out(magnitudes: Floats, axis: int, x: Floats) -> Floats:
    """Each value minus the polynomial through its neighbours on one axis; NaN without them."""
    values = np.moveaxis(magnitudes, axis, 0)
    error = np.full_like(values, np.nan)
    for n in range(1, len(x) - 1):
        for offsets in STENCILS:
            near = [n + o for o in offsets]
            if near[0] < 0 or near[-1] >= len(x):
                continue
            weights = [
                np.prod([(x[n] - x[q]) / (x[p] - x[q]) for q in near if q != p]) for p in near
            ]
            predicted = sum(w * values[p] for w, p in zip(weights, near, strict=True))
            error[n] = np.where(np.isnan(error[n]), values[n] - predicted, error[n])
    return np.moveaxis(error, 0, axis)
