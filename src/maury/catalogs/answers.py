"""From some rows of a catalogue to their rows of the output."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from astropy.table import Table

from maury.catalogs.arrow import to_arrow
from maury.catalogs.output import output_table
from maury.columns import ColumnPair, ColumnWarning, recognise
from maury.errors import MauryError
from maury.inference.chromospheres import leave_out_chromospheres
from maury.inference.draws import Draws
from maury.inference.posterior import Posterior
from maury.measurements import Measurements

__all__ = [
    "ANSWERS",
    "DRAWS",
    "ColumnMap",
    "Request",
    "answer",
    "answer_some",
    "check",
    "rows_at_once",
]

ANSWERS = "answers"
DRAWS = "draws"

ROWS_AT_ONCE = 4096
"""Most rows that are answered at once."""

DRAWS_AT_ONCE = 64 * ROWS_AT_ONCE
"""Bound on memory: with more draws a star, fewer rows are answered at once."""

NAMES_SHOWN = 8
"""How many of a table's columns an error lists."""

ColumnMap = Mapping[str, str | Sequence[str] | ColumnPair]
"""Channel to column, or to column and error column."""


@dataclass(frozen=True)
class Request:
    """What is asked of every star.

    Parameters
    ----------
    model : str
        Shipped name or folder.
    draws : int
    seed : int
    columns : mapping or None
    device : str
    keep_draws : bool
    """

    model: str
    draws: int
    seed: int
    columns: ColumnMap | None
    device: str
    keep_draws: bool


def rows_at_once(draws: int) -> int:
    """How many rows are answered at once."""
    return max(1, min(ROWS_AT_ONCE, DRAWS_AT_ONCE // draws))


def check(posterior: Posterior, table: Table, columns: ColumnMap | None) -> None:
    """Refuse, or warn of, what the model cannot use in the first rows of a catalogue.

    Raises
    ------
    MauryError
        If a recognised column holds no numbers, or no column is of use.
    """
    observations = Measurements.from_table(table, columns=columns)
    usable = posterior.usable(observations.channels)
    if not usable:
        known = ", ".join(observations.channels) or "none"
        names = table.colnames
        found = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
        raise MauryError(
            f"no column is of use to model {posterior.name!r} (columns: {found}; recognised as "
            f"bands: {known}); rename columns as 'maury bands' lists them or map them (--columns)"
        )
    unused = [name for name in observations.channels if name not in usable]
    if unused:
        warnings.warn(
            f"model {posterior.name!r} does not use {', '.join(unused)}: ignored",
            ColumnWarning,
            stacklevel=4,
        )


def answer(
    posterior: Posterior, table: Table, request: Request, *, first: int
) -> dict[str, pa.Table]:
    """The output of some rows as arrow tables: `ANSWERS`, and `DRAWS` if they are to be kept.

    Parameters
    ----------
    posterior : Posterior
    table : Table
    request : Request
    first : int
        Number of the table's first row in its catalogue.
    """
    result, draws = answer_some(
        posterior, table, draws=request.draws, seed=request.seed, columns=request.columns
    )
    found = {ANSWERS: to_arrow(result)}
    if request.keep_draws:
        found[DRAWS] = to_arrow(_draws_table(draws, first))
    return found


def answer_some(
    posterior: Posterior, table: Table, *, draws: int, seed: int, columns: ColumnMap | None
) -> tuple[Table, Draws]:
    """Output and draws of some rows of a table that `check` has passed.

    A column that holds no numbers here may hold some elsewhere: its cells count as bad.
    """
    recognition = recognise(table.colnames, columns=columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColumnWarning)
        observations = Measurements.from_table(table, columns=columns, refuse_text=False)
    observations = leave_out_chromospheres(posterior, observations)
    sample = posterior.sample(observations, draws, seed=seed)
    result = output_table(
        table,
        _summary(posterior, observations, sample),
        posterior.flags(observations, sample).numpy(),
        measured=recognition.columns,
        meta={"model": posterior.name, "draws": str(draws), "seed": str(seed)},
    )
    return result, sample


def _summary(posterior: Posterior, observations: Measurements, draws: Draws) -> Table:
    """Quantiles of each parameter, and what kind of star it may be."""
    table = draws.summary()
    chances = posterior.populations(observations)
    if chances:
        young, with_disc = (1 - chances["field"]).numpy(), chances["young with disc"].numpy()
        for name, chance, text in (
            ("p_young", young, "probability of an age below 50 Myr"),
            ("p_disc", with_disc, "probability of a circumstellar disc"),
        ):
            table[name] = chance
            table[name].description = text
            table[name].meta["ucd"] = "stat.probability"
    return table


def _draws_table(draws: Draws, first: int) -> Table:
    """One row for each star and draw: ``star`` (row of the catalogue), ``draw``, parameters."""
    count, stars, _ = draws.values.shape
    table = Table()
    table["star"] = np.repeat(np.arange(first, first + stars), count)
    table["draw"] = np.tile(np.arange(count), stars)
    for name in draws.parameters:
        table[name] = draws[name].T.reshape(-1).numpy()
    return table
