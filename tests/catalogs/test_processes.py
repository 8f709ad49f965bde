"""Several processes answer as one does, in order, and one that dies is told."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from tests.catalogs.test_job import catalog

from maury.catalogs.answers import ANSWERS, Request
from maury.catalogs.processes import Task, WorkerDied, answers_in_order
from maury.inference.posterior import Posterior


@pytest.fixture
def request_(tiny_folder: Path) -> Request:
    return Request(str(tiny_folder), 3, 0, None, "cpu", keep_draws=True)


def tasks(count: int) -> Iterator[Task]:
    table = catalog(3 * count)
    return (Task(3 * i, table[3 * i : 3 * i + 3]) for i in range(count))


class Deadly:
    """Ends the process that unpickles it, as the kernel would."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (9,)


def test_two_answer_as_one_and_a_death_is_told(request_: Request) -> None:
    posterior = Posterior.load(request_.model, device="cpu")
    alone = list(answers_in_order(tasks(9), posterior, request_, processes=1))
    both = list(answers_in_order(tasks(9), posterior, request_, processes=2))
    for name in (ANSWERS, "draws"):
        joined = [pa.concat_tables([one[name] for one in parts]) for parts in (alone, both)]
        assert joined[0].equals(joined[1])

    def with_a_death() -> Iterator[Task]:
        for number, task in enumerate(tasks(20)):
            if number == 12:
                task.table.meta["deadly"] = Deadly()
            yield task

    answers = answers_in_order(with_a_death(), posterior, request_, processes=2)
    assert len(next(answers)[ANSWERS]) == 3
    with pytest.raises(WorkerDied, match="worker process died"):
        list(answers)
