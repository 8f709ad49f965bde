"""Whatever ends a run, its finished parts stay, and the next one gives the same file."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from astropy.table import vstack
from tests.catalogs.test_job import catalog

from maury.catalogs import job, parts
from maury.catalogs.job import infer_file
from maury.catalogs.processes import WorkerDied
from maury.catalogs.readers import read_table
from maury.catalogs.writers import write_table
from maury.errors import MauryError

ROWS = 40


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "rows_at_once", lambda _: 4)
    monkeypatch.setattr(job, "TASKS_A_PART", 2)
    monkeypatch.setattr(job.torch, "get_num_threads", lambda: 1)


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stars") / "stars.parquet"
    write_table(catalog(ROWS), path)
    return path


class Interrupted(BaseException):
    """Like Ctrl-C."""


def interrupt_after(monkeypatch: pytest.MonkeyPatch, count: int, problem: BaseException) -> None:
    """Let the answers end with an error after so many tasks."""
    whole = job.answers_in_order

    def cut(*args: object, **options: object) -> Iterator[object]:
        for number, one in enumerate(whole(*args, **options)):  # type: ignore[arg-type]
            if number == count:
                raise problem
            yield one

    monkeypatch.setattr(job, "answers_in_order", cut)


@pytest.mark.parametrize("suffix", ["parquet", "fits", "csv", "vot", "ecsv"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 9])
def test_a_run_goes_on_where_it_was_interrupted(
    tmp_path: Path,
    tiny_folder: Path,
    stars: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    count: int,
) -> None:
    if suffix != "parquet" and count != 3:
        return
    options = {"model": str(tiny_folder), "draws": 3}
    whole, out = tmp_path / f"whole.{suffix}", tmp_path / f"out.{suffix}"
    infer_file(stars, whole, save_draws=tmp_path / "whole_draws.parquet", **options)  # type: ignore[arg-type]
    with monkeypatch.context() as patched:
        interrupt_after(patched, count, Interrupted())
        with pytest.raises(Interrupted):
            infer_file(stars, out, save_draws=tmp_path / "draws.parquet", **options)  # type: ignore[arg-type]
    assert not out.exists()
    folder = tmp_path / f"out.{suffix}.parts"
    assert len(list(folder.glob("answers-*"))) == count // 2
    infer_file(stars, out, save_draws=tmp_path / "draws.parquet", resume=True, **options)  # type: ignore[arg-type]
    assert out.read_bytes() == whole.read_bytes()
    assert (tmp_path / "draws.parquet").read_bytes() == (
        tmp_path / "whole_draws.parquet"
    ).read_bytes()
    assert not folder.exists()


def test_draws_carry_the_rows_of_the_catalogue(
    tmp_path: Path, tiny_folder: Path, stars: Path
) -> None:
    draws = tmp_path / "draws.parquet"
    infer_file(stars, tmp_path / "out.csv", model=str(tiny_folder), draws=3, save_draws=draws)
    assert read_table(draws)["star"].tolist() == [row for row in range(ROWS) for _ in range(3)]


@pytest.mark.parametrize(
    "problem",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        WorkerDied("a worker process died"),
        MauryError("stars.parquet: cannot read this"),
    ],
)
def test_errors_say_what_is_kept(
    tmp_path: Path,
    tiny_folder: Path,
    stars: Path,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
) -> None:
    interrupt_after(monkeypatch, 5, problem)
    with pytest.raises((OSError, MauryError), match=r"16 rows are done and kept.*--resume") as told:
        infer_file(stars, tmp_path / "out.fits", model=str(tiny_folder), draws=3)
    assert isinstance(told.value, MauryError) == isinstance(problem, MauryError)


def test_a_full_disc_while_a_part_is_written(
    tmp_path: Path, tiny_folder: Path, stars: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half-written part leaves nothing; what was there before is kept."""
    write = parts.pq.write_table
    written: list[Path] = []

    def full(table: object, path: Path, **options: object) -> None:
        written.append(path)
        if len(written) == 4:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(table, path, **options)

    out = tmp_path / "out.parquet"
    with monkeypatch.context() as patched:
        patched.setattr(parts.pq, "write_table", full)
        with pytest.raises(OSError, match=r"No space left.*24 rows are done"):
            infer_file(stars, out, model=str(tiny_folder), draws=3)
    assert sorted(p.name for p in (tmp_path / "out.parquet.parts").iterdir()) == [
        *(f"answers-{n:06d}.parquet" for n in range(3)),
        "manifest.json",
    ]
    assert infer_file(stars, out, model=str(tiny_folder), draws=3, resume=True) == ROWS


@pytest.fixture
def interrupted(
    tmp_path: Path, tiny_folder: Path, stars: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The output of a run that ended after two parts of five."""
    out = tmp_path / "out.parquet"
    with monkeypatch.context() as patched:
        interrupt_after(patched, 5, Interrupted())
        with pytest.raises(Interrupted):
            infer_file(stars, out, model=str(tiny_folder), draws=3)
    return out


def test_an_unfinished_run_is_not_thrown_away(
    interrupted: Path, tiny_folder: Path, stars: Path
) -> None:
    with pytest.raises(MauryError, match=r"unfinished run.*--resume"):
        infer_file(stars, interrupted, model=str(tiny_folder), draws=3)


def test_another_job_cannot_take_over(
    interrupted: Path, tiny_folder: Path, stars: Path, tmp_path: Path
) -> None:
    model = str(tiny_folder)
    with pytest.raises(MauryError, match="draws was 3, now 4"):
        infer_file(stars, interrupted, model=model, draws=4, resume=True)
    with pytest.raises(MauryError, match="seed was 0, now 1"):
        infer_file(stars, interrupted, model=model, draws=3, seed=1, resume=True)
    other = tmp_path / "other.parquet"
    write_table(vstack([catalog(ROWS), catalog(1)]), other)
    with pytest.raises(MauryError, match=r"another run.*catalog was"):
        infer_file(other, interrupted, model=model, draws=3, resume=True)
    same = tmp_path / "copy.parquet"
    same.write_bytes(stars.read_bytes())
    assert infer_file(same, interrupted, model=model, draws=3, resume=True) == ROWS


def test_a_damaged_part_is_made_anew(
    interrupted: Path, tiny_folder: Path, stars: Path, tmp_path: Path
) -> None:
    part = interrupted.with_name("out.parquet.parts") / "answers-000000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    infer_file(stars, interrupted, model=str(tiny_folder), draws=3, resume=True)
    infer_file(stars, tmp_path / "whole.parquet", model=str(tiny_folder), draws=3)
    assert interrupted.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_a_damaged_manifest_is_refused(interrupted: Path, tiny_folder: Path, stars: Path) -> None:
    manifest = interrupted.with_name("out.parquet.parts") / "manifest.json"
    manifest.write_text("{")
    with pytest.raises(MauryError, match=r"manifest\.json: damaged"):
        infer_file(stars, interrupted, model=str(tiny_folder), draws=3, resume=True)


def test_something_else_of_that_name_is_spared(
    tmp_path: Path, tiny_folder: Path, stars: Path
) -> None:
    (tmp_path / "out.csv.parts").mkdir()
    (tmp_path / "out.csv.parts" / "thesis.tex").write_text("dear")
    with pytest.raises(MauryError, match="in the way"):
        infer_file(stars, tmp_path / "out.csv", model=str(tiny_folder), draws=3)
    assert (tmp_path / "out.csv.parts" / "thesis.tex").exists()


def test_nothing_to_resume_begins_anew(tmp_path: Path, tiny_folder: Path, stars: Path) -> None:
    out = tmp_path / "out.csv"
    assert infer_file(stars, out, model=str(tiny_folder), draws=3, resume=True) == ROWS


def test_a_mistake_leaves_no_folder(tmp_path: Path, tiny_folder: Path) -> None:
    table = catalog(10)
    table["tmass_k"] = ["bright"] * 10
    write_table(table, tmp_path / "stars.csv")
    with pytest.raises(MauryError, match="tmass_k"):
        infer_file(tmp_path / "stars.csv", tmp_path / "out.csv", model=str(tiny_folder), draws=3)
    assert [path.name for path in tmp_path.iterdir()] == ["stars.csv"]


def test_a_later_piece_of_text_costs_its_cells_only(tmp_path: Path, tiny_folder: Path) -> None:
    table = catalog(12)
    table["tmass_k"] = [f"{value:.4f}" for value in table["tmass_k"]]
    table["tmass_k"][4:8] = "bright"
    write_table(table, tmp_path / "stars.csv")
    out = tmp_path / "out.csv"
    assert infer_file(tmp_path / "stars.csv", out, model=str(tiny_folder), draws=3) == 12
    flags = read_table(out)["flags"]
    assert ((flags & 16) > 0).tolist() == [False] * 4 + [True] * 4 + [False] * 4
