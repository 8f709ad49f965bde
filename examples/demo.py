"""Show what `maury infer` wrote for the packaged example: a table here, pictures in a folder.

    maury infer src/maury/data/ngc2547.csv -o demo/ngc2547.fits --save-draws demo/draws.parquet
    python examples/demo.py demo/ngc2547.fits demo/draws.parquet -o demo

`make demo` does both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

import maury
from maury.catalogs.readers import read_table
from maury.default_model import DEFAULT_MODEL
from maury.evaluation import plots
from maury.evaluation.accuracy import evaluate
from maury.inference.posterior import Posterior

ROWS = 12
COLUMNS = {
    "teff": ("Teff (K)", 0),
    "logg": ("log g", 2),
    "a_v": ("A_V (mag)", 2),
    "mass": ("mass (Sun)", 2),
}
"""Heads of the printed table and how many decimals it gives."""
SUN = 5772


def main() -> None:
    """Print some of the answers and draw three pictures of them."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("answers", type=Path, help="catalogue that maury infer wrote")
    parser.add_argument("draws", type=Path, help="draws that it wrote with --save-draws")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="the model that wrote them")
    args = parser.parse_args()

    answers = read_table(args.answers)
    Console().print(some_rows(answers))
    args.output.mkdir(parents=True, exist_ok=True)
    plots.save(plots.hr_diagram(answers), args.output / "kiel.png")
    model = Posterior.load(args.model)
    plots.save(plots.labels(evaluate(model, maury.example())), args.output / "teff.png")
    star = int(np.argmin(np.abs(answers["ref_teff"] - SUN)))
    draws = read_table(args.draws)
    values = np.column_stack([draws[name][draws["star"] == star] for name in model.parameters])
    plots.save(plots.corner(values, model.parameters), args.output / "corner.png")
    print(
        f"{args.output}: kiel.png (all stars), teff.png (against published temperatures), "
        f"corner.png (source_id {answers['source_id'][star]})"
    )


def some_rows(answers: Table) -> RichTable:
    """Some rows of the answers, from bright to faint: median and half the 68% interval."""
    table = RichTable(
        title=f"NGC 2547: {ROWS} of {len(answers)} stars",
        box=SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    for head in ("Gaia source_id", *(head for head, _ in COLUMNS.values()), "ref Teff"):
        table.add_column(head, no_wrap=True, justify="right")
    for i in np.linspace(0, len(answers) - 1, ROWS).astype(int):
        row = answers[i]
        cells = [interval(row, name, digits) for name, (_, digits) in COLUMNS.items()]
        table.add_row(str(row["source_id"]), *cells, str(row["ref_teff"]))
    return table


def interval(row: Table.Row, name: str, digits: int) -> str:
    """One parameter of one star, such as ``5790 ± 60``."""
    low, middle, high = (float(row[f"{name}{end}"]) for end in ("_lo", "", "_hi"))
    return f"{middle:.{digits}f} ± {(high - low) / 2:.{digits}f}"


if __name__ == "__main__":
    main()
