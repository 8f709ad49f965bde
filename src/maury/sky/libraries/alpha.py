"""Which alpha enhancement a star of given [Fe/H] has, for libraries that offer several.

`mh` is [Fe/H] throughout, and [alpha/Fe] follows it: 0 at solar metallicity and above, +0.4 at -1
and below, linear between (the mean trend of the Milky Way's thin disc, thick disc and halo).
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

__all__ = ["Mixture", "Model", "on_trend", "trend_alpha"]

Model = tuple[float, float, float, float]
"""Teff in K, log g, [Fe/H], [alpha/Fe]."""

Mixture = tuple[tuple[int, float], ...]
"""Positions of models in a list, and the share of each in the logarithm of the flux."""

_NEAR = 1e-6


def trend_alpha(mh: float) -> float:
    """[alpha/Fe] on the trend at this [Fe/H]."""
    return float(np.clip(-0.4 * mh, 0.0, 0.4))


def on_trend(
    models: Sequence[Model], *, nearest: bool = False
) -> dict[tuple[float, float, float], Mixture]:
    """For each (Teff, log g, [Fe/H]), the models that make up one on the trend.

    Parameters
    ----------
    models
        What the library holds.
    nearest
        Where the library's alphas do not reach the trend, take the nearest rather than none.

    Returns
    -------
    One model, or the two whose [alpha/Fe] bracket the trend, shared linearly.
    """
    choices: dict[tuple[float, float, float], dict[float, int]] = defaultdict(dict)
    for position, (teff, logg, mh, alpha) in enumerate(models):
        choices[teff, logg, mh][alpha] = position
    mixed = {}
    for node, held in choices.items():
        mixture = _mix(held, trend_alpha(node[2]), nearest)
        if mixture:
            mixed[node] = mixture
    return mixed


def _mix(held: dict[float, int], wanted: float, nearest: bool) -> Mixture:
    """Models about the wanted alpha among those held, by alpha; none where it is out of reach."""
    below = [alpha for alpha in held if alpha <= wanted + _NEAR]
    above = [alpha for alpha in held if alpha >= wanted - _NEAR]
    if below and above:
        low, high = max(below), min(above)
        if high - low < _NEAR:
            return ((held[low], 1.0),)
        share = (wanted - low) / (high - low)
        return ((held[low], 1.0 - share), (held[high], share))
    if not nearest:
        return ()
    return ((held[min(held, key=lambda alpha: abs(alpha - wanted))], 1.0),)
