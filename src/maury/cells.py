"""From the cells of a table to clean numbers: what is missing, what is unusable, what is text.

Rules for a measurement, in this order:

- a missing cell (NaN, masked, null, an empty or "null"-like text) is an absent measurement;
- a value that is not a finite number, or lies where no star can (the 99, -99, 999 and -9999 that
  surveys write for "nothing"), is left out and the row is marked as rejected;
- a value whose error is missing is left out without a mark: that is how archives say "limit" or
  "do not use" (2MASS ``j_msigcom``, AllWISE ``w1sigmpro``);
- an error that is zero, negative, not finite or too large (above 0.5 mag) is unusable: the value
  is left out and the row is marked as rejected;
- where the table has no error column for a band at all, `DEFAULT_ERROR` is assumed, with a note;
- a parallax loses its zero point, whose uncertainty widens the error (`maury.parallaxes`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from astropy import units
from numpy.typing import NDArray

from maury.column_names import GAIA_DR2, PARALLAX_AIDS
from maury.columns import PRIOR, ColumnPair, Recognition, channel_unit, recognise
from maury.errors import MauryError
from maury.instruments.photometric_zero_point import CATALOGUE_OFFSETS
from maury.parallaxes import without_zero_point
from maury.parameters import PARAMETERS

__all__ = ["DEFAULT_ERROR", "DenseCells", "column_names", "dense_from_table"]

DEFAULT_ERROR = 0.05
"""Magnitude error assumed where a table has no error column: typical of all-sky surveys, and
large enough that a lost error never makes an answer overconfident for bright stars."""

_MISSING_WORDS = frozenset({"", "nan", "null", "none", "n/a", "na", "--", "-", "...", "<na>"})


@dataclass(frozen=True)
class _Range:
    """Where a value can lie, and how large its error may be."""

    lower: float
    upper: float
    largest_error: float


_MAGNITUDE = _Range(-5.0, 40.0, 0.5)
# Proxima Centauri has 768 mas; below -50 mas only spurious solutions and sentinels are found.
_PARALLAX = _Range(-50.0, 900.0, 90.0)


@dataclass(frozen=True)
class DenseCells:
    """Clean columns: NaN is absent.

    Parameters
    ----------
    channels : tuple of str, length C
    value, sigma : array (N, C) float64
    limit : array (N, C) of str
        ``<`` or ``>`` where the value is a limit, else empty.
    rejected : array (N,) bool
    notes : tuple of str
    """

    channels: tuple[str, ...]
    value: NDArray[np.float64]
    sigma: NDArray[np.float64]
    limit: NDArray[np.str_]
    rejected: NDArray[np.bool_]
    notes: tuple[str, ...]


def column_names(table: Any) -> list[str]:
    """Column names of an astropy Table, a pandas DataFrame or a pyarrow Table."""
    for attribute in ("column_names", "colnames", "columns"):
        if hasattr(table, attribute):
            return [str(name) for name in getattr(table, attribute)]
    raise MauryError(
        f"a {type(table).__name__} is no table: give an astropy Table, a pandas DataFrame or a "
        "pyarrow Table"
    )


def dense_from_table(
    table: Any,
    *,
    columns: Mapping[str, str | Sequence[str] | ColumnPair] | None = None,
    refuse_text: bool = True,
) -> DenseCells:
    """Read every recognised column of a table into clean arrays (rules in the module's text).

    Without ``refuse_text``, the cells of a column that holds no number at all count as bad: where
    the table is a piece of a larger one, such a column may hold numbers elsewhere.

    Raises
    ------
    MauryError
        If a recognised column holds no numbers or has a wrong unit, or `recognise` refuses.
    """
    found = recognise(column_names(table), columns=columns)
    stars = len(table)
    old = np.zeros(stars, dtype=bool) if found.release is None else _is_dr2(table, found.release)
    channels: list[str] = []
    values, sigmas, limits = [], [], []
    rejected = np.zeros(stars, dtype=bool)
    magnitudes: dict[str, NDArray[np.float64]] = {}
    without_error: list[str] = []
    all_missing: list[str] = []

    for channel, pair in found.pairs.items():
        if pair.error is None:
            if channel == "parallax":
                continue
            without_error.append(pair.value)
        value, sigma, limit, bad, errorless = _clean(table, channel, pair, refuse_text)
        rejected |= bad
        if channel.startswith("GAIA/"):
            magnitudes[channel] = value
        if errorless:
            all_missing.append(pair.value)
        split = [(channel, np.ones(stars, dtype=bool))]
        if pair.by_release and old.any():
            split = [(GAIA_DR2[channel], old)] + ([] if old.all() else [(channel, ~old)])
        for name, rows in split:
            channels.append(name)
            as_modelled = value - CATALOGUE_OFFSETS.get(name, 0.0)
            values.append(np.where(rows, as_modelled, np.nan))
            sigmas.append(np.where(rows, sigma, np.nan))
            limits.append(np.where(rows, limit, ""))

    notes = list(found.notes)
    if "parallax" in channels:
        place = channels.index("parallax")
        aids, notes_on_aids = _parallax_aids(table, found)
        values[place], sigmas[place], more = without_zero_point(
            values[place], sigmas[place], dr2=old, magnitudes=magnitudes, aids=aids
        )
        notes += [*notes_on_aids, *more]
    if without_error:
        notes.append(
            f"no error column for {', '.join(without_error)}: {DEFAULT_ERROR} mag is assumed"
        )
    if all_missing:
        notes.append(
            f"every error of {', '.join(all_missing)} is missing, so no value is used: fill the "
            "error columns, or drop them to have an error assumed"
        )
    if "parallax" in found.pairs and found.pairs["parallax"].error is None:
        notes.append(f"{found.pairs['parallax'].value!r} has no error column and is ignored")
    shape = (stars, len(channels))
    return DenseCells(
        channels=tuple(channels),
        value=np.stack(values, axis=1) if values else np.empty(shape),
        sigma=np.stack(sigmas, axis=1) if sigmas else np.empty(shape),
        limit=np.stack(limits, axis=1) if limits else np.empty(shape, dtype="U1"),
        rejected=rejected,
        notes=tuple(notes),
    )


def _parallax_aids(
    table: Any, found: Recognition
) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """What the table says of zero points; a column of another kind is left out with a note."""
    aids, notes = {}, []
    for aid, name in found.aids.items():
        try:
            aids[aid] = _numbers(table, name, unit=PARALLAX_AIDS[aid][1])[0]
        except MauryError as problem:
            notes.append(f"not used for the zero point of parallaxes: {problem}")
    return aids, notes


def _clean(
    table: Any, channel: str, pair: ColumnPair, refuse_text: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_], NDArray[np.bool_], bool]:
    """Value, error, limit and rejected of one channel, all (N,), and if all errors are missing."""
    allowed = _allowed(channel)
    unit = channel_unit(channel)
    value, bad = _numbers(table, pair.value, unit=unit, refuse_text=refuse_text)
    limit = _limits(table, pair.limit, len(value))
    if pair.error is None:
        sigma, bad_error = np.full(len(value), DEFAULT_ERROR), np.zeros(len(value), dtype=bool)
    else:
        error_unit = None if pair.ratio else unit
        sigma, bad_error = _numbers(table, pair.error, unit=error_unit, refuse_text=refuse_text)
    if pair.ratio:
        sigma = _error_from_ratio(value, sigma, magnitude=channel != "parallax")
    # A limit needs no error of its own in most archives.
    sigma = np.where((limit != "") & np.isnan(sigma), DEFAULT_ERROR, sigma)

    has_value = ~np.isnan(value)
    bad |= has_value & ~((value >= allowed.lower) & (value <= allowed.upper))
    bad_error |= ~np.isnan(sigma) & ~((sigma > 0) & (sigma <= allowed.largest_error))
    bad |= has_value & bad_error
    usable = has_value & ~np.isnan(sigma) & ~bad
    return (
        np.where(usable, value, np.nan),
        np.where(usable, sigma, np.nan),
        np.where(usable, limit, ""),
        bad,
        bool((has_value & ~bad).any() and np.isnan(sigma).all()),
    )


def _allowed(channel: str) -> _Range:
    if channel == "parallax":
        return _PARALLAX
    if channel.startswith(PRIOR):
        parameter = PARAMETERS[channel.removeprefix(PRIOR)]
        span = parameter.upper - parameter.lower
        # A measured A_V of -0.1 +- 0.2 is honest: allow a little beyond the bounds.
        return _Range(parameter.lower - 0.02 * span, parameter.upper + 0.02 * span, span)
    return _MAGNITUDE


def _error_from_ratio(
    value: NDArray[np.float64], ratio: NDArray[np.float64], *, magnitude: bool
) -> NDArray[np.float64]:
    """Error from value / error; for magnitudes sigma_m = (2.5 / ln 10) sigma_F / F."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (2.5 / math.log(10.0)) / ratio if magnitude else np.abs(value / ratio)


def _is_dr2(table: Any, name: str) -> NDArray[np.bool_]:
    cells, missing, _ = _column(table, name)
    text = pd.Series(cells.astype(object)).map(_decoded).astype(str).str.strip().str.upper()
    return text.str.startswith("DR2").to_numpy(dtype=bool) & ~missing


def _limits(table: Any, name: str | None, stars: int) -> NDArray[np.str_]:
    if name is None:
        return np.full(stars, "", dtype="U1")
    cells, missing, _ = _column(table, name)
    text = pd.Series(cells.astype(object)).map(_decoded).astype(str).str.strip().to_numpy("U1")
    return np.where(~missing & np.isin(text, ["<", ">"]), text, "")


def _numbers(
    table: Any, name: str, *, unit: str | None, refuse_text: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cells as float64 in ``unit``, NaN where missing, and which cells are no number at all."""
    cells, missing, found = _column(table, name)
    if cells.ndim != 1:
        raise MauryError(f"column {name!r} holds arrays of shape {cells.shape[1:]}, not numbers")
    if cells.dtype.kind in "fiu":
        values, bad = cells.astype(np.float64), np.zeros(len(cells), dtype=bool)
    elif cells.dtype.kind in "OUS":
        values, bad, missing = _parsed(cells, missing, name, refuse_text)
    else:
        raise MauryError(f"column {name!r} holds {cells.dtype.name} values, not numbers")
    values = np.where(missing, np.nan, values)
    return values * _conversion(found, unit, name), bad


def _parsed(
    cells: NDArray[Any], missing: NDArray[np.bool_], name: str, refuse_text: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    series = pd.Series(cells.astype(object)).map(_decoded)
    values = np.array(pd.to_numeric(series, errors="coerce"), dtype=np.float64)
    words = series.astype(str).str.strip()
    missing = missing | words.str.lower().isin(_MISSING_WORDS).to_numpy(dtype=bool)
    bad = np.isnan(values) & ~missing
    if refuse_text and bad.any() and bad.sum() == (~missing).sum():
        raise MauryError(
            f"column {name!r} holds text such as {words[int(np.argmax(bad))]!r}, not numbers: "
            "correct it, rename it, or map another column"
        )
    return values, bad, missing


def _decoded(cell: object) -> object:
    return cell.decode("utf-8", errors="replace") if isinstance(cell, bytes) else cell


def _column(table: Any, name: str) -> tuple[NDArray[Any], NDArray[np.bool_], Any]:
    """Cells, which are missing, and the unit, of any kind of table."""
    column = table[name]
    if hasattr(column, "to_pandas"):
        column = column.to_pandas()
    if isinstance(column, pd.Series):
        missing = column.isna().to_numpy(dtype=bool)
        kind = getattr(column.dtype, "kind", "O")
        if isinstance(column.dtype, np.dtype):
            return column.to_numpy(), missing, None
        if kind in "fiu":
            return column.to_numpy(dtype=np.float64, na_value=np.nan), missing, None
        return column.to_numpy(dtype=bool if kind == "b" else object), missing, None
    cells = np.ma.getdata(getattr(column, "value", column))
    masked = getattr(column, "mask", None)
    missing = np.zeros(len(cells), dtype=bool) if masked is None else np.asarray(masked, dtype=bool)
    if cells.dtype.kind == "O":
        missing = missing | np.array([cell is None for cell in cells], dtype=bool)
    return np.asarray(cells), missing, getattr(column, "unit", None)


def _conversion(found: Any, wanted: str | None, name: str) -> float:
    """Factor from the column's unit to ours; 1 where it states none that is understood."""
    if found is None or not wanted or isinstance(found, units.UnrecognizedUnit):
        return 1.0
    unit = units.Unit(found)
    target = units.Unit(wanted)
    # mag(AB) and mag(Vega) are logarithmic units of their own in astropy: to us all are mag.
    unit = getattr(unit, "function_unit", unit)
    target = getattr(target, "function_unit", target)
    if unit == units.dimensionless_unscaled:
        return 1.0
    try:
        return float(unit.to(target))
    except units.UnitConversionError:
        raise MauryError(
            f"column {name!r} is in {found}, but {wanted} is expected: convert or rename it"
        ) from None
