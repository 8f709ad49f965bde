"""Stars answered by as many processes as there are cores, in order.

The networks work on blocks of a few hundred stars, too small to share out among threads. So each
process answers with one thread, and the first one reads and writes meanwhile.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import connection, get_context, parent_process

import pyarrow as pa
import torch
from astropy.table import Table

from maury.catalogs.answers import Request, answer
from maury.inference.posterior import Posterior

__all__ = ["Task", "WorkerDied", "answers_in_order"]

AHEAD = 3
"""Tasks that wait for each process: none of them idles, and the memory stays bounded."""


@dataclass(frozen=True)
class Task:
    """Some rows of a catalogue, and the number of the first."""

    first: int
    table: Table


class WorkerDied(OSError):
    """A process was killed from outside, most often for want of memory."""


def answers_in_order(
    tasks: Iterable[Task], posterior: Posterior, request: Request, *, processes: int
) -> Iterator[dict[str, pa.Table]]:
    """What `maury.catalogs.answers.answer` makes of each table.

    Parameters
    ----------
    tasks : iterable of Task
        Read as they are needed.
    posterior : Posterior
        The one of the request, which answers where there is one process only.
    request : Request
    processes : int

    Raises
    ------
    WorkerDied
        If a process was killed. What was yielded before stays right.
    """
    if processes <= 1:
        for task in tasks:
            yield answer(posterior, task.table, request, first=task.first)
        return
    # A server that forks before it has threads; where there is none, each process starts afresh.
    context = get_context("forkserver" if os.name == "posix" else "spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin)
    waiting: deque[Future[dict[str, pa.Table]]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(_answer, task, request))
            if len(waiting) > AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise WorkerDied(
            "a worker process died, perhaps for want of memory: set OMP_NUM_THREADS to use fewer"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    # Ctrl-C reaches the first process too, which then ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """No process may outlive a killed parent, waiting for tasks for ever."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


@lru_cache(1)
def _posterior(model: str, device: str) -> Posterior:
    return Posterior.load(model, device=device)


def _answer(task: Task, request: Request) -> dict[str, pa.Table]:
    posterior = _posterior(request.model, request.device)
    return answer(posterior, task.table, request, first=task.first)
