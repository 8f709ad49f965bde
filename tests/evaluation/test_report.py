"""Reports are complete folders of plain files, and pictures say what they show."""

import json
import re
from io import StringIO
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from astropy.table import Table
from matplotlib.figure import Figure
from rich.console import Console

from maury.errors import MauryError
from maury.evaluation import plots
from maury.evaluation.accuracy import EvaluationResult, evaluate
from maury.evaluation.calibration import CalibrationResult, calibrate
from maury.evaluation.report import rich_table, write_report
from maury.evaluation.style import label, style


@pytest.fixture(scope="module")
def evaluation(gaussian) -> EvaluationResult:
    table, truth = gaussian.catalog(700, seed=2)
    table["ref_logg"] = truth[:, 0]
    table["ref_mh"] = 0.0  # constant, as for a cluster: no rank correlation
    return evaluate(gaussian(), table, draws=50)


@pytest.fixture(scope="module")
def calibration(gaussian) -> CalibrationResult:
    return calibrate(gaussian(), gaussian.simulate(300, seed=7), draws=50)


def test_an_evaluation_as_a_folder(tmp_path: Path, evaluation: EvaluationResult) -> None:
    folder = write_report(evaluation, tmp_path / "deep" / "down", title="Mock stars")
    assert {f.name for f in folder.iterdir()} == {"metrics.json", "report.md", "labels.png"}
    text = (folder / "metrics.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert list(found) == ["logg", "mh"]
    keys = ["n", "rms", "mad", "bias", "rank", "coverage68", "coverage95"]
    assert list(found["logg"]) == keys
    assert found["mh"]["rank"] is None
    report = (folder / "report.md").read_text()
    assert report.startswith("# Mock stars\n")
    assert "| mh [dex] | 700 |" in report


def test_a_calibration_as_a_folder(tmp_path: Path, calibration: CalibrationResult) -> None:
    folder = write_report(calibration, tmp_path, title="Mock stars")
    names = {"metrics.json", "report.md", "ranks.png", "coverage.png", "tarp.png"}
    assert {f.name for f in folder.iterdir()} == names
    found = json.loads((folder / "metrics.json").read_text())
    assert set(found) == {"logg", "mh", "joint"}
    assert "coverage68_se" in found["logg"]
    assert all((folder / name).stat().st_size > 5000 for name in names if name.endswith("png"))


def test_tables_for_the_terminal(
    evaluation: EvaluationResult, calibration: CalibrationResult
) -> None:
    for result, words in ((evaluation, ("logg", "MAD")), (calibration, ("logg HDI", "all TARP"))):
        console = Console(file=StringIO(), width=80)
        console.print(rich_table(result, title="Mock stars"))
        assert all(word in console.file.getvalue() for word in ("Mock stars", *words))


def test_a_folder_that_cannot_be_made(tmp_path: Path, evaluation: EvaluationResult) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MauryError, match="cannot write the report"):
        write_report(evaluation, tmp_path / "file", title="")


def test_axes_carry_units() -> None:
    assert label("teff") == r"$T_{\rm eff}$ [K]"
    assert label("r_v") == r"$R_V$"
    assert label("mh", unit=False) == "[Fe/H]"


def test_style_leaves_no_trace() -> None:
    before = dict(matplotlib.rcParams)
    with style():
        assert matplotlib.rcParams["font.family"] == ["serif"]
    assert dict(matplotlib.rcParams) == before


def test_corner(tmp_path: Path) -> None:
    draws = np.random.default_rng(0).normal([5700, 4.4, 0.0], [60, 0.1, 0.1], (500, 3))
    figure = plots.corner(draws, ("teff", "logg", "mh"))
    assert len(figure.axes) == 9
    assert re.fullmatch(
        r"\$T_{\\rm eff}\$ = \$5[67]\d\d\^{\+\d\d}_{-\d\d}\$", figure.axes[0].get_title()
    )
    plots.save(figure, tmp_path / "corner.png")
    with pytest.raises(MauryError, match=r"\(2, 2\)"):
        plots.corner(np.zeros((2, 2)), ("teff", "logg", "mh"))


def test_hr_diagram_of_answers_with_gaps() -> None:
    table = Table({"teff": [5000.0, 6000.0, np.nan], "logg": [2.5, 4.3, 4.0], "mh": [0.1, -1, 0]})
    for name, width in (("teff", 100.0), ("logg", 0.1)):
        table[f"{name}_lo"] = table[name] - width
        table[f"{name}_hi"] = table[name] + width
    figure = plots.hr_diagram(table)
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    assert axes.xaxis_inverted()
    assert axes.yaxis_inverted()
    assert axes.get_xlabel() == label("teff")
    assert isinstance(plots.hr_diagram(table[2:]), Figure)
    with pytest.raises(MauryError, match="logg_hi"):
        plots.hr_diagram(table["teff", "logg", "mh", "teff_lo", "teff_hi", "logg_lo"])


def test_temperatures_on_the_axis_do_not_touch() -> None:
    ends = {"teff": [3400.0, 16000.0], "logg": [4.5, 4.0], "mh": [0.0, 0.1]}
    table = Table(
        {f"{name}{end}": values for name, values in ends.items() for end in ("", "_lo", "_hi")}
    )
    ticks = plots.hr_diagram(table).axes[0].get_xticks()
    assert len(ticks) >= 4
    assert np.diff(np.log(np.sort(ticks))).min() > 0.1 * np.log(16000 / 3400)


def test_far_draws_do_not_shrink_a_corner_plot() -> None:
    draws = np.random.default_rng(0).normal(5800, 100, (1000, 2))
    draws[0] = 40000
    low, high = plots.corner(draws, ("teff", "logg")).axes[0].get_xlim()
    assert high - low < 1000
