"""Samplers that ask for one density at a time, answered many at a time.

A vectorised density costs hardly more for a hundred points than for one. So each sampler runs in
threads of its own that wait for their answers, and when all wait, one call answers all. Which
points share a call depends on nothing but the samplers, so results can be had again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lane", "run_side_by_side"]

Point = NDArray[np.float64]
Result = TypeVar("Result")


class Density(Protocol):
    """Log densities of points, each of its own sampler."""

    def __call__(self, samplers: list[int], points: list[Point]) -> Sequence[float]:
        """Log densities (P,) given the samplers' numbers (P,) and points (P,)."""
        ...


class Lane:
    """What one sampler has: a density to ask, and a pool of threads that may ask it together.

    Parameters
    ----------
    sampler : int
        The sampler's number.
    threads : int
        How many may ask at the same time.
    """

    def __init__(self, sampler: int, threads: int, messages: queue.SimpleQueue[Any]) -> None:
        self.sampler = sampler
        self.size = threads
        self._messages = messages

    def ask(self, point: Point) -> float:
        """Log density at a point."""
        answer: queue.SimpleQueue[float | BaseException] = queue.SimpleQueue()
        self._messages.put((self.sampler, np.array(point), answer))
        value = answer.get()
        if isinstance(value, BaseException):
            raise value
        return value

    def map(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        """Results of a function, which may ask, at each of the arguments, in order."""
        todo = list(arguments)
        results: list[Any] = [None] * len(todo)
        threads = min(self.size, len(todo))
        left, lock, failures = threads, threading.Lock(), []

        def work(first: int) -> None:
            nonlocal left
            try:
                for i in range(first, len(todo), threads):
                    results[i] = function(todo[i])
            except BaseException as error:
                failures.append(error)
            with lock:
                left -= 1
                # The caller takes the place of the thread that ends last.
                if left:
                    self._messages.put(-1)

        if threads:
            self._messages.put(threads - 1)
            workers = [
                threading.Thread(target=work, args=(i,), daemon=True) for i in range(threads)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        if failures:
            raise failures[0]
        return results


def run_side_by_side(
    samplers: Sequence[Callable[[Lane], Result]], density: Density, *, threads: int
) -> list[Result]:
    """Run samplers together.

    Parameters
    ----------
    samplers : sequence of functions
        Each is given a `Lane` and returns its result.
    density : Density
        Called in this thread only.
    threads : int
        For each sampler.

    Returns
    -------
    list
        The samplers' results, in order. What any of them raises is raised here.
    """
    messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
    outcomes: list[_Outcome[Result]] = [_Outcome() for _ in samplers]

    def work(number: int) -> None:
        try:
            outcomes[number].value = samplers[number](Lane(number, threads, messages))
        except BaseException as error:
            outcomes[number].error = error
        messages.put(-1)

    for number in range(len(samplers)):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    _serve(messages, density, running=len(samplers))
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in outcomes]


class _Outcome(Generic[Result]):
    value: Result
    error: BaseException | None = None


def _serve(messages: queue.SimpleQueue[Any], density: Density, *, running: int) -> None:
    """Answer whenever as many points wait as threads run, until none runs."""
    waiting: list[tuple[int, Point, queue.SimpleQueue[Any]]] = []
    while running:
        message = messages.get()
        if isinstance(message, int):
            running += message
        else:
            waiting.append(message)
        if waiting and len(waiting) == running:
            # Threads ask in any order; the order of a call must not depend on it.
            waiting.sort(key=lambda asked: (asked[0], asked[1].tobytes()))
            numbers, points, answers = (list(column) for column in zip(*waiting, strict=True))
            waiting = []
            values: Sequence[float | BaseException]
            try:
                values = density(numbers, points)
            except BaseException as error:
                values = [error] * len(points)
            for answer, value in zip(answers, values, strict=True):
                answer.put(value)
