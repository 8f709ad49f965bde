"""Gaia DR2 magnitudes for a model that only knows DR3's bands, and the reverse.

The two releases have different passbands and zero points. For most stars they differ by
constants, measured on the same stars of M67: DR2 - DR3 is +0.015 (G), +0.020 (BP) and +0.010
(RP) mag; what a constant leaves, a few thousandths with colour, is below the bands' floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from maury.measurements import Measurements

__all__ = ["translate_gaia"]

DR2_MINUS_DR3 = {"G": 0.015, "Gbp": 0.020, "Grp": 0.010}
"""Magnitudes."""


def translate_gaia(measurements: Measurements, known: Sequence[str]) -> Measurements:
    """Express Gaia slots in the release that ``known`` channels hold, where only one is known."""
    names = list(measurements.channels)
    value = measurements.value
    for suffix, difference in DR2_MINUS_DR3.items():
        for theirs, ours, offset in (
            (f"GAIA/GAIA2r.{suffix}", f"GAIA/GAIA3.{suffix}", -difference),
            (f"GAIA/GAIA3.{suffix}", f"GAIA/GAIA2r.{suffix}", difference),
        ):
            if theirs in known or ours not in known or theirs not in names:
                continue
            here = measurements.present & (measurements.channel == names.index(theirs))
            value = torch.where(here, value + offset, value)
            names[names.index(theirs)] = f"{ours} from {theirs}"
    return _united(replace(measurements, value=value), names)


def _united(measurements: Measurements, names: list[str]) -> Measurements:
    """Give each channel its final name; a name that occurs twice gets one number."""
    final = [name.split(" from ")[0] for name in names]
    channels = tuple(dict.fromkeys(final))
    place = torch.tensor([channels.index(name) for name in final], device=measurements.device)
    if not final:
        return measurements
    channel = place[measurements.channel].masked_fill(~measurements.present, 0)
    return replace(measurements, channels=channels, channel=channel)
