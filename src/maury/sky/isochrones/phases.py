"""Names of the phases of a star's life, as the isochrones code them."""

from enum import IntEnum

__all__ = ["Phase"]


class Phase(IntEnum):
    """Where a star is in its life; `Isochrones.phase` and `IsochroneStars.phase` hold the codes."""

    ABSENT = -1
    """No such point: the set has none, or the star is dead."""
    PRE_MAIN_SEQUENCE = 0
    MAIN_SEQUENCE = 1
    GIANT_BRANCH = 2
    """Subgiant and first ascent of the red giant branch."""
    CORE_HELIUM = 3
    EARLY_AGB = 4
    THERMAL_PULSES = 5
    POST_AGB = 6
    """What follows the asymptotic giant branch, white dwarfs included."""
    WOLF_RAYET = 9
