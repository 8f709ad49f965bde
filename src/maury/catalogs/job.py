"""The whole job: a catalogue in, a catalogue of posteriors out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from maury.catalogs.arrow import as_table
from maury.catalogs.output import output_table
from maury.catalogs.readers import read_table
from maury.catalogs.writers import check_destination, write_table
from maury.columns import ColumnPair, ColumnWarning, read_mapping, recognise
from maury.default_model import DEFAULT_MODEL
from maury.errors import MauryError
from maury.inference.chromospheres import leave_out_chromospheres
from maury.inference.draws import Draws
from maury.inference.posterior import Posterior
from maury.measurements import Measurements

__all__ = ["infer", "infer_file"]

ROWS_AT_ONCE = 20_000

NAMES_SHOWN = 8
"""How many of a table's columns an error lists."""

ColumnMap = Mapping[str, str | Sequence[str] | ColumnPair] | str | Path
"""Channel to column, or to column and error column; or a TOML file of such lines."""


def infer(
    catalog: Table | str | Path | Any,
    *,
    model: str | Path | Posterior = DEFAULT_MODEL,
    draws: int = 64,
    seed: int = 0,
    columns: ColumnMap | None = None,
    device: str = "auto",
) -> Table:
    """Posteriors of every star of a catalogue.

    Parameters
    ----------
    catalog : astropy Table, pandas DataFrame, pyarrow Table, or path
    model : str, path or Posterior
    draws : int
        Posterior draws for each star.
    seed : int
    columns : mapping or path, optional
        Channel to column, or to (column, error column), for names that maury does not recognise;
        or a TOML file that says so.
    device : str
        auto, cpu or cuda; a Posterior stays where it is.

    Returns
    -------
    astropy Table
        One row for each row of the catalogue, in order: its columns that are not measurements,
        then ``<name>``, ``_lo``, ``_hi``, ``_mean``, ``_std`` of each parameter, ``p_young`` and
        ``p_disc`` of models that tell young stars, and ``flags``.

    Raises
    ------
    MauryError
        If the catalogue cannot be read, holds no channel that the model knows, or a recognised
        column holds no numbers.
    """
    table = read_table(catalog) if isinstance(catalog, str | Path) else as_table(catalog)
    return _answer(table, _posterior(model, device), draws, seed, columns, keep_draws=False)[0]


def infer_file(
    catalog: Path,
    out: Path,
    *,
    model: str = DEFAULT_MODEL,
    draws: int = 64,
    seed: int = 0,
    columns: Path | None = None,
    device: str = "auto",
    save_draws: Path | None = None,
    console: Console | None = None,
) -> int:
    """`infer` from file to file; returns the number of stars. See `infer` for errors.

    Progress goes to ``console`` where that is a terminal.
    """
    for destination in (out, save_draws):
        if destination is not None:
            check_destination(destination)
            _spare_input(destination, catalog)
    if save_draws is not None and save_draws.absolute() == out.absolute():
        raise MauryError(f"{out}: the draws need a file of their own, give --save-draws another")
    table = read_table(catalog)
    result, every_draw = _answer(
        table,
        _posterior(model, device),
        draws,
        seed,
        columns,
        keep_draws=save_draws is not None,
        console=console,
    )
    write_table(result, out)
    if save_draws is not None:
        write_table(_draws_table(Draws.concatenate(every_draw)), save_draws)
    return len(result)


def _answer(
    table: Table,
    posterior: Posterior,
    draws: int,
    seed: int,
    columns: ColumnMap | None,
    *,
    keep_draws: bool,
    console: Console | None = None,
) -> tuple[Table, list[Draws]]:
    """The output catalogue and, on demand because they fill the memory, all draws in parts."""
    mapping = read_mapping(columns) if isinstance(columns, str | Path) else columns
    recognition = recognise(table.colnames, columns=mapping)
    observations = Measurements.from_table(table, columns=mapping)
    _check_channels(observations, posterior, table.colnames)
    parts: list[Draws] = []
    flags, summaries = [], []
    with _bar(console) as bar:
        task = bar.add_task("stars", total=len(observations))
        for start in range(0, max(1, len(observations)), ROWS_AT_ONCE):
            some = observations[start : start + ROWS_AT_ONCE]
            some = leave_out_chromospheres(posterior, some)
            part = posterior.sample(some, draws, seed=seed)
            if keep_draws:
                parts.append(part)
            summaries.append(_summary(posterior, some, part))
            flags.append(posterior.flags(some, part).numpy())
            bar.advance(task, len(some))
    result = output_table(
        table,
        vstack(summaries, metadata_conflicts="silent") if len(summaries) > 1 else summaries[0],
        np.concatenate(flags),
        measured=recognition.columns,
        meta={"model": posterior.name, "draws": str(draws), "seed": str(seed)},
    )
    return result, parts


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


def _bar(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=console is None or not console.is_terminal,
    )


def _spare_input(destination: Path, catalog: Path) -> None:
    """The output lacks the measurements: written over the catalogue, it would lose them."""
    if destination.exists() and catalog.exists() and destination.samefile(catalog):
        raise MauryError(
            f"{destination}: this is the catalogue itself; give the output another name"
        )


def _check_channels(
    observations: Measurements, posterior: Posterior, columns: Sequence[str]
) -> None:
    """Warn once of what the model cannot use; refuse a table of which it can use nothing."""
    usable = posterior.usable(observations.channels)
    if not usable:
        known = ", ".join(observations.channels) or "none"
        found = ", ".join(columns[:NAMES_SHOWN]) + (", ..." if len(columns) > NAMES_SHOWN else "")
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


def _posterior(model: str | Path | Posterior, device: str) -> Posterior:
    return model if isinstance(model, Posterior) else Posterior.load(model, device=device)


def _draws_table(draws: Draws) -> Table:
    """One row for each star and draw: ``star`` (row of the catalogue), ``draw``, parameters."""
    count, stars, _ = draws.values.shape
    table = Table()
    table["star"] = np.repeat(np.arange(stars), count)
    table["draw"] = np.tile(np.arange(count), stars)
    for name in draws.parameters:
        table[name] = draws[name].T.reshape(-1).numpy()
    return table
