"""From masses, ages and metallicities to what two stars of a system look like."""

from __future__ import annotations

import torch
from torch import Tensor

from maury.sky.isochrones import Isochrones, overall_metallicity

__all__ = ["starlight"]


def starlight(
    isochrones: Isochrones, *, mass: Tensor, log_age: Tensor, mh: Tensor, q: Tensor
) -> dict[str, Tensor]:
    """The columns of `Systems` that the isochrones give, for a primary and its companion.

    Parameters
    ----------
    isochrones : Isochrones
    mass : Tensor
        Initial mass of the primaries (N,), Msun.
    log_age : Tensor
        log10 of the age in years (N,).
    mh : Tensor
        [Fe/H] (N,); isochrones are taken at the overall metallicity that goes with it.
    q : Tensor
        Mass ratio (N,), 0 without a companion.

    Returns
    -------
    dict of Tensor
        ``teff``, ``logg``, ``log_lum``, ``radius`` of the primary and ``companion_teff``,
        ``companion_logg``, ``companion_radius``, float32 (N,). NaN where the isochrones have no
        such star: it has died, or is lighter than they go. A companion outlives its primary.
    """
    overall = overall_metallicity(mh)
    primary = isochrones.evolve(mass, log_age, overall)
    columns = {
        "teff": primary.teff.float(),
        "logg": primary.logg.float(),
        "log_lum": primary.log_lum.float(),
        "radius": primary.radius.float(),
    }
    paired = torch.nonzero(q > 0).squeeze(1)
    companion = isochrones.evolve((q * mass)[paired], log_age[paired], overall[paired])
    for name in ("teff", "logg", "radius"):
        value = torch.full_like(columns["teff"], torch.nan)
        value[paired] = getattr(companion, name).float()
        columns[f"companion_{name}"] = value
    return columns
