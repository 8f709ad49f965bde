"""The whole job: a HATS catalogue in, a HATS catalogue of posteriors out.

HATS cuts the sky into HEALPix pixels with a Parquet file for each, LSDB maps a function over them.
A worker reads a pixel, answers its stars and writes the output's pixel, so that stars never pass
from one process to another. All is written into a hidden folder beside the output: whatever dies,
what is finished stays finished, and only the whole gets the output's name.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from astropy.table import Table, vstack
from rich.console import Console
from rich.progress import Progress

from maury import __version__
from maury.catalogs.answers import Request, answer_some, check, rows_at_once
from maury.catalogs.arrow import as_table, to_arrow
from maury.catalogs.hats.folder import (
    begun,
    conclude,
    concluded,
    finished_pixels,
    is_finished,
    join,
    map_order,
    rows_written,
    write_pixel,
)
from maury.catalogs.hats.workers import ClusterError, connected, posterior_of_worker
from maury.catalogs.output import flag_legend
from maury.catalogs.progress import bar_of_stars
from maury.catalogs.writers import check_folder
from maury.columns import ColumnPair, read_mapping, recognise
from maury.default_model import DEFAULT_MODEL
from maury.errors import MauryError
from maury.inference.posterior import Posterior

if TYPE_CHECKING:
    from distributed import Client
    from hats import HealpixPixel
    from lsdb import Catalog
    from lsdb.catalog.dataset.healpix_dataset import HealpixDataset

__all__ = ["infer_hats", "unfinished"]

MANIFEST = "manifest.json"

LOOKED_AT = 1000
"""So many stars tell whether the columns make sense."""


def infer_hats(
    catalog: Path,
    out: Path,
    *,
    model: str = DEFAULT_MODEL,
    draws: int = 64,
    seed: int = 0,
    columns: Path | None = None,
    device: str = "auto",
    scheduler: str | None = None,
    workers: int | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> int:
    """`maury.infer` from HATS catalogue to HATS catalogue; returns the number of stars.

    The output is a collection with the rows, the pixels, the spatial index and, where there is
    one, the margin of the input; its columns are those of `maury.infer`.

    Parameters
    ----------
    catalog, out : Path
        Folders that all workers see.
    model : str
        A shipped name, or a folder that all workers see.
    columns : Path, optional
        TOML file, as for `maury.infer`.
    device : str
        auto, cpu or cuda, of the workers.
    scheduler : str, optional
        Address of a Dask scheduler; by default workers are started on this machine.
    workers : int, optional
        How many to start; by default one for each GPU or, without, for each core.
    resume : bool
        Go on from where a job with the same settings ended.
    console : Console, optional
        Progress goes there if it is a terminal.

    Raises
    ------
    MauryError
        If the catalogue cannot be read or answered (see `maury.infer`), the output exists, or an
        unfinished job for it is in the way.
    ClusterError
        If workers failed. What they have finished is kept for ``resume``.
    """
    if out.exists():
        raise MauryError(f"{out}: this exists already; give the output another name")
    check_folder(out.absolute().parent)
    request = Request(
        # Workers may stand in another folder.
        str(Path(model).resolve()) if Path(model).is_dir() else model,
        draws,
        seed,
        None if columns is None else read_mapping(columns),
        device,
        keep_draws=False,
    )
    stars = _open(catalog)
    posterior = Posterior.load(model, device="cpu")
    check(posterior, _first_stars(stars), request.columns)
    kept, ours = _answers(stars.meta, posterior, request)
    partial = unfinished(out)
    _begin(partial, _manifest(catalog, stars, posterior, request), resume=resume)
    parts = _parts(stars, partial, re.sub(r"\W+", "_", out.name))
    with _failing_well(partial, out), connected(scheduler, workers, device) as client:
        with bar_of_stars(console) as bar:
            for part, folder in parts:
                _fill(part, folder, request, client, bar)
        for part, folder in parts:
            answers = part.map_partitions(_of_worker, request, meta=_joined(kept, ours))
            conclude(answers, folder, columns=ours, properties=_properties(posterior, request))
        rows = _all_rows(stars, parts[0][1])
        join(partial, *(folder.name for _, folder in parts))
        (partial / MANIFEST).unlink()
        partial.rename(out)
    return rows


def unfinished(out: Path) -> Path:
    """The folder of a job's work until all of it is done."""
    return out.absolute().with_name(f"{out.name}.parts")


# -- on the workers --------------------------------------------------------------------------


def _answers(
    frame: pd.DataFrame, posterior: Posterior, request: Request
) -> tuple[pd.DataFrame, Table]:
    """What stays of the input's columns, just as it is, and ours."""
    table = as_table(_plain(frame))
    size = rows_at_once(request.draws)
    some = [
        answer_some(
            posterior,
            table[start : start + size],
            draws=request.draws,
            seed=request.seed,
            columns=request.columns,
        )[0]
        for start in range(0, max(1, len(table)), size)
    ]
    output = vstack(some, metadata_conflicts="silent") if len(some) > 1 else some[0]
    measured = recognise(table.colnames, columns=request.columns).columns
    kept = frame[[name for name in frame.columns if name not in measured]]
    count = kept.shape[1]
    return kept.set_axis(output.colnames[:count], axis=1), output[output.colnames[count:]]


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the spatial index, which would be taken for a column."""
    return pd.DataFrame(frame).reset_index(drop=True)


def _joined(kept: pd.DataFrame, ours: Table) -> pd.DataFrame:
    """One frame with the input's spatial index; a cell without an answer is NaN, not null."""
    answers = to_arrow(ours).to_pandas(types_mapper=pd.ArrowDtype)
    return pd.concat([kept, answers.set_axis(kept.index, axis=0)], axis=1)


def _of_worker(frame: pd.DataFrame, request: Request) -> pd.DataFrame:
    posterior = posterior_of_worker(request.model, request.device)
    return _joined(*_answers(frame, posterior, request))


def _finish(
    frame: pd.DataFrame, pixel: HealpixPixel, request: Request, folder: str, order: int
) -> pd.DataFrame:
    """Answer and write a pixel; a mistake of the user's is reported, since Dask did not fail."""
    try:
        # A worker may have died between finishing a pixel and saying so.
        if len(frame) and not is_finished(pixel, Path(folder)):
            write_pixel(_of_worker(frame, request), pixel, Path(folder), order)
    except MauryError as problem:
        return _report(0, str(problem))
    return _report(len(frame), "")


def _report(stars: int, problem: str) -> pd.DataFrame:
    return pd.DataFrame({"stars": [stars], "problem": pd.Series([problem], dtype=object)})


# -- on the client ---------------------------------------------------------------------------


def _open(catalog: Path) -> Catalog:
    try:
        import lsdb
    except ImportError as problem:
        raise MauryError(
            f"HATS catalogues need LSDB ({problem}): pip install 'maury[catalog]'"
        ) from None
    try:
        return lsdb.open_catalog(catalog.absolute(), columns="all")
    except Exception as problem:
        # The libraries raise anything from FileNotFoundError to TypeError on what is no catalogue.
        raise MauryError(
            f"{catalog}: cannot read this; a HATS catalogue is expected ({_line(problem)})"
        ) from None


def _first_stars(stars: Catalog) -> Table:
    """Some of the first pixel that has any."""
    for part in stars.partitions:
        frame = part.compute(progress_bar=False)
        if len(frame):
            return as_table(_plain(frame[:LOOKED_AT]))
    return as_table(_plain(stars.meta))


def _manifest(
    catalog: Path, stars: Catalog, posterior: Posterior, request: Request
) -> dict[str, object]:
    """All that the pixels of a job depend on."""
    columns = {
        channel: asdict(pair) if isinstance(pair, ColumnPair) else pair
        for channel, pair in (request.columns or {}).items()
    }
    return {
        "maury": __version__,
        "catalog": str(catalog.resolve()),
        "stars": stars.hc_structure.catalog_info.total_rows,
        "model": posterior.fingerprint,
        "draws": request.draws,
        "seed": request.seed,
        "columns": columns,
        "device": request.device,
    }


def _begin(partial: Path, manifest: Mapping[str, object], *, resume: bool) -> None:
    """Make the folder, or see to it that what it holds belongs to this job."""
    note = partial / MANIFEST
    if not note.exists() and partial.exists() and any(partial.iterdir()):
        raise MauryError(f"{partial}: is in the way; rename or delete it")
    if begun(partial):
        if not resume:
            raise MauryError(
                f"{partial}: holds an unfinished run; go on with --resume, or delete that folder "
                "to begin anew"
            )
        try:
            found = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise MauryError(f"{note}: damaged; delete {partial} and begin anew") from None
        for key, value in manifest.items():
            if found.get(key) != value:
                raise MauryError(
                    f"{partial}: belongs to another run ({key} was {found.get(key)!r}, now "
                    f"{value!r}); give that run's options, or delete the folder to begin anew"
                )
    partial.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _properties(posterior: Posterior, request: Request) -> dict[str, str]:
    """What a reader of the output should know of its origin."""
    return {
        "maury_version": __version__,
        "maury_model": posterior.name,
        "maury_draws": str(request.draws),
        "maury_seed": str(request.seed),
        "maury_flags": flag_legend(),
    }


def _parts(stars: Catalog, partial: Path, name: str) -> list[tuple[HealpixDataset, Path]]:
    """The catalogue and its margin, where it has one, and folders for them as LSDB names them."""
    parts: list[tuple[HealpixDataset, Path]] = [(stars, partial / name)]
    if stars.margin is not None:
        width = int(stars.margin.hc_structure.catalog_info.margin_threshold or 0)
        parts.append((stars.margin, partial / f"{name}_{width}arcs"))
    return parts


def _fill(
    part: HealpixDataset, folder: Path, request: Request, client: Client, bar: Progress
) -> None:
    """Have every pixel answered that is not finished yet."""
    from distributed import as_completed

    if concluded(folder):
        return
    finished, info = finished_pixels(folder), part.hc_structure.catalog_info
    task = bar.add_task(folder.name, total=info.total_rows, completed=sum(finished.values()))
    left = [pixel for pixel in part.get_healpix_pixels() if pixel not in finished]
    if not left:
        return
    order = map_order(part)
    mapped = part.partitions[left].map_partitions(
        _finish, request, str(folder), order, meta=_report(0, "")[:0], include_pixel=True
    )
    tasks = mapped.to_delayed()
    futures = client.get(dict(tasks[0].dask), [one.key for one in tasks], sync=False)
    # Each is let go as soon as it has reported: of a worker that dies, Dask repeats all that
    # somebody may still ask for.
    for future, report in as_completed(futures, with_results=True):
        future.release()
        problem = report["problem"].iloc[0]
        if problem:
            raise MauryError(problem)
        bar.advance(task, int(report["stars"].iloc[0]))


def _all_rows(stars: Catalog, folder: Path) -> int:
    rows, expected = rows_written(folder), stars.hc_structure.catalog_info.total_rows
    if expected is not None and rows != expected:
        raise ClusterError(
            f"{expected} stars came in, {rows} are in {folder}: do all workers see that folder?"
        )
    return rows


@contextmanager
def _failing_well(partial: Path, out: Path) -> Iterator[None]:
    """Keep finished work, and say in one line what happened."""
    try:
        yield
    except BaseException as problem:
        kept = begun(partial)
        if not kept:
            shutil.rmtree(partial, ignore_errors=True)
        if isinstance(problem, MauryError) or not isinstance(problem, Exception):
            raise
        what = f"; what is done is kept in {partial}: go on with --resume" if kept else ""
        raise ClusterError(f"{out}: the workers failed: {_line(problem)}{what}") from problem


def _line(problem: Exception) -> str:
    return next(iter(str(problem).strip().splitlines()), type(problem).__name__)
