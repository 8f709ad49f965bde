"""The command line: every command calls one public function."""

from __future__ import annotations

import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from maury import __version__
from maury.cli_libraries import app as libraries
from maury.default_model import DEFAULT_MODEL
from maury.errors import MauryError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Calibrated posteriors of stellar parameters from any mix of surveys.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(libraries, name="libraries")

MORE_LIKELY = 0.5


class Engine(StrEnum):
    """Who answers a catalogue."""

    LOCAL = "local"
    DASK = "dask"


messages = Console(stderr=True, highlight=False)
output = Console(highlight=False)

Model = Annotated[str, typer.Argument(help="A shipped model's name, or a model folder.")]
OutFolder = Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Draws = Annotated[int, typer.Option(min=2, help="Posterior draws a star.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        output.print(f"maury {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command(
    epilog="Example: `maury infer stars.fits -o parameters.fits --model iris-base --draws 256`"
)
def infer(
    catalog: Annotated[
        Path, typer.Argument(help="FITS, VOTable, ECSV, CSV, Parquet, or a folder of Parquet.")
    ],
    out: Annotated[Path, typer.Option("-o", "--output", help="Output catalogue, by suffix.")],
    model: Annotated[str, typer.Option(help="Shipped name or folder.")] = DEFAULT_MODEL,
    draws: Annotated[int, typer.Option(min=1, help="Posterior draws a star.")] = 64,
    columns: Annotated[
        Path | None, typer.Option(help='TOML file: "SVO id" = ["column", "error column"].')
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    save_draws: Annotated[
        Path | None, typer.Option(help="Also write all draws, to this file, by suffix.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted run.")] = False,
    engine: Annotated[Engine, typer.Option(help="dask is for HATS catalogues.")] = Engine.LOCAL,
    workers: Annotated[int | None, typer.Option(min=1, help="Dask workers to start.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")] = None,
) -> None:
    """Posteriors for every star of a catalogue: one row for each row, in order."""
    from maury.catalogs.hats.job import infer_hats
    from maury.catalogs.job import infer_file

    if engine == Engine.DASK:
        if save_draws is not None:
            raise MauryError("--save-draws is not for the dask engine: leave it out")
        stars = infer_hats(
            catalog,
            out,
            model=model,
            draws=draws,
            seed=seed,
            columns=columns,
            device=device,
            scheduler=scheduler,
            workers=workers,
            resume=resume,
            console=messages,
        )
        _say(f"{out}: {stars:,} stars")
        return
    if workers is not None or scheduler is not None:
        raise MauryError("--workers and --scheduler are for the dask engine: add --engine dask")
    stars = infer_file(
        catalog,
        out,
        model=model,
        draws=draws,
        columns=columns,
        seed=seed,
        device=device,
        save_draws=save_draws,
        resume=resume,
        console=messages,
    )
    _say(f"{out}: {stars:,} stars")


@app.command(epilog="Example: `maury simulate configs/maury-base.toml -n 1000 -o mock.parquet`")
def simulate(
    config: Annotated[Path, typer.Argument(help="A training config or a model's config.toml.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Output catalogue, by suffix.")],
    count: Annotated[int, typer.Option("-n", min=1, help="Number of stars.")] = 1000,
    seed: Seed = 0,
) -> None:
    """Mock stars with their true parameters (`ref_*` columns)."""
    from maury.catalogs.mock import mock_catalog
    from maury.catalogs.writers import check_destination, write_table
    from maury.training.config import read_config

    check_destination(out)
    write_table(mock_catalog(read_config(config).simulator, count, seed=seed), out)
    _say(f"{out}: {count:,} stars")


@app.command(epilog="Example: `maury train configs/maury-base.toml -o runs/mine --minutes 120`")
def train(
    config: Annotated[Path, typer.Argument(help="Training config (TOML).")],
    out: OutFolder,
    resume: Annotated[bool, typer.Option(help="Go on from the folder's checkpoint.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after this long.")] = None,
    device: Device = "auto",
) -> None:
    """Train a model on simulated stars; with torchrun, on several processes or GPUs."""
    from maury.catalogs.writers import check_folder
    from maury.training.config import read_config
    from maury.training.loop import train as run

    check_folder(out)
    run(
        read_config(config),
        out,
        resume=resume,
        minutes=minutes,
        device=device,
        console=messages,
    )


@app.command(epilog="Example: `maury evaluate maury-base --catalog labelled.parquet -o report`")
def evaluate(
    model: Model,
    catalog: Annotated[Path, typer.Option(help="Catalogue with `ref_*` label columns.")],
    out: OutFolder,
    draws: Draws = 1000,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Accuracy against a catalogue's labels: `metrics.json` and plots."""
    from maury.catalogs.writers import check_folder
    from maury.evaluation.accuracy import evaluate as run
    from maury.evaluation.report import rich_table, write_report
    from maury.inference.posterior import Posterior

    check_folder(out)
    result = run(Posterior.load(model, device=device), catalog, draws=draws, seed=seed)
    write_report(result, out, title=f"{model} on {catalog.name}")
    output.print(rich_table(result, title=escape(f"{model} on {catalog.name}")))


@app.command(epilog="Example: `maury calibrate maury-base -o report`")
def calibrate(
    model: Model,
    out: OutFolder,
    stars: Annotated[int, typer.Option("-n", min=10, help="Fresh simulated stars.")] = 5000,
    draws: Draws = 1000,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Coverage, SBC and TARP on fresh simulations: `metrics.json` and plots."""
    from maury.catalogs.writers import check_folder
    from maury.evaluation.calibration import calibrate as run
    from maury.evaluation.reliability import reliability
    from maury.evaluation.report import rich_table, write_reliability, write_report
    from maury.inference.posterior import Posterior
    from maury.sky.populations.surveyed.cells import YOUNG

    check_folder(out)
    posterior = Posterior.load(model, device=device)
    simulations = posterior.simulate(stars, seed=seed)
    result = run(posterior, simulations, draws=draws, seed=seed)
    write_report(result, out, title=f"{model} on simulations")
    output.print(rich_table(result, title=escape(f"{model} on simulations")))
    chances = posterior.populations(simulations[1])
    if not chances:
        return
    # Chosen by what was measured: a choice by the truth itself would leave no posterior calibrated.
    p_young = 1 - chances["field"].numpy()
    if (p_young > MORE_LIKELY).any():
        young, title = result.of(p_young > MORE_LIKELY), f"{model} on stars that look young"
        write_report(young, out / "young", title=title)
        output.print(rich_table(young, title=escape(title)))
    truth = simulations[0][:, posterior.parameters.index("log_age")].numpy() < YOUNG
    curve = reliability(p_young, truth)
    write_reliability(curve, out, name="p_young", what="an age below 50 Myr")
    output.print(f"p_young: area under ROC {curve.area:.3f}, worst bin {curve.worst:.1f} sigma")


@app.command()
def bands() -> None:
    """All bands that maury knows."""
    from maury.sky.bands import band, band_ids

    table = RichTable("id", "pivot (A)", "system", "detector", "floor (mag)")
    for name in band_ids():
        b = band(name)
        table.add_row(b.id, f"{b.pivot:.0f}", b.system, b.detector, f"{b.floor:.2f}")
    output.print(table)


@app.command()
def models() -> None:
    """All models that come with maury."""
    from maury.training.config import read_config
    from maury.training.folder import find_model, model_names

    table = RichTable("name", "description")
    for name in model_names():
        table.add_row(name, escape(read_config(find_model(name) / "config.toml").description))
    output.print(table)


def main() -> None:
    """Run a command; what the user got wrong ends in one line and exit code 2, what failed
    otherwise in exit code 1; no traceback."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning  # type: ignore[assignment]
        try:
            app()
        except MauryError as error:
            messages.print(f"[red]Error:[/red] {escape(str(error))}", soft_wrap=True)
            # A failed download is an OSError too: no mistake of the user's.
            sys.exit(1 if isinstance(error, OSError) else 2)
        except OSError as error:
            messages.print(f"[red]Error:[/red] {escape(str(error))}", soft_wrap=True)
            sys.exit(1)
        except (MemoryError, RuntimeError) as error:
            # torch says by a RuntimeError that it got no memory; any other is a fault of ours.
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            messages.print("[red]Error:[/red] out of memory: ask for fewer draws or fewer stars")
            sys.exit(1)


def _say(text: str) -> None:
    # Names of files and columns may hold brackets, which rich would take for its own.
    messages.print(text, markup=False, soft_wrap=True)


def _show_warning(message: Warning | str, *_: object) -> None:
    messages.print(f"[yellow]Warning:[/yellow] {escape(str(message))}", soft_wrap=True)
