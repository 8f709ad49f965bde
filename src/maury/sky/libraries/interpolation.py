"""Local cubic interpolation on a tensor-product grid with missing nodes.

Along one axis the value between nodes 1 and 2 of the four nodes 0..3 around it is the Lagrange
polynomial through those of the four that exist (four: cubic, three: quadratic, two: linear).
Three axes are done one after the other, so a stencil of 64 nodes gets one weight each; a cell
is usable where the corners that bound the point exist, and nothing is ever extrapolated.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["stencil"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def stencil(
    axes: tuple[Floats, Floats, Floats], exists: Bools, points: tuple[Floats, Floats, Floats]
) -> tuple[Ints, Floats, Bools]:
    """Find the nodes and weights that interpolate each point.

    Parameters
    ----------
    axes
        Three increasing arrays of node coordinates, of lengths T, G and M.
    exists
        (T, G, M), which nodes hold a value.
    points
        Three arrays (N,) in the coordinates of the axes; values that are not finite are outside.

    Returns
    -------
    index
        (N, 64) flat indices into a (T, G, M) array; nodes of zero weight may repeat others.
    weight
        (N, 64), summing to 1 where inside, else zero.
    inside
        (N,), whether all nodes that bound the point exist.
    """
    located = [_locate(axis, point) for axis, point in zip(axes, points, strict=True)]
    (i, xi), (j, xj), (k, xk) = [(nodes, weights) for nodes, weights, _ in located]
    inside = np.logical_and.reduce([within for _, _, within in located])
    shape = exists.shape
    flat = (i[:, :, None, None] * shape[1] + j[:, None, :, None]) * shape[2] + k[:, None, None, :]
    alive = exists.ravel()[flat] & _real(i)[:, :, None, None]
    alive &= _real(j)[:, None, :, None] & _real(k)[:, None, None, :]
    # One axis after the other; a line of nodes exists where the point on it can be interpolated.
    along_i, lines = _combine(np.moveaxis(alive, 1, -1), xi)  # (N, 4 j, 4 k, 4 i), (N, 4 j, 4 k)
    along_j, planes = _combine(np.moveaxis(lines, 1, -1), xj)  # (N, 4 k, 4 j), (N, 4 k)
    along_k, found = _combine(planes, xk)  # (N, 4 k), (N,)
    weight = np.einsum("nk,nkj,njki->nijk", along_k, along_j, along_i)
    inside = inside & found
    n = len(inside)
    weight = np.where(inside[:, None], weight.reshape(n, 64), 0.0)
    return flat.reshape(n, 64), weight, inside


def _locate(axis: Floats, point: Floats) -> tuple[Ints, Floats, Bools]:
    """Return the four node indices (N, 4), coordinates (N, 5: nodes, then point) and if within.

    A node beyond the end of the axis has its index clipped, and so repeats its neighbour.
    """
    within = np.isfinite(point) & (point >= axis[0]) & (point <= axis[-1])
    x = np.where(within, point, axis[0])
    cell = np.clip(np.searchsorted(axis, x, side="right") - 1, 0, max(len(axis) - 2, 0))
    nodes = np.clip(cell[:, None] + np.arange(-1, 3), 0, len(axis) - 1)
    return nodes, np.concatenate([axis[nodes], x[:, None]], axis=1), within


def _real(nodes: Ints) -> Bools:
    """Tell stencil members (N, 4) from repeats that stand for nodes beyond the axis."""
    real = np.ones(nodes.shape, dtype=bool)
    real[:, 0] = nodes[:, 0] < nodes[:, 1]
    real[:, 2] = nodes[:, 2] > nodes[:, 1]
    real[:, 3] = nodes[:, 3] > nodes[:, 2]
    return real


def _combine(alive: Bools, coordinates: Floats) -> tuple[Floats, Bools]:
    """Lagrange weights (N, ..., 4) over the nodes alive (N, ..., 4), and where they suffice."""
    n = len(coordinates)
    shape = (n,) + (1,) * (alive.ndim - 2)
    node = [coordinates[:, p].reshape(shape) for p in range(4)]
    x = coordinates[:, 4].reshape(shape)
    on_lower = x == node[1]
    on_upper = x == node[2]
    usable = (alive[..., 1] | on_upper) & (alive[..., 2] | on_lower)
    weights = np.empty(alive.shape)
    for p in range(4):
        value = np.ones(alive.shape[:-1])
        for q in range(4):
            if q == p:
                continue
            gap = node[p] - node[q]
            ratio = (x - node[q]) / np.where(gap == 0, 1.0, gap)
            value = np.where(alive[..., q], value * ratio, value)
        weights[..., p] = np.where(alive[..., p], value, 0.0)
    # On a node its value is the answer, whether or not the next node exists.
    weights = np.where((on_lower & alive[..., 1])[..., None], np.eye(4)[1], weights)
    weights = np.where((on_upper & alive[..., 2] & ~on_lower)[..., None], np.eye(4)[2], weights)
    return np.where(usable[..., None], weights, 0.0), usable
