"""Ultraviolet light that no model of the photosphere has, left out before a model reads it.

Cool stars shine in the ultraviolet by their chromospheres. In the far ultraviolet that is most of
what is seen below some 7000 K, in the near ultraviolet below 4800 K: real cool dwarfs are brighter
than photospheres by 1.5 (4300 K) to 5.5 mag (3200 K) in NUV. A network that was never shown this
takes an M dwarf for a hot star behind dust.

Whether a star is cool is asked of its *other* measurements, so that what remains is answered as
honestly as if the band had never been observed.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from maury.measurements import Measurements

__all__ = ["COOL", "leave_out_chromospheres"]

COOL = {"GALEX/GALEX.FUV": 7000.0, "GALEX/GALEX.NUV": 4800.0}
"""Temperature (K) below which a band shows the chromosphere."""

DRAWS = 15
"""Enough to tell on which side of a limit the median lies, but for stars at the limit itself."""


class _Posterior(Protocol):
    @property
    def parameters(self) -> tuple[str, ...]: ...

    def sample(self, obs: Measurements, /, draws: int, *, seed: int = 0) -> Any: ...


def leave_out_chromospheres(posterior: _Posterior, observations: Measurements) -> Measurements:
    """The same stars without the ultraviolet bands that show a chromosphere.

    Parameters
    ----------
    posterior : Posterior
        Asked for temperatures of the stars that have such bands, without these bands. One that
        does not know temperatures leaves all as it is.
    observations : Measurements
        N real stars. Simulated ones have no chromospheres.

    Returns
    -------
    Measurements
        A band is left out where more than half of the draws are cooler than its limit in `COOL`.
    """
    slots = {name: _slots(observations, name) for name in COOL if name in observations.channels}
    if not slots or "teff" not in posterior.parameters:
        return observations
    ultraviolet = torch.stack(list(slots.values())).any(0)
    rows = ultraviolet.any(1).nonzero().squeeze(-1)
    if not len(rows):
        return observations
    others = observations.without(ultraviolet)[rows]
    # The seed is the rule's own: which bands are read must not depend on the user's.
    teff = posterior.sample(others, DRAWS, seed=0).values[..., posterior.parameters.index("teff")]
    dropped = torch.zeros_like(ultraviolet)
    for name, slot in slots.items():
        cool = torch.zeros(len(observations), dtype=torch.bool, device=slot.device)
        cool[rows] = ((teff < COOL[name]).float().mean(0) > 0.5).to(slot.device)
        dropped |= slot & cool[:, None]
    return observations.without(dropped)


def _slots(observations: Measurements, name: str) -> Tensor:
    """Slots (N, S) that hold a channel."""
    return observations.present & (observations.channel == observations.channels.index(name))
