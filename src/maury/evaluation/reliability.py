"""Whether a stated probability, of youth say, is the share of stars of which it is true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from maury.errors import MauryError

__all__ = ["Reliability", "reliability", "roc_area"]

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Stated and true shares of stars, in bins of the stated probability that hold any.

    Parameters
    ----------
    stated, true, error : array, shape (B,)
        Mean stated probability, share of which it is true, and that share's standard error.
    count : array, shape (B,)
        Stars in each bin.
    brier : float
        Mean squared difference of probability and truth (Brier 1950); 0 is best.
    area : float
        Under the curve of true against false positives, see `roc_area`.
    """

    stated: NDArray[np.float64]
    true: NDArray[np.float64]
    error: NDArray[np.float64]
    count: NDArray[np.int64]
    brier: float
    area: float

    @property
    def worst(self) -> float:
        """Largest difference of true and stated share, in standard errors."""
        return float(np.max(np.abs(self.true - self.stated) / self.error))


def reliability(probability: ArrayLike, truth: ArrayLike, *, bins: int = BINS) -> Reliability:
    """Compare stated probabilities (N,) with what is true (N,); stars with NaN are left out.

    Raises
    ------
    MauryError
        If no star is left.
    """
    stated, is_true = np.asarray(probability, dtype=float), np.asarray(truth, dtype=bool)
    known = np.isfinite(stated)
    stated, is_true = stated[known], is_true[known]
    if not stated.size:
        raise MauryError("no star has a probability to be judged")
    bin_of = np.minimum((stated * bins).astype(int), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    some = count > 0
    mean, share = (
        np.bincount(bin_of, weights=values, minlength=bins)[some] / count[some]
        for values in (stated, is_true.astype(float))
    )
    # The error that the share has if the statement is right, never below that of half a star.
    inner = np.clip(mean, 0.5 / count[some], 1 - 0.5 / count[some])
    return Reliability(
        stated=mean,
        true=share,
        error=np.sqrt(inner * (1 - inner) / count[some]),
        count=count[some],
        brier=float(np.mean((stated - is_true) ** 2)),
        area=roc_area(stated, is_true),
    )


def roc_area(score: ArrayLike, truth: ArrayLike) -> float:
    """Chance that a true star scores above a false one, ties counting half; NaN if one is missing.

    The area under the receiver operating characteristic, by ranks (Mann & Whitney 1947).
    """
    scores, is_true = np.asarray(score, dtype=float), np.asarray(truth, dtype=bool)
    positive, negative = int(is_true.sum()), int((~is_true).sum())
    if not positive or not negative:
        return float("nan")
    ranks = rankdata(scores)[is_true].sum() - positive * (positive + 1) / 2
    return float(ranks / (positive * negative))
