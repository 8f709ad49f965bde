"""What may be wrong with a star's answer, as bits of one integer."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["LEGEND", "Flag"]


class Flag(IntFlag):
    """Bits of the output column ``flags``; zero means nothing to report."""

    TOO_FEW = 1
    POOR_FIT = 2
    OUT_OF_DISTRIBUTION = 4
    PRIOR_EDGE = 8
    REJECTED_VALUE = 16
    WEIGHTS_DEGENERATE = 32


LEGEND: dict[Flag, str] = {
    Flag.TOO_FEW: "fewer usable measurements than the model was trained for",
    Flag.POOR_FIT: "no draw reproduces the measurements",
    Flag.OUT_OF_DISTRIBUTION: (
        "the measurements lie outside what the model was trained on (not raised yet)"
    ),
    Flag.PRIOR_EDGE: "the posterior piles up at the edge of the prior",
    Flag.REJECTED_VALUE: "a value or error was unusable (not finite, out of range) and was ignored",
    Flag.WEIGHTS_DEGENERATE: "the importance weights rest on a few draws only (not raised yet)",
}
