"""From a table of candidate members to the arrays that a cluster's likelihood works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.measurements import Measurements
from maury.sky.bands import band, band_ids

__all__ = ["Candidates", "read_candidates"]

Array = NDArray[np.float64]

WAVES = (3000.0, 50_000.0)
"""Pivot wavelengths, Angstrom, of the bands that are used: chromospheres shine in the ultraviolet,
discs beyond 5 microns, and no photosphere tells about either."""

BRIGHTEST: dict[str, float] = {
    "SLOAN/SDSS": 14.0,
    "PAN-STARRS/PS1": 14.0,
    "SkyMapper/SkyMapper": 9.5,
    "CTIO/DECam": 15.0,
    "2MASS/2MASS": 5.0,
    "WISE/WISE.W1": 8.0,
    "WISE/WISE.W2": 7.0,
    "GAIA/": 5.0,
}
"""Magnitudes brighter than which a survey saturates: York et al. 2000 (AJ 120, 1579), Magnier et
al. 2013 (ApJS 205, 20), Onken et al. 2019 (PASA 36, e033), Schlafly et al. 2018 (ApJS 234, 39),
Skrutskie et al. 2006 (AJ 131, 1163), Cutri et al. 2012 (WISE, VI.3), Riello et al. 2021 (A&A 649,
A3); for SDSS and PS1 half a magnitude on the safe side."""

LARGEST_ERROR = 0.3
"""Errors, mag, above which a magnitude is not worth its place."""

FEWEST_BANDS = 3
FEWEST_STARS = 5


@dataclass(frozen=True)
class Candidates:
    """N candidate members in C channels: bands first, the parallax last.

    Parameters
    ----------
    bands : tuple of str
        SVO ids, C - 1 of them.
    value, sigma : array (N, C)
        Magnitudes and, in the last column, parallaxes in mas; sigma is inf where there is none.
    membership : array (N,)
        Probability of being a member that the user gives, NaN where not.
    row : array (N,) of int
        Which rows of the table these stars are.
    rows : int
        How many rows the table has.
    reference : int
        The band that all of them have, on whose magnitude all probabilities are conditional.
    """

    bands: tuple[str, ...]
    value: Array
    sigma: Array
    membership: Array
    row: NDArray[np.int64]
    rows: int
    reference: int

    def __len__(self) -> int:
        return len(self.value)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the C columns."""
        return (*self.bands, "parallax")

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N, C): what is measured."""
        return np.isfinite(self.sigma)

    def take(self, index: ArrayLike) -> Candidates:
        """Some of the stars."""
        index = np.asarray(index)
        return Candidates(
            self.bands,
            self.value[index],
            self.sigma[index],
            self.membership[index],
            self.row[index],
            self.rows,
            self.reference,
        )

    def brighter_than(self, limit: float) -> Candidates:
        """Those brighter in the reference band; all, where fewer than five are."""
        bright = self.value[:, self.reference] < limit
        return self.take(np.flatnonzero(bright)) if bright.sum() >= FEWEST_STARS else self

    def spread_over_magnitudes(self, most: int) -> Candidates:
        """At most so many stars, as even as possible in the reference magnitude.

        In bins of half a magnitude, in turn, the star with the best parallax and bands is taken
        until there are enough: so the few giants and turn-off stars all are, and of the many faint
        dwarfs the best measured. Likelihoods are conditional on the reference magnitude, which is
        why this choice does no harm.
        """
        if len(self) <= most:
            return self
        magnitude = self.value[:, self.reference]
        bin_ = np.floor((magnitude - magnitude.min()) / 0.5).astype(int)
        count = self.present[:, :-1].sum(1)
        quality = count - np.minimum(self.sigma[:, -1], 10.0)
        rank = np.empty(len(self), dtype=int)
        for number in np.unique(bin_):
            here = np.flatnonzero(bin_ == number)
            rank[here[np.argsort(-quality[here], kind="stable")]] = np.arange(len(here))
        chosen = np.lexsort((magnitude, rank))[:most]
        return self.take(np.sort(chosen))


def read_candidates(
    table: Any,
    *,
    columns: Mapping[str, Any] | None = None,
    membership: ArrayLike | None = None,
    bands: Sequence[str] | None = None,
) -> Candidates:
    """Recognise bands and parallaxes of a table, and leave out what no star's light explains.

    Parameters
    ----------
    table : Measurements, astropy Table, pandas DataFrame or pyarrow Table
    columns : mapping, optional
        As in `Measurements.from_table`.
    membership : array (N,), optional
        Probability, in [0, 1], that a row belongs to the cluster; NaN where unknown.
    bands : sequence of str, optional
        Use only these.

    Raises
    ------
    MauryError
        If no band is known, fewer than five stars have three bands, a probability lies outside
        [0, 1], or there are not as many as rows.
    """
    known = table if isinstance(table, Measurements) else None
    if known is None:
        known = Measurements.from_table(table, columns=columns)
    wanted = bands if bands is not None else [b for b in band_ids() if _photospheric(b)]
    names = [name for name in wanted if name in known.channels]
    if not names:
        raise MauryError(
            f"no band that a cluster can be fitted in: the table has {', '.join(known.channels)}"
        )
    value, sigma = _dense(known, [*names, "parallax"])
    for column, name in enumerate(names):
        saturated = value[:, column] < _brightest(name)
        sigma[saturated | (sigma[:, column] > LARGEST_ERROR), column] = np.inf
    given = np.full(len(known), np.nan)
    if membership is not None:
        given = np.asarray(membership, dtype=float)
        if given.shape != (len(known),):
            raise MauryError(f"{given.size} membership probabilities for {len(known)} rows")
        if np.any((given < 0) | (given > 1)):
            worst = int(np.flatnonzero((given < 0) | (given > 1))[0])
            raise MauryError(
                f"membership of row {worst} is {given[worst]}: probabilities are from 0 to 1"
            )
    present = np.isfinite(sigma)
    reference = _reference(names, present)
    usable = present[:, reference] & (present[:, :-1].sum(1) >= FEWEST_BANDS)
    if usable.sum() < FEWEST_STARS:
        raise MauryError(
            f"only {int(usable.sum())} of {len(known)} stars have {FEWEST_BANDS} usable bands "
            f"with {names[reference]} among them: a cluster needs five"
        )
    kept = present[usable].any(0)
    kept[-1] = True
    names = [name for name, keep in zip(names, kept[:-1], strict=True) if keep]
    row = np.flatnonzero(usable)
    return Candidates(
        bands=tuple(names),
        value=np.where(present, value, 0.0)[usable][:, kept],
        sigma=sigma[usable][:, kept],
        membership=given[usable],
        row=row,
        rows=len(known),
        reference=int(kept[:reference].sum()),
    )


def _dense(known: Measurements, channels: Sequence[str]) -> tuple[Array, Array]:
    """Values and errors (N, C); error inf where absent or a limit."""
    value = np.zeros((len(known), len(channels)))
    sigma = np.full_like(value, np.inf)
    for column, name in enumerate(channels):
        if name not in known.channels:
            continue
        here = known.measured & (known.channel == known.channels.index(name))
        some = here.any(1)
        slot = here.to(torch.int8).argmax(1, keepdim=True)
        value[:, column] = torch.where(some, known.value.gather(1, slot)[:, 0], 0.0).numpy()
        sigma[some.numpy(), column] = known.sigma.gather(1, slot)[:, 0].numpy()[some.numpy()]
    return value, sigma


def _reference(names: Sequence[str], present: NDArray[np.bool_]) -> int:
    """The band that most stars have; Gaia's G of equals."""
    count = present[:, :-1].sum(0) + np.array([0.5 * name.endswith(".G") for name in names])
    return int(np.argmax(count))


def _photospheric(name: str) -> bool:
    return WAVES[0] < band(name).pivot < WAVES[1]


def _brightest(name: str) -> float:
    return max(
        (limit for prefix, limit in BRIGHTEST.items() if name.startswith(prefix)), default=-np.inf
    )
