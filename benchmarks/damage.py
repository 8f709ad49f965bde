"""What becomes of damaged files: models and catalogues with bytes changed at random.

    python benchmarks/damage.py [--cases 1000] [--seed 0] [--model iris-base] [--only vot] [--show]

Each case damages one file in one place, in one of six ways, and asks for posteriors. A model must
be refused, or answer as before. A catalogue must be refused in one line, or answered with a row for
each of its rows, and as before where a row's cells are what they were. Rows whose cells the damage
changed are other measurements, to which other answers are right; `damage_witnesses` tells which
they are. Where the head says other names, types or units of columns, that is counted apart. Prints
a markdown table; exit code 1 if anything else happened.
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table

from damage_witnesses import WITNESSES, NotThisFormat
from maury.catalogs.job import infer_file
from maury.catalogs.mock import mock_catalog
from maury.catalogs.readers import read_table
from maury.catalogs.writers import write_table
from maury.errors import MauryError
from maury.inference.posterior import Posterior
from maury.training.folder import find_model

PATIENCE = 20.0
"""Seconds after which a case counts as hung."""

STARS, DRAWS = 24, 4

LENGTHS = (1, 2, 4, 16, 64, 512)
"""Bytes that are hit at once."""

WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bit": lambda hit, dice: bytes([hit[0] ^ 1 << dice.randrange(8)]) + hit[1:],
    "bytes": lambda hit, dice: dice.randbytes(len(hit)),
    "zeros": lambda hit, dice: bytes(len(hit)),
    "inserted": lambda hit, dice: dice.randbytes(len(hit)) + hit,
    "doubled": lambda hit, dice: hit + hit,
}
"""What becomes of the bytes that are hit. There is also ``cut``: nothing is left behind them."""

REFUSED, SAME, OTHER_CELLS, OTHER_HEAD = "refused", "as before", "other cells", "other head"
WRONG, TRACEBACK, HANG = "wrong", "traceback", "hang"
OUTCOMES = (REFUSED, SAME, OTHER_CELLS, OTHER_HEAD, WRONG, TRACEBACK, HANG)
FAILURES = (WRONG, TRACEBACK, HANG)

MODEL_FILES = ("model.safetensors", "config.toml", "SHA256SUMS", "card.md")


class Hung(BaseException):
    """No Exception: whoever turns those of a format's library into a message must not see it."""


@dataclass(frozen=True)
class Subject:
    """A file that can be damaged.

    Parameters
    ----------
    name : str
    raw : bytes
    ask : callable
        The answer when the file holds these bytes.
    judge : callable
        Outcome and detail of an answer to these bytes.
    """

    name: str
    raw: bytes
    ask: Callable[[bytes], object]
    judge: Callable[[bytes, object], tuple[str, str]]


@dataclass(frozen=True)
class Case:
    """What became of one damaged file."""

    subject: str
    way: str
    outcome: str
    detail: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="iris-base", help="a shipped model")
    parser.add_argument("--only", default="", help="files whose name holds this")
    parser.add_argument("--show", action="store_true", help="each case that was answered otherwise")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subjects = make_subjects(find_model(arguments.model), Path(folder))
        chosen = [subject for subject in subjects if arguments.only in subject.name]
        cases = []
        for case in run(chosen, arguments.cases, arguments.seed):
            cases.append(case)
            if case.outcome in FAILURES or (arguments.show and case.outcome not in (REFUSED, SAME)):
                print(f"{case.subject}, {case.way}: {case.outcome}: {case.detail}", file=sys.stderr)
    print(table_of(cases))
    sys.exit(any(case.outcome in FAILURES for case in cases))


def make_subjects(model: Path, work: Path) -> list[Subject]:
    """Every kind of file, in a folder to work in."""
    sealed = Path(shutil.copytree(model, work / "sealed"))
    bare = Path(shutil.copytree(model, work / "bare"))
    (bare / "SHA256SUMS").unlink()
    posterior = Posterior.load(model, device="cpu")
    return [
        *(model_file(sealed / name, posterior) for name in MODEL_FILES),
        model_file(bare / "model.safetensors", posterior, note=" without seal"),
        *catalogues(a_catalogue(posterior), posterior, work),
    ]


def run(subjects: Sequence[Subject], cases: int, seed: int) -> Iterator[Case]:
    """Damage the files in turn, in all ways in turn."""
    ways = [(subject, way) for way in (*WAYS, "cut") for subject in subjects]
    for number, (subject, way) in enumerate(itertools.islice(itertools.cycle(ways), cases)):
        # A seed of each file's own: a case comes out the same whatever else is damaged.
        dice = random.Random(f"{seed}/{subject.name}/{way}/{number // len(ways)}")
        raw = damaged(subject.raw, way, dice)
        yield Case(subject.name, way, *outcome_of(subject, raw))


def damaged(raw: bytes, way: str, dice: random.Random) -> bytes:
    """The bytes, spoilt in one place."""
    start = dice.randrange(len(raw))
    end = min(start + dice.choice(LENGTHS), len(raw))
    if way == "cut":
        return raw[:start]
    return raw[:start] + WAYS[way](raw[start:end], dice) + raw[end:]


def outcome_of(subject: Subject, raw: bytes) -> tuple[str, str]:
    """Ask, and judge what comes back."""
    try:
        with patience(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = subject.ask(raw)
    except Hung:
        return HANG, f"more than {PATIENCE} s"
    except (MauryError, OSError) as error:  # of which the command line makes one line
        return (WRONG if "\n" in str(error) else REFUSED), str(error)
    except Exception as error:
        return TRACEBACK, repr(error)
    return subject.judge(raw, answer)


@contextmanager
def patience() -> Iterator[None]:
    """Raise `Hung` when it is used up."""

    def give_up(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def model_file(path: Path, posterior: Posterior, *, note: str = "") -> Subject:
    """A file of a model folder: the answer is that of the folder."""
    raw = path.read_bytes()
    _, stars = posterior.simulate(STARS, seed=2)

    def ask(spoilt: bytes) -> object:
        path.write_bytes(spoilt)
        try:
            loaded = Posterior.load(path.parent, device="cpu")
        finally:
            path.write_bytes(raw)
        return loaded.config, loaded.sample(stars, DRAWS, seed=0).values.numpy().tobytes()

    before = ask(raw)

    def judge(_: bytes, answer: object) -> tuple[str, str]:
        return (SAME, "") if answer == before else (WRONG, "another model answered")

    return Subject(f"{path.name}{note}", raw, ask, judge)


def a_catalogue(posterior: Posterior) -> Table:
    """Some mock stars in bands that are often measured, with gaps, a number and a name."""
    mock_stars = mock_catalog(posterior.config.simulator, STARS, seed=1)
    table = Table()
    table["source_id"] = 2**60 + 7919 * np.arange(STARS)
    table["name"] = [f"star {number}" for number in range(STARS)]
    for band in ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp", "2MASS/2MASS.J"):
        for column in (band, f"{band}_err"):
            table[column] = mock_stars[column]
    return table


def catalogues(table: Table, posterior: Posterior, work: Path) -> Iterator[Subject]:
    """The table in every format, with checksums and without where there is a choice."""
    for suffix in WITNESSES:
        path, other = work / f"stars.{suffix}", work / f"other.{suffix}"
        write_table(table, path)
        yield catalogue(path, posterior)
        if suffix == "fits":
            with fits.open(path) as file:
                file.writeto(other, checksum=True)
            yield catalogue(other, posterior, note=" with checksums")
        if suffix == "parquet":
            pq.write_table(pq.read_table(path), other)
            yield catalogue(other, posterior, note=" without checksums")


def catalogue(path: Path, posterior: Posterior, *, note: str = "") -> Subject:
    """A catalogue: the answer is what `maury infer` writes for it, in the same format."""
    raw = path.read_bytes()
    witness = WITNESSES[path.name.split(".", 1)[1]]
    out = path.with_name(f"answers-{path.name}")

    def ask(spoilt: bytes) -> object:
        path.write_bytes(spoilt)
        out.unlink(missing_ok=True)
        try:
            with mock.patch.object(Posterior, "load", return_value=posterior):
                infer_file(path, out, draws=DRAWS)
        except (MauryError, OSError):
            if out.exists():
                raise AssertionError("a catalogue that was refused left an output") from None
            raise
        return rows_of(read_table(out))

    names, before = ask(raw)
    content = witness(raw)
    known = dict(zip(content.rows, before, strict=True))

    def judge(spoilt: bytes, answer: object) -> tuple[str, str]:
        found_names, found = answer
        if (found_names, found) == (names, before):
            return SAME, ""
        try:
            now = witness(spoilt)
        except NotThisFormat as reason:
            return WRONG, f"answered, though it is broken: {reason}"
        if len(now.rows) != len(found):
            return WRONG, f"{len(found)} answers to {len(now.rows)} rows"
        if now.head != content.head:
            return OTHER_HEAD, f"{found_names}"
        for row, got in zip(now.rows, found, strict=True):
            if row in known and known[row] != got:
                return WRONG, f"a row that is as before, {row}, has another answer, {got}"
        return OTHER_CELLS, f"{sum(row not in known for row in now.rows)} of {len(found)} rows"

    return Subject(f"{path.name.split('.', 1)[1]}{note}", raw, ask, judge)


def rows_of(table: Table) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Names, and cells row by row: a number is the same as text or as number."""
    columns = (map(plain, table[name].tolist()) for name in table.colnames)
    return tuple(table.colnames), list(zip(*columns, strict=True))


def plain(cell: object) -> object:
    """Integer, number or text; None where nothing is there."""
    for kind in (int, float):
        try:
            number = kind(str(cell))
        except ValueError:
            continue
        return None if number != number else number
    return None if cell is None or cell == "" else str(cell)


def table_of(cases: Sequence[Case]) -> str:
    """Outcomes by file, as markdown."""
    lines = [f"| file | cases | {' | '.join(OUTCOMES)} |", "|---" * (len(OUTCOMES) + 2) + "|"]
    for name in (*dict.fromkeys(case.subject for case in cases), "all"):
        counts = Counter(case.outcome for case in cases if name in (case.subject, "all"))
        cells = (str(counts[outcome]) for outcome in OUTCOMES)
        lines.append(f"| {name} | {counts.total()} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
