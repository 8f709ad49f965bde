"""Draws from the posteriors of many stars, with their names and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from astropy.table import Table
from torch import Tensor

from maury.errors import MauryError
from maury.inference.quantiles import quantiles
from maury.parameters import PARAMETERS

if TYPE_CHECKING:
    import arviz

__all__ = ["Draws"]


@dataclass(frozen=True, eq=False)
class Draws:
    """K draws of D parameters for N stars.

    Parameters
    ----------
    values : Tensor (K, N, D)
        Physical units; NaN for a star that cannot be answered.
    parameters : tuple of str
    """

    values: Tensor
    parameters: tuple[str, ...]

    def __getitem__(self, name: str) -> Tensor:
        """Draws (K, N) of one parameter."""
        if name not in self.parameters:
            raise MauryError(f"no parameter {name!r} here: these are {', '.join(self.parameters)}")
        return self.values[..., self.parameters.index(name)]

    def summary(self) -> Table:
        """Median, 16th and 84th percentile, mean and standard deviation of each parameter.

        Columns ``<name>``, ``<name>_lo``, ``<name>_hi``, ``<name>_mean``, ``<name>_std``, N rows.
        """
        middle, low, high = quantiles(self.values, [0.5, 0.16, 0.84])
        # Means of large numbers with small scatter, such as Teff, lose digits in single precision.
        values = self.values.double()
        mean = values.mean(0)
        # By hand, because torch's own complains where there is one draw or no star.
        spread = ((values - mean).square().sum(0) / (len(values) - 1)).sqrt()
        columns = {"": middle, "_lo": low, "_hi": high, "_mean": mean, "_std": spread}
        table = Table()
        for i, name in enumerate(self.parameters):
            for suffix, numbers in columns.items():
                table[name + suffix] = numbers[:, i].float().cpu().numpy()
                table[name + suffix].unit = PARAMETERS[name].unit or None
        return table

    def to_arviz(self) -> arviz.InferenceData:
        """Draws as ArviZ's InferenceData, one chain, dimension ``star``.

        Raises
        ------
        MauryError
            If ArviZ is not installed.
        """
        try:
            import arviz
        except ImportError:
            raise MauryError(
                "ArviZ is not installed: install it by 'pip install maury[arviz]'"
            ) from None
        posterior = {name: self[name][None].cpu().numpy() for name in self.parameters}
        return arviz.from_dict(
            posterior=posterior, dims={name: ["star"] for name in self.parameters}
        )

    @classmethod
    def concatenate(cls, parts: list[Draws]) -> Draws:
        """Stars of all parts, in order."""
        return cls(torch.cat([part.values for part in parts], dim=1), parts[0].parameters)
