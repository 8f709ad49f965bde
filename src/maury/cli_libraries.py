"""`maury libraries`: which spectral libraries there are, having them, and comparing two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

__all__ = ["app"]

app = typer.Typer(
    help="Spectral libraries: list, fetch and compare them.",
    invoke_without_command=True,
    rich_markup_mode="markdown",
)

_messages = Console(stderr=True, highlight=False)
_output = Console(highlight=False)


@app.callback()
def libraries(context: typer.Context) -> None:
    """All spectral libraries that maury knows, and which of them are on disk.

    They are kept in the folder `libraries` of the cache: `$MAURY_CACHE`, else `~/.cache/maury`.
    """
    if context.invoked_subcommand is not None:
        return
    from maury.sky.libraries import library_names, library_path
    from maury.sky.libraries.fetch import library_folder
    from maury.sky.libraries.sources import SOURCES

    table = RichTable("name", "what it is", "download", "on disk")
    for name in library_names():
        source = SOURCES.get(name)
        if source is None:
            table.add_row(name, "the default: PHOENIX and Kurucz, held to the Sun", "", "packaged")
            continue
        if source.read is None:
            how = "scripts/build_sedfit_libraries.py"
        else:
            how = source.size or "files of your own (--from)"
        here = "yes" if library_path(name) else "no"
        table.add_row(name, escape(source.description), how, here)
    _output.print(table)
    _messages.print(f"kept in {library_folder()}", markup=False, soft_wrap=True)


@app.command(epilog="Example: `maury libraries fetch ck04`")
def fetch(
    name: Annotated[str, typer.Argument(help="A name of `maury libraries`.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Folder (or packed file) with the files: nothing downloaded."),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="Address that holds the publisher's files, in its place.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep the downloaded files once packed.")] = False,
) -> None:
    """Download a library, check it and pack it into one file; a broken download goes on."""
    from maury.sky.libraries import fetch_library

    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not _messages.is_terminal
    with Progress(*columns, console=_messages, transient=True, disable=hidden) as bar:
        task = bar.add_task(name, total=None)
        path = fetch_library(
            name,
            source=source,
            mirror=mirror,
            keep=keep,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _messages.print(f"{path}: library {name}", markup=False, soft_wrap=True)


@app.command(epilog="Example: `maury libraries compare phoenix-kurucz ck04 -o comparison`")
def compare(
    first: Annotated[str, typer.Argument(help="A library's name, or its file.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
) -> None:
    """How two libraries differ in every band over the HR diagram: table and pictures."""
    from maury.evaluation.library_report import rich_medians, write_comparison
    from maury.sky.bands import band, band_ids
    from maury.sky.libraries import load_library
    from maury.sky.libraries.compare import compare_libraries

    comparison = compare_libraries(
        load_library(first), load_library(second), [band(name) for name in band_ids()]
    )
    write_comparison(comparison, out)
    for table in rich_medians(comparison):
        _output.print(table)
    if comparison.left_out:
        names = ", ".join(comparison.left_out)
        _messages.print(f"left out, beyond the spectra: {names}", markup=False, soft_wrap=True)
