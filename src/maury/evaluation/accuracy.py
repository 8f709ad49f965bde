"""How far the answers lie from trusted labels of real stars, and how honest their errors are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from maury.catalogs.readers import read_table
from maury.cells import column_names
from maury.errors import MauryError
from maury.evaluation.answers import Posterior, answers
from maury.inference.chromospheres import leave_out_chromospheres
from maury.inference.completion import completed
from maury.inference.quantiles import quantiles
from maury.measurements import Measurements

__all__ = ["PROBABILITIES", "EvaluationResult", "evaluate", "label_columns", "metrics"]

PROBABILITIES = (0.025, 0.16, 0.5, 0.84, 0.975)
"""Of the quantiles kept for each star: the ends of the 95% and 68% intervals about the median."""

_OTHER_LABELS = {"a_v": ("ref_av", "ref_av_approx")}
"""Label columns that are not ``ref_<parameter>``, the more trusted first."""

Floats = NDArray[np.float64]


def metrics(draws: ArrayLike, truth: ArrayLike, truth_err: ArrayLike | None) -> dict[str, float]:
    """Compare draws of one parameter with labels.

    Parameters
    ----------
    draws : array, shape (K, N)
        Posterior draws, in the parameter's unit; NaN for a star without an answer.
    truth : array, shape (N,)
        Labels, in the same unit; NaN where there is none.
    truth_err : array, shape (N,), or None
        One-sigma errors of the labels; what is NaN, infinite or negative counts as an unknown
        error, taken as zero.

    Returns
    -------
    dict
        ``n``, labelled stars; ``rms``, root mean square error of the posterior median; ``mad``, its
        median absolute error; ``bias``, its median error (ours minus label); ``rank``, Spearman's
        rank correlation with the labels; ``coverage68`` and ``coverage95``, the fraction of labels
        inside the central interval, whose half-width has z times the label's own error (z = 1 and
        1.96) added in quadrature. A star without an answer is outside every interval and infinitely
        far away in ``mad``; ``rms``, ``bias`` and ``rank`` are those of the stars with an answer.
        What cannot be computed is NaN (a rank correlation with a constant, say).
    """
    values = torch.as_tensor(np.asarray(draws))
    return _compare(
        quantiles(values, PROBABILITIES).double().numpy(),
        np.asarray(truth, dtype=float),
        np.zeros(values.shape[1]) if truth_err is None else np.asarray(truth_err, dtype=float),
    )


def _compare(quantile: Floats, truth: Floats, truth_err: Floats) -> dict[str, float]:
    """Metrics from quantiles (5, N) at `PROBABILITIES`, labels (N,) and their errors (N,)."""
    labelled = np.isfinite(truth)
    quantile, truth = quantile[:, labelled], truth[labelled]
    label_err = truth_err[labelled]
    # Catalogues write -9999 for "unknown": squared, it would cover everything.
    label_err = np.where(np.isfinite(label_err) & (label_err > 0), label_err, 0.0)
    low95, low68, median, high68, high95 = quantile
    error = median - truth
    answered = np.isfinite(error)
    known = error[answered]
    return {
        "n": int(labelled.sum()),
        "rms": float(np.sqrt(np.mean(known**2))) if known.size else np.nan,
        "mad": _finite_median(np.where(answered, np.abs(error), np.inf)),
        "bias": _finite_median(known),
        "rank": _rank_correlation(median[answered], truth[answered]),
        "coverage68": _coverage(low68, high68, truth, 1.0 * label_err),
        "coverage95": _coverage(low95, high95, truth, 1.96 * label_err),
    }


def _finite_median(values: Floats) -> float:
    if values.size == 0:
        return np.nan
    median = float(np.median(values))
    return median if np.isfinite(median) else np.nan


def _rank_correlation(x: Floats, y: Floats) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN where either is constant."""
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def _coverage(low: Floats, high: Floats, truth: Floats, label_width: Floats) -> float:
    if truth.size == 0:
        return np.nan
    half_width = np.hypot((high - low) / 2, label_width)
    return float(np.mean(np.abs(truth - (high + low) / 2) <= half_width))


@dataclass(frozen=True)
class EvaluationResult:
    """Answers beside labels, for stars that have at least one label.

    Parameters
    ----------
    parameters : tuple of str
        The D parameters that have labels.
    rows : array, shape (N,)
        Rows of the catalogue.
    quantiles : array, shape (5, N, D)
        At `PROBABILITIES`; NaN for a star without an answer.
    truth, truth_err : array, shape (N, D)
        Labels and their errors; NaN where there is none.
    """

    parameters: tuple[str, ...]
    rows: NDArray[np.int64]
    quantiles: Floats
    truth: Floats
    truth_err: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, stars: NDArray[Any]) -> EvaluationResult:
        """The same for some of the stars, by a mask (N,) or indices."""
        return EvaluationResult(
            parameters=self.parameters,
            rows=self.rows[stars],
            quantiles=self.quantiles[:, stars],
            truth=self.truth[stars],
            truth_err=self.truth_err[stars],
        )

    @property
    def unanswered(self) -> int:
        """How many of the stars got no answer."""
        return int(np.isnan(self.quantiles[2]).any(axis=1).sum())

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """For each parameter what `metrics` gives, in the order of ``parameters``."""
        return {
            name: _compare(self.quantiles[:, :, i], self.truth[:, i], self.truth_err[:, i])
            for i, name in enumerate(self.parameters)
        }


def evaluate(
    posterior: Posterior, catalog: str | Path | Any, *, draws: int = 1000, seed: int = 0
) -> EvaluationResult:
    """Compare a posterior with the labels of a catalogue of real stars.

    Labels are the columns ``ref_<parameter>`` (for a_v, ``ref_av`` or else ``ref_av_approx``) with
    errors in ``<label>_err`` where known. They are never inputs.

    Parameters
    ----------
    posterior : Posterior
    catalog : path or table
        A file that `maury infer` reads, or an astropy, pandas or arrow table.
    draws : int
        Draws for each star; intervals from fewer than 1,000 are noisy.
    seed : int

    Returns
    -------
    EvaluationResult

    Raises
    ------
    MauryError
        Where the catalogue cannot be read or holds no labels of the posterior's parameters.
    """
    table = _table(catalog)
    present = column_names(table)
    reported = completed(tuple(posterior.parameters))
    columns = label_columns(present, reported)
    if not columns:
        wanted = ", ".join(name for p in reported for name in _candidates(p))
        raise MauryError(f"the catalogue has no labels to compare with: none of {wanted}")
    names = tuple(columns)
    truth = np.stack([_numbers(table, columns[name]) for name in names], axis=1)
    errors = [f"{columns[name]}_err" for name in names]
    truth_err = np.stack(
        [_numbers(table, e) if e in present else np.full(len(table), np.nan) for e in errors],
        axis=1,
    )
    rows = np.flatnonzero(np.isfinite(truth).any(axis=1))
    which = [reported.index(name) for name in names]
    kept = np.empty((len(PROBABILITIES), len(rows), len(names)))
    obs = leave_out_chromospheres(posterior, Measurements.from_table(table)[rows])
    for stars, values in answers(posterior, obs, draws=draws, seed=seed):
        kept[:, stars] = quantiles(values[:, :, which], PROBABILITIES).double().numpy()
    return EvaluationResult(names, rows, kept, truth[rows], truth_err[rows])


def label_columns(names: list[str], parameters: tuple[str, ...]) -> dict[str, str]:
    """Which column, among a table's ``names``, holds the labels of which parameter."""
    found = ((p, [c for c in _candidates(p) if c in names]) for p in parameters)
    return {parameter: columns[0] for parameter, columns in found if columns}


def _candidates(parameter: str) -> tuple[str, ...]:
    return _OTHER_LABELS.get(parameter, (f"ref_{parameter}",))


def _table(catalog: str | Path | Any) -> Any:
    return read_table(catalog) if isinstance(catalog, str | Path) else catalog


def _numbers(table: Any, column: str) -> Floats:
    """A column as floats, with NaN where a cell is empty."""
    cells = table[column]
    values = np.ma.asarray(cells.to_pandas() if hasattr(cells, "to_pandas") else cells)
    try:
        return np.ma.filled(values.astype(float), np.nan)
    except (TypeError, ValueError) as error:
        raise MauryError(
            f"the label column '{column}' does not hold numbers ({error}); convert or remove it"
        ) from None
