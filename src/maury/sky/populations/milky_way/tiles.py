"""A footprint cut into boxes in which densities change little, for sampling by rejection."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maury.sky.populations.milky_way.dust_map import DustDisc, DustMap
from maury.sky.populations.milky_way.geometry import Boxes, Footprint

__all__ = ["least_extinction", "tile"]

_NEAREST = 10.0  # pc, where the first box of each sight line ends
_GROWTH = 1.12
_FEWEST = 2
# Latitudes are closer in the plane, longitudes towards the centre.
_LATITUDES = (0.25, 0.5, 0.8, 1.2, 1.7, 2.3, 3, 4, 5, 6.5, 8.5, 11, 14, 18, 23, 30, 40, 52, 66)
_LONGITUDES = (1, 2, 3.5, 5, 7, 10, 14, 20, 30, 45, 60, 80, 100, 125, 150)


def tile(footprint: Footprint, farthest: float) -> tuple[Boxes, int]:
    """Boxes that hold a footprint out to a distance (pc), and how many each sight line has.

    Boxes of one sight line follow each other with distance.
    """
    (left, right), (low, high) = footprint.bounds()
    latitudes = _cut(low, high, [sign * b for sign in (-1, 1) for b in (0.0, *_LATITUDES)])
    turns = [360.0 * turn for turn in (-1, 0, 1, 2)]
    marks = [sign * lon for sign in (-1, 1) for lon in (0.0, *_LONGITUDES, 180.0)]
    longitudes = _cut(left, right, [turn + mark for turn in turns for mark in marks])
    count = max(math.ceil(math.log(farthest / _NEAREST) / math.log(_GROWTH)), 1)
    start = min(_NEAREST, farthest / 2)
    distances = torch.cat(
        [
            torch.zeros(1, dtype=torch.float64),
            torch.logspace(math.log10(start), math.log10(farthest), count + 1, dtype=torch.float64),
        ]
    )
    grids = torch.meshgrid(
        *(torch.arange(len(edges) - 1) for edges in (longitudes, latitudes, distances)),
        indexing="ij",
    )
    lon, lat, depth = (grid.flatten() for grid in grids)
    boxes = Boxes(
        longitudes[lon],
        longitudes[lon + 1],
        latitudes[lat],
        latitudes[lat + 1],
        distances[depth],
        distances[depth + 1],
    )
    return boxes, len(distances) - 1


def least_extinction(dust: DustMap, boxes: Boxes, depth: int) -> Tensor:
    """An A_V (N,), mag, that no star in each box lies in front of; 0 for maps that cannot say."""
    if not isinstance(dust, DustDisc):
        return torch.zeros_like(boxes.near)
    layers = (dust.least(boxes) * (boxes.far - boxes.near)).reshape(-1, depth)
    return (torch.cumsum(layers, -1) - layers).flatten()


def _cut(low: float, high: float, marks: list[float]) -> Tensor:
    """Edges from low to high at the marks between, and at least a few."""
    even = torch.linspace(low, high, _FEWEST + 1, dtype=torch.float64).tolist()
    inner = [mark for mark in marks if low < mark < high]
    edges = sorted({low, high, *(inner if len(inner) >= _FEWEST else even)})
    return torch.tensor(edges, dtype=torch.float64)
