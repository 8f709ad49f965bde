"""What is known of a cluster after all: draws of theta_C, members, shared errors, a diagram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from maury.cluster.candidates import Candidates
from maury.cluster.coordinates import PARAMETERS
from maury.cluster.sequence import StellarModel
from maury.errors import MauryError

__all__ = ["ClusterPosterior", "Diagnostics"]

Array = NDArray[np.float64]

_UNITS = {"distance": "pc", "a_v": "mag", "a_v_spread": "mag", "distance_modulus": "mag"}


@dataclass(frozen=True)
class Diagnostics:
    """How far the sampling can be trusted.

    Parameters
    ----------
    effective : float
        Effective number of samples of both runs together.
    evaluations : int
    disagreement : float
        Largest difference of the independent runs' means of a parameter, in standard deviations.
    evidence_difference : float
        Of the logarithms of the runs' evidences.
    """

    effective: float
    evaluations: int
    disagreement: float
    evidence_difference: float

    @property
    def good(self) -> bool:
        """At least 100 effective samples, and runs that agree within half a deviation."""
        return self.effective >= 100 and self.disagreement < 0.5


@dataclass(frozen=True)
class ClusterPosterior:
    """Posterior of theta_C.

    Parameters
    ----------
    draws : array (K, 5)
        Of `parameters`, equally weighted.
    membership : array (N,)
        Probability of each row of the table to be a member; NaN where the row had too little data.
    used : array (N,) of bool
        Rows that the posterior rests on.
    offsets : Table
        Shared errors: one row for each band and the parallax, with mean, standard deviation and
        what the prior allowed; ``kind`` is "zero point" (measured minus model), or where among
        stars the models err: by so many mag in a channel, or by so much in ln Teff.
    non_members : tuple of float
        Share of non-members among the stars used, mean and standard deviation of its logit's
        median, as a share.
    outliers : Table
        Measurements that were taken for outliers: row of the table and channel.
    diagnostics : Diagnostics
    """

    draws: Array
    membership: Array
    used: NDArray[np.bool_]
    offsets: Table
    non_members: tuple[float, float]
    outliers: Table
    diagnostics: Diagnostics
    stars: Candidates
    model: StellarModel

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the columns of `draws`."""
        return PARAMETERS

    def __getitem__(self, name: str) -> Array:
        """Draws (K,) of one parameter, or of ``distance_modulus``.

        Raises
        ------
        MauryError
            If there is none of this name.
        """
        if name == "distance_modulus":
            return np.asarray(5 * np.log10(self["distance"] / 10.0))
        if name not in PARAMETERS:
            raise MauryError(f"no parameter {name!r} of a cluster: {', '.join(PARAMETERS)}")
        return np.asarray(self.draws[:, PARAMETERS.index(name)])

    def summary(self) -> Table:
        """One row for each parameter: median, 16th and 84th percentile, 95% interval, mean, std."""
        names = (*PARAMETERS, "distance_modulus")
        table = Table()
        table["parameter"] = names
        table["unit"] = [_UNITS.get(name, "dex") for name in names]
        values = np.stack([self[name] for name in names])
        levels = {"median": 50, "lo": 15.865, "hi": 84.135, "lo95": 2.5, "hi95": 97.5}
        for column, level in levels.items():
            table[column] = np.percentile(values, level, axis=1)
        table["mean"], table["std"] = values.mean(1), values.std(1)
        return table

    def plot(self, path: str | Path, *, blue: str | None = None, red: str | None = None) -> None:
        """Draw the colour-magnitude diagram with the median isochrone, single and twin stars.

        Parameters
        ----------
        path : path
            Of the figure; its suffix says the format.
        blue, red : str, optional
            SVO ids of the colour's bands; by default Gaia's, or the bluest and reddest there are.

        Raises
        ------
        MauryError
            If a band is not among those used.
        """
        from matplotlib.figure import Figure

        bands = self.stars.bands
        first, second = self._colour(blue, red)
        reference = self.stars.reference
        figure = Figure(figsize=(5, 6), layout="constrained")
        axes: Any = figure.subplots()
        value, present = self.stars.value, self.stars.present
        shown = present[:, first] & present[:, second]
        colour = value[:, first] - value[:, second]
        points = axes.scatter(
            *(colour[shown], value[shown, reference]),
            c=self.membership[self.stars.row][shown],
            **{"s": 9, "cmap": "viridis", "vmin": 0, "vmax": 1},
        )
        figure.colorbar(points, label="membership")
        log_age, mh, distance, a_v, _ = np.median(self.draws, axis=0)
        pieces = self.model.sequence(log_age, mh, a_v)
        if pieces is not None:
            modulus = 5 * np.log10(distance / 10.0)
            for q, style in ((0.0, "-"), (float(pieces.q.max()), "--")):
                line = pieces.start[pieces.q == q]
                axes.plot(
                    line[:, first] - line[:, second], line[:, reference] + modulus, f"k{style}"
                )
        low, high = np.percentile(colour[shown], [0, 100])
        axes.set_xlim(low - 0.2, high + 0.2)
        axes.set_ylim(value[:, reference].max() + 0.5, value[:, reference].min() - 0.5)
        axes.set_xlabel(f"{bands[first]} - {bands[second]}")
        axes.set_ylabel(bands[reference])
        axes.set_title(f"log age {log_age:.2f}, [Fe/H] {mh:+.2f}, {distance:.0f} pc, A_V {a_v:.2f}")
        figure.savefig(path)

    def _colour(self, blue: str | None, red: str | None) -> tuple[int, int]:
        bands = self.stars.bands
        for name in (blue, red):
            if name is not None and name not in bands:
                raise MauryError(f"no band {name!r} was used; there are {', '.join(bands)}")
        ends = {name.rsplit(".", 1)[1]: name for name in bands}
        first = blue if blue is not None else ends.get("Gbp", bands[0])
        second = red if red is not None else ends.get("Grp", bands[-1])
        return bands.index(first), bands.index(second)
