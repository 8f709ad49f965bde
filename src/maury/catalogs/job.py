"""The whole job: a catalogue in, a catalogue of posteriors out."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from astropy.table import Table, vstack
from rich.console import Console

from maury import __version__
from maury.catalogs.answers import (
    ANSWERS,
    DRAWS,
    ColumnMap,
    Request,
    answer_some,
    check,
    rows_at_once,
)
from maury.catalogs.arrow import as_table
from maury.catalogs.parts import Parts
from maury.catalogs.processes import Task, answers_in_order
from maury.catalogs.progress import bar_of_stars
from maury.catalogs.readers import Catalog, open_catalog, read_table
from maury.catalogs.writers import check_destination, write_parts
from maury.columns import ColumnPair, read_mapping
from maury.default_model import DEFAULT_MODEL
from maury.errors import MauryError
from maury.inference.posterior import Posterior

__all__ = ["infer", "infer_file"]

TASKS_A_PART = 16
"""A part is written when so many tasks are done: a killed run loses no more than that."""

ENDS = 1 << 20
"""Bytes at either end of a file by which it is known again."""


def infer(
    catalog: Table | str | Path | Any,
    *,
    model: str | Path | Posterior = DEFAULT_MODEL,
    draws: int = 64,
    seed: int = 0,
    columns: ColumnMap | str | Path | None = None,
    device: str = "auto",
) -> Table:
    """Posteriors of every star of a catalogue that fits into memory.

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
    posterior = model if isinstance(model, Posterior) else Posterior.load(model, device=device)
    mapping = read_mapping(columns) if isinstance(columns, str | Path) else columns
    check(posterior, table, mapping)
    size = rows_at_once(draws)
    parts = [
        answer_some(
            posterior,
            table[start : start + size],
            draws=draws,
            seed=seed,
            columns=mapping,
        )[0]
        for start in range(0, max(1, len(table)), size)
    ]
    return vstack(parts, metadata_conflicts="silent") if len(parts) > 1 else parts[0]


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
    resume: bool = False,
    console: Console | None = None,
) -> int:
    """`infer` from file to file, neither of which need fit into memory.

    Stars are answered by as many processes as torch would use threads; finished parts are kept
    in ``<out>.parts`` until the whole is there.

    Parameters
    ----------
    catalog, out : Path
        See `maury.catalogs.readers.read_table`.
    model, draws, seed, device
        As for `infer`.
    columns : Path, optional
        TOML file of a column map.
    save_draws : Path, optional
        Where all draws go, too: one row for each star and draw.
    resume : bool
        Go on with a run that was interrupted, if there is one.
    console : rich Console, optional
        Where progress goes, if it is a terminal.

    Returns
    -------
    int
        Number of stars.

    Raises
    ------
    MauryError
        As `infer`; if a file cannot be read or written; if there is an unfinished run and
        ``resume`` is not set, or it is one of other options.
    OSError
        If the disc is full, or a process was killed. What is finished is kept.
    """
    outputs = {ANSWERS: out} if save_draws is None else {ANSWERS: out, DRAWS: save_draws}
    _check_outputs(outputs, catalog)
    source = open_catalog(catalog)
    mapping = None if columns is None else read_mapping(columns)
    request = Request(model, draws, seed, mapping, device, keep_draws=save_draws is not None)
    posterior = Posterior.load(model, device=device)
    parts = Parts.open(out, tuple(outputs), _manifest(source, posterior, request), resume=resume)
    try:
        _fill(parts, source, posterior, request, console)
        for name, path in outputs.items():
            write_parts(partial(parts.tables, name), path)
    except BaseException as problem:
        done = sum(parts.rows())
        if done == 0:
            parts.remove()
            raise
        kept = f"{done:,} rows are done and kept in {parts.folder}: go on with --resume"
        if isinstance(problem, MauryError):
            raise MauryError(f"{problem}; {kept}") from None
        if isinstance(problem, OSError):
            raise OSError(f"{problem}; {kept}") from None
        raise
    done = sum(parts.rows())
    parts.remove()
    return done


def _fill(
    parts: Parts, source: Catalog, posterior: Posterior, request: Request, console: Console | None
) -> None:
    """Answer what is not yet among the parts."""
    finished = parts.rows()
    done, number = sum(finished), len(finished)
    size = rows_at_once(request.draws)
    if finished and (done == source.rows or finished[-1] < TASKS_A_PART * size):
        return
    tasks = _tasks(source, size, skip=done)
    first = list(itertools.islice(tasks, 2))
    if done and not len(first[0].table):
        return
    check(posterior, first[0].table, request.columns)
    alone = len(first) == 1 or posterior.device.type != "cpu"
    processes = 1 if alone else torch.get_num_threads()
    answers = answers_in_order(
        itertools.chain(first, tasks), posterior, request, processes=processes
    )
    with bar_of_stars(console) as bar:
        shown = bar.add_task("stars", total=source.rows, completed=done)
        while some := list(itertools.islice(answers, TASKS_A_PART)):
            joined = {
                name: pa.concat_tables([one[name] for one in some], promote_options="permissive")
                for name in parts.names
            }
            parts.write(number, joined)
            number += 1
            bar.advance(shown, len(joined[ANSWERS]))


def _tasks(source: Catalog, size: int, *, skip: int) -> Iterator[Task]:
    first = skip
    for table in source.batches(size, skip=skip):
        yield Task(first, table)
        first += len(table)


def _manifest(source: Catalog, posterior: Posterior, request: Request) -> dict[str, object]:
    """All that the parts of a run depend on."""
    columns = {
        channel: asdict(pair) if isinstance(pair, ColumnPair) else pair
        for channel, pair in (request.columns or {}).items()
    }
    return {
        "maury": __version__,
        "catalog": _known_by(source),
        "model": posterior.fingerprint,
        "draws": request.draws,
        "seed": request.seed,
        "columns": columns,
        "device": posterior.device.type,
        "rows a part": TASKS_A_PART * rows_at_once(request.draws),
    }


def _known_by(source: Catalog) -> str:
    """Hash of a catalogue's sizes and ends; a copy of it is the same."""
    digest = hashlib.sha256()
    for path in source.files:
        size = path.stat().st_size
        digest.update(f"{size}/".encode())
        with path.open("rb") as file:
            digest.update(file.read(ENDS))
            file.seek(max(0, size - ENDS))
            digest.update(file.read(ENDS))
    return digest.hexdigest()


def _check_outputs(outputs: dict[str, Path], catalog: Path) -> None:
    for path in outputs.values():
        check_destination(path)
        # The output lacks the measurements: written over the catalogue, it would lose them.
        if path.exists() and catalog.exists() and path.samefile(catalog):
            raise MauryError(f"{path}: this is the catalogue itself; give the output another name")
    if len({path.absolute() for path in outputs.values()}) < len(outputs):
        raise MauryError(
            f"{outputs[ANSWERS]}: the draws need a file of their own, give --save-draws another"
        )
