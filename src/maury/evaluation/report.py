"""An evaluation or a calibration as a folder: metrics.json, report.md and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.table import Table

from maury.errors import MauryError
from maury.evaluation import plots
from maury.evaluation.accuracy import EvaluationResult
from maury.evaluation.calibration import LEVELS, CalibrationResult
from maury.evaluation.reliability import Reliability
from maury.parameters import PARAMETERS

__all__ = ["accuracy_rows", "markdown", "rich_table", "write_reliability", "write_report"]

Result = EvaluationResult | CalibrationResult
Rows = list[list[str]]


def write_report(result: Result, folder: str | Path, *, title: str) -> Path:
    """Write all that there is to say of a result.

    Parameters
    ----------
    result : EvaluationResult or CalibrationResult
    folder : path
        Made if need be; files of the same names in it are replaced.
    title : str
        First line of the report.

    Returns
    -------
    Path
        The folder, with ``metrics.json`` (null where a figure cannot be computed), ``report.md``
        and the pictures: ``labels.png``, or ``ranks.png``, ``coverage.png`` and ``tarp.png``.

    Raises
    ------
    MauryError
        Where the folder cannot be written.
    """
    folder = Path(folder)
    figures = _figures(result)
    text = "\n".join(
        [f"# {title}", "", _summary(result), "", markdown(_rows(result)), ""]
        + [f"![{name}]({name}.png)" for name in figures]
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.json").write_text(_json(result.metrics), encoding="utf-8")
        (folder / "report.md").write_text(text + "\n", encoding="utf-8")
        for name, figure in figures.items():
            plots.save(figure, folder / f"{name}.png")
    except OSError as error:
        raise MauryError(f"cannot write the report to '{folder}': {error.strerror}") from None
    return folder


def write_reliability(result: Reliability, folder: str | Path, *, name: str, what: str) -> None:
    """Add a stated probability to a report's folder: ``<name>.json`` and ``<name>.png``.

    Parameters
    ----------
    result : Reliability
    folder : path
        Of a report that has been written.
    name : str
        Of the files and of the catalogue's column.
    what : str
        What the probability is of, for the axis.

    Raises
    ------
    MauryError
        Where the folder cannot be written.
    """
    curve = {key: getattr(result, key).tolist() for key in ("stated", "true", "error", "count")} | {
        "brier": result.brier,
        "roc_area": result.area if math.isfinite(result.area) else None,
    }
    try:
        (Path(folder) / f"{name}.json").write_text(json.dumps(curve, indent=2) + "\n")
        plots.save(plots.reliability(result, what=what), Path(folder) / f"{name}.png")
    except OSError as error:
        raise MauryError(f"cannot write the report to '{folder}': {error.strerror}") from None


def rich_table(result: Result, *, title: str) -> Table:
    """The report's table for the terminal."""
    header, *rows = _rows(result)
    table = Table(title=title, caption=_summary(result), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    return table


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of rows of text, the first of them its header."""
    header, *body = rows
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))


def accuracy_rows(metrics: Mapping[str, Mapping[str, float]]) -> Rows:
    """Header and one row for each parameter of an evaluation's metrics."""
    rows = [["parameter", "stars", "RMS", "MAD", "bias", "rank", "68%", "95%"]]
    for name, of in metrics.items():
        sizes = [_number(of[key], _digits(name)) for key in ("rms", "mad", "bias")]
        shares = [_number(of[key], 2) for key in ("rank", "coverage68", "coverage95")]
        rows.append([_with_unit(name), str(of["n"]), *sizes, *shares])
    return rows


def _calibration_rows(metrics: Mapping[str, Mapping[str, float]]) -> Rows:
    levels = [str(round(100 * level)) for level in LEVELS]
    rows = [["", *[f"{q}%" for q in levels], "rank", "p", "width"]]
    for name, of in metrics.items():
        if name == "joint":
            continue
        shares = [_with_error(of, f"coverage{q}") for q in levels]
        rest = [_number(of["rank_mean"], 3), _number(of["rank_p"], 3), _number(of["width"], 3)]
        rows.append([name, *shares, *rest])
        rows.append([f"{name} HDI", *[_with_error(of, f"hdi{q}") for q in levels], "", "", ""])
    joint = metrics["joint"]
    for kind, title in (("hdi", "all HDI"), ("tarp", "all TARP")):
        p_value = _number(joint["tarp_p"], 3) if kind == "tarp" else ""
        rows.append([title, *[_with_error(joint, f"{kind}{q}") for q in levels], "", p_value, ""])
    return rows


def _rows(result: Result) -> Rows:
    if isinstance(result, EvaluationResult):
        return accuracy_rows(result.metrics)
    return _calibration_rows(result.metrics)


def _figures(result: Result) -> dict[str, Figure]:
    if isinstance(result, EvaluationResult):
        return {"labels": plots.labels(result)}
    return {
        "ranks": plots.ranks(result),
        "coverage": plots.coverage(result),
        "tarp": plots.tarp(result),
    }


def _summary(result: Result) -> str:
    if isinstance(result, EvaluationResult):
        return (
            f"{len(result)} stars with a label, {result.unanswered} of them without an answer. "
            "RMS, MAD (median absolute error) and bias (median error, ours minus label) of the "
            "posterior median; rank correlation with the labels; share of labels inside the "
            "central 68% and 95% intervals, label errors added in quadrature."
        )
    return (
        f"{len(result)} simulated stars. Share of truths inside regions of stated probability, "
        "the standard error of the last digits in brackets: central intervals, then shortest "
        "intervals or regions of highest density (HDI), and balls about random points (TARP). The "
        "mean rank of the truth is 0.5 without bias; p is the probability of ranks as uneven as "
        "these; the width is the median posterior width over the prior's."
    )


def _json(metrics: Mapping[str, Mapping[str, float]]) -> str:
    finite = {
        name: {key: value if math.isfinite(value) else None for key, value in of.items()}
        for name, of in metrics.items()
    }
    return json.dumps(finite, indent=2, allow_nan=False) + "\n"


def _digits(parameter: str) -> int:
    known = PARAMETERS.get(parameter)
    return 0 if known is not None and known.unit == "K" else 3


def _with_unit(parameter: str) -> str:
    known = PARAMETERS.get(parameter)
    return f"{parameter} [{known.unit}]" if known is not None and known.unit else parameter


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _with_error(of: Mapping[str, float], key: str) -> str:
    error = of[f"{key}_se"]
    return f"{_number(of[key], 3)}({round(1000 * error)})" if math.isfinite(error) else "-"
