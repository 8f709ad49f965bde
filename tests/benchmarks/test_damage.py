"""Damaged models and catalogues: a few cases of each kind; and the judge sees what is wrong."""

import random
import time
from pathlib import Path

import pytest

import damage
from damage import FAILURES, HANG, OTHER_CELLS, REFUSED, SAME, TRACEBACK, WAYS, WRONG, Subject
from maury.errors import MauryError

CASES = 60


@pytest.fixture(scope="module")
def subjects(
    tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, damage.Subject]:
    made = damage.make_subjects(tiny_folder, tmp_path_factory.mktemp("damage"))
    return {subject.name: subject for subject in made}


def test_damage_is_refused_or_changes_only_what_it_hit(
    subjects: dict[str, Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "PATIENCE", 100.0)  # machines that test are often busy
    cases = list(damage.run(list(subjects.values()), CASES, seed=0))
    assert [case for case in cases if case.outcome in FAILURES] == []
    outcomes = {name: {c.outcome for c in cases if c.subject == name} for name in subjects}
    assert outcomes["card.md"] == {SAME}
    for name in ("model.safetensors", "config.toml", "csv.gz"):
        assert outcomes[name] <= {REFUSED, SAME}
        assert REFUSED in outcomes[name]


@pytest.mark.parametrize("way", [*WAYS, "cut"])
def test_every_way_spoils(way: str) -> None:
    raw = bytes(range(1, 201))
    spoilt = [damage.damaged(raw, way, random.Random(seed)) for seed in range(20)]
    assert all(found != raw for found in spoilt)
    assert spoilt == [damage.damaged(raw, way, random.Random(seed)) for seed in range(20)]


def test_another_model_is_wrong(subjects: dict[str, Subject], tiny_folder: Path) -> None:
    subject = subjects["model.safetensors"]
    answer = subject.ask(subject.raw)
    assert subject.judge(subject.raw, answer) == (SAME, "")
    assert subject.judge(subject.raw, (answer[0], answer[1][:-1] + b"x"))[0] == WRONG


def test_a_row_that_changes_or_goes_is_wrong(subjects: dict[str, Subject]) -> None:
    subject = subjects["csv"]
    names, rows = subject.ask(subject.raw)
    spoilt = subject.raw.replace(b"star 3", b"star x")
    other = (rows[3][0], "star x", *rows[3][2:])
    right = [*rows[:3], other, *rows[4:]]
    assert subject.judge(spoilt, (names, right))[0] == OTHER_CELLS
    assert subject.judge(spoilt, (names, right[:-1]))[0] == WRONG
    assert subject.judge(spoilt, (names, [*right[:-1], right[0]]))[0] == WRONG
    assert subject.judge(subject.raw[:-200], (names, right))[0] == WRONG


def test_tracebacks_and_hangs_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(ask: object) -> str:
        return damage.outcome_of(Subject("", b"", ask, lambda *_: (SAME, "")), b"")[0]

    def raising(error: Exception) -> object:
        def ask(_: bytes) -> None:
            raise error

        return ask

    def swallowing(_: bytes) -> None:
        try:
            time.sleep(5)
        except Exception as error:
            raise MauryError("cannot read this") from error

    assert outcome(raising(MauryError("one line"))) == REFUSED
    assert outcome(raising(MauryError("two\nlines"))) == WRONG
    assert outcome(raising(KeyError("x"))) == TRACEBACK
    monkeypatch.setattr(damage, "PATIENCE", 0.05)
    assert outcome(swallowing) == HANG
