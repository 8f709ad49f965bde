"""The catalogue that a user gets: what came in besides measurements, then the answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike

from maury.errors import MauryError
from maury.flags import LEGEND
from maury.parameters import PARAMETERS

__all__ = ["describe", "flag_legend", "output_table"]

#: Ending of a result column: (what it is, UCD word). Gaia's catalogues use the same words.
_STATISTICS: dict[str, tuple[str, str]] = {
    "": ("posterior median", "stat.median"),
    "_lo": ("16th percentile of the posterior", "stat.min"),
    "_hi": ("84th percentile of the posterior", "stat.max"),
    "_mean": ("posterior mean", "stat.mean"),
    "_std": ("posterior standard deviation", "stat.stdev"),
}


def flag_legend() -> str:
    """All bits of the column ``flags`` and what they mean, in one line."""
    return "; ".join(f"{int(flag)} = {text}" for flag, text in LEGEND.items())


def describe(results: Table) -> Table:
    """The same table with unit, description and UCD on every column of a known parameter."""
    table = results.copy(copy_data=False)
    for name, parameter in PARAMETERS.items():
        for ending, (statistic, word) in _STATISTICS.items():
            if f"{name}{ending}" not in table.colnames:
                continue
            column = table[f"{name}{ending}"]
            column.unit = parameter.unit or None
            column.description = f"{statistic}: {parameter.description}"
            column.meta["ucd"] = f"{parameter.ucd};{word}"
    return table


def output_table(
    table: Table,
    results: Table,
    flags: ArrayLike,
    *,
    measured: Collection[str],
    meta: Mapping[str, str] | None = None,
) -> Table:
    """Join the input and the answers, row by row.

    Parameters
    ----------
    table : Table, N rows
        The input.
    results : Table, N rows
        Our columns; those of known parameters get unit, description and UCD.
    flags : array_like (N,) of int
        Bits of `maury.flags.Flag`; becomes the last column, with its legend.
    measured : collection of str
        The input's columns that hold measurements (`maury.columns.Recognition.columns`): they
        are left out.
    meta : mapping of str, optional
        What else to note in the table's metadata, such as the model's name.

    Returns
    -------
    Table
        A column of the input whose name we need is called ``input_<name>``.

    Raises
    ------
    MauryError
        If the numbers of rows disagree.
    """
    flags = np.asarray(flags, dtype=np.int32)
    if not len(table) == len(results) == len(flags):
        raise MauryError(
            f"{len(table)} rows came in, but there are {len(results)} answers and "
            f"{len(flags)} flags"
        )
    ours = {*results.colnames, "flags"}
    kept = [name for name in table.colnames if name not in measured]
    output = Table()
    for name in kept:
        output[_free_name(name, {*ours, *output.colnames, *kept} - {name}, ours)] = table[name]
    for name, column in describe(results).columns.items():
        output[name] = column
    output["flags"] = flags
    output["flags"].description = f"sum of bits: {flag_legend()}"
    output["flags"].meta["ucd"] = "meta.code.qual"
    output.meta = {"flags": flag_legend(), **(meta or {})}
    return output


def _free_name(name: str, others: Collection[str], ours: Collection[str]) -> str:
    if name not in ours:
        return name
    while name in others or name in ours:
        name = f"input_{name}"
    return name
