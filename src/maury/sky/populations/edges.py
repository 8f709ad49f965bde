"""Where the priors end: beyond, an answer is the prior's and not the star's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maury.parameters import PARAMETERS

__all__ = ["EDGES", "find_edges"]

MARGIN = 0.02
"""An edge is at most this fraction of its parameter's range wide, on the parameter's scale, ..."""

TAIL = 0.005
"""... and holds at most this share of the stars: the old are many, and are no exception."""

NO_LOWER_EDGE = ("a_v", "q")
NO_UPPER_EDGE = ("q",)
"""No dust, no companion and a twin are facts, not ends of what the model knows."""

EDGES: dict[str, dict[str, tuple[float, float]]] = {
    "galaxy": {
        "teff": (2590.0, 33_100.0),
        "logg": (0.11, 5.39),
        "mh": (-3.42, 0.425),
        "a_v": (-math.inf, 9.7),
        "r_v": (2.34, 4.20),
        "mass": (0.112, 28.4),
        "log_age": (5.78, 10.131),
        "q": (-math.inf, math.inf),
        "distance": (1.26, 74_000.0),
    },
    "field": {
        "teff": (2440.0, 32_400.0),
        "logg": (0.12, 5.66),
        "mh": (-3.90, 0.78),
        "a_v": (-math.inf, 15.2),
        "r_v": (2.34, 4.21),
    },
    "box": {
        "teff": (2320.0, 37_800.0),
        "logg": (0.13, 5.47),
        "mh": (-3.03, 0.71),
        "a_v": (-math.inf, 14.6),
        "r_v": (2.53, 3.89),
    },
}
"""For each prior, each parameter's lower and upper edge in its unit: `find_edges` of 100,000 stars
of the default library and isochrones, rounded."""


def find_edges(theta: Tensor, parameters: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Lower and upper edge of each parameter, infinite where there is none.

    Parameters
    ----------
    theta : Tensor (N, D)
        Simulated stars, physical units.
    parameters : tuple of str
        Names of theta's columns.
    """
    edges: dict[str, tuple[float, float]] = {}
    for name, column in zip(parameters, theta.double().unbind(-1), strict=True):
        log = PARAMETERS[name].scale == "log"
        values = torch.sort(column.log() if log else column).values
        margin = MARGIN * (values[-1] - values[0])
        tail = int(TAIL * len(values))
        low = torch.minimum(values[tail], values[0] + margin)
        high = torch.maximum(values[-1 - tail], values[-1] - margin)
        low, high = (low.exp(), high.exp()) if log else (low, high)
        edges[name] = (
            -math.inf if name in NO_LOWER_EDGE else low.item(),
            math.inf if name in NO_UPPER_EDGE else high.item(),
        )
    return edges
