"""From the iron abundance that surveys report to the overall metallicity of an isochrone."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from torch import Tensor

__all__ = ["overall_metallicity"]

Value = TypeVar("Value", float, np.ndarray, Tensor)


def overall_metallicity(mh: Value) -> Value:
    """Isochrone [M/H] of a star of iron abundance ``mh``.

    Salaris et al. (1993, ApJ 414, 580), eq. 3. [alpha/Fe] rises from 0 at solar iron to +0.4 at -1
    and stays there below, so the result is 0 at 0, -0.71 at -1, and 0.29 dex more than [Fe/H]
    below.

    Parameters
    ----------
    mh : float, array or tensor of any shape
        [Fe/H], dex.
    """
    if isinstance(mh, Tensor):
        alpha = 0.4 * (-mh).clamp(0.0, 1.0)
        return mh + (0.638 * 10**alpha + 0.362).log10()
    alpha = 0.4 * np.clip(-mh, 0.0, 1.0)
    return mh + np.log10(0.638 * 10**alpha + 0.362)
