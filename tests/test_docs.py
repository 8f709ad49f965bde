"""What the documents say is so: files exist, snippets run, versions agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import maury
from maury.cli import app
from maury.column_names import COLUMN_NAMES
from maury.columns import recognise
from maury.flags import Flag
from maury.measurements import Measurements
from maury.training.folder import model_names

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("src/**/*.md")])
FOLDERS = r"(?:src|docs|scripts|benchmarks|configs|examples|tests)"


def _named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
            assert anchor in map(_anchor, headings), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_files_that_are_mentioned_exist(page: Path) -> None:
    mentioned = re.findall(rf"`({FOLDERS}/[\w/.-]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in mentioned if not (ROOT / name).exists()] == []


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert maury.__version__ == version


def _snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


def test_readme_python_runs() -> None:
    if "iris-base" not in model_names():
        pytest.skip("no model is shipped here")
    names: dict[str, object] = {}
    for snippet in _snippets("python"):
        exec(snippet, names)
    assert len(names["answers"]) == len(names["stars"]) == 100


def _commands() -> list[list[str]]:
    lines = [
        line.partition("#")[0].split() for text in _snippets("sh") for line in text.split("\n")
    ]
    return [words[1:] for words in lines if words[:1] == ["maury"]]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_readme_commands_exist(words: list[str]) -> None:
    shown = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for word in words[1:]:
        if word.startswith("-"):
            assert word in shown.output


def test_flags_are_documented() -> None:
    usage = (ROOT / "docs" / "usage.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)`", usage, re.M)
    assert {name: int(bit) for bit, name in rows} == {flag.name: int(flag) for flag in Flag}


def test_documented_columns_are_recognised() -> None:
    usage = (ROOT / "docs" / "usage.md").read_text()
    table = usage[usage.index("| survey |") : usage.index("- Magnitudes are in")]
    errors = {entry[1] for names in COLUMN_NAMES.values() for entry in names if len(entry) == 2}
    values = [
        name
        for name in re.findall(r"`([\w./]+)`", table)
        if name not in errors and not name.endswith(("_over_error", ".py"))
    ]
    assert len(values) > 20
    assert [name for name in values if not recognise([name]).pairs] == []


def test_example_is_whole() -> None:
    stars = maury.example()
    observed = Measurements.from_table(stars)
    assert len(stars) == 100
    assert observed.channels == (
        *("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp"),
        *("2MASS/2MASS.J", "2MASS/2MASS.H", "2MASS/2MASS.Ks"),
    )
    assert (observed.count == 6).all()
    assert not observed.rejected.any()
    assert len(set(stars["source_id"])) == 100


def test_whose_data_is_carried_is_told() -> None:
    """Licences of others ask that their text goes along with what is theirs."""
    for text in ("sky/data/bands/LICENSE.speclite.txt", "data/LICENSE.gyrointerp.txt"):
        assert "Copyright" in (ROOT / "src" / "maury" / text).read_text()
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license-files"]
    carried = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert carried >= {ROOT / "LICENSE", *(ROOT / "src").rglob("LICENSE*")}


def test_the_package_says_what_it_holds() -> None:
    assert set(maury.__all__) <= set(dir(maury))
    for name in maury.__all__:
        assert getattr(maury, name).__module__.startswith("maury.")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        maury.nothing  # noqa: B018
