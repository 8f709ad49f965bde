"""Gaia DR2 magnitudes for a model that only knows DR3's bands, and the reverse.

The two releases have different passbands and zero points. For most stars they differ by
constants, measured on the same stars of M67: DR2 - DR3 is +0.015 (G), +0.020 (BP) and +0.010
(RP) mag. What a constant leaves is within the bands' floor of 0.02 mag for stars of 3,600 to
10,000 K without much dust, and up to 0.03 mag in hotter, redder or very reddened ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from maury.measurements import Kind, Measurements

__all__ = ["gaia_counterparts", "translate_gaia"]

DR2, DR3 = "GAIA/GAIA2r", "GAIA/GAIA3"

DR2_MINUS_DR3 = {"G": 0.015, "Gbp": 0.020, "Grp": 0.010}
"""Magnitudes."""


def gaia_counterparts(channels: Sequence[str]) -> dict[str, str]:
    """For each Gaia channel the same band of the other release."""
    pairs = {f"{DR2}.{s}": f"{DR3}.{s}" for s in DR2_MINUS_DR3}
    pairs |= {theirs: ours for ours, theirs in pairs.items()}
    return {name: pairs[name] for name in channels if name in pairs}


def translate_gaia(measurements: Measurements, known: Sequence[str]) -> Measurements:
    """Express Gaia slots in the release that ``known`` channels hold, where only one is known.

    A star that has the band in both releases keeps the one that needs no translation.
    """
    value, names = measurements.value, list(measurements.channels)
    kind = measurements.kind
    for theirs, ours in gaia_counterparts(names).items():
        if theirs in known or ours not in known:
            continue
        place = measurements.channels.index(theirs)
        offset = DR2_MINUS_DR3[theirs.rsplit(".", 1)[1]] * (1 if theirs.startswith(DR3) else -1)
        here = measurements.present & (measurements.channel == place)
        value = torch.where(here, value + offset, value)
        if ours in measurements.channels:
            own = measurements.channel == measurements.channels.index(ours)
            has_own = (measurements.present & own).any(dim=1, keepdim=True)
            kind = kind.masked_fill(here & has_own, int(Kind.ABSENT))
        names[place] = ours
    return _renamed(replace(measurements, value=value, kind=kind), names)


def _renamed(measurements: Measurements, names: list[str]) -> Measurements:
    """Give the channels new names; channels of one name become one."""
    if not names:
        return measurements
    channels = tuple(dict.fromkeys(names))
    place = torch.tensor([channels.index(name) for name in names], device=measurements.device)
    channel = place[measurements.channel].masked_fill(~measurements.present, 0)
    return replace(measurements, channels=channels, channel=channel)
