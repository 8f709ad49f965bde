"""Predicted measurements of many stars, with their channels."""

from __future__ import annotations

from dataclasses import dataclass

from astropy.table import Table
from torch import Tensor

from maury.errors import MauryError
from maury.inference.quantiles import quantiles

__all__ = ["Predictions"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """K draws of what surveys would measure of N stars on C channels.

    Parameters
    ----------
    values : Tensor (K, N, C)
        Magnitudes in each band's system, parallaxes in mas.
    channels : tuple of str
    """

    values: Tensor
    channels: tuple[str, ...]

    def __getitem__(self, name: str) -> Tensor:
        """Draws (K, N) on one channel."""
        if name not in self.channels:
            raise MauryError(f"no channel {name!r} here: these are {', '.join(self.channels)}")
        return self.values[..., self.channels.index(name)]

    def summary(self) -> Table:
        """Median ``<channel>``, central 68% ``<channel>_lo`` to ``<channel>_hi``; N rows."""
        middle, low, high = quantiles(self.values, [0.5, 0.16, 0.84])
        table = Table()
        for i, name in enumerate(self.channels):
            for suffix, numbers in (("", middle), ("_lo", low), ("_hi", high)):
                table[name + suffix] = numbers[:, i].numpy()
                table[name + suffix].unit = "mas" if name == "parallax" else "mag"
        return table
