"""Samplers that share calls of a density: right answers, whole batches, errors that surface."""

import numpy as np
import pytest

from maury.evaluation.side_by_side import Lane, run_side_by_side


class Sum:
    """Sampler's number plus the sum of the point; remembers the size of each call."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, samplers: list[int], points: list[np.ndarray]) -> list[float]:
        self.sizes.append(len(points))
        return [n + float(p.sum()) for n, p in zip(samplers, points, strict=True)]


def test_each_sampler_gets_its_own_answers() -> None:
    def sampler(lane: Lane) -> list[float]:
        return [lane.ask(np.array([10.0 * i])) for i in range(5)]

    density = Sum()
    found = run_side_by_side([sampler] * 3, density, threads=1)
    assert found == [[n + 10.0 * i for i in range(5)] for n in range(3)]
    assert density.sizes == [3] * 5


def test_threads_of_a_sampler_share_calls() -> None:
    def sampler(lane: Lane) -> list[float]:
        return lane.map(lambda x: lane.ask(np.array([x])), range(8))

    density = Sum()
    found = run_side_by_side([sampler] * 2, density, threads=4)
    assert found == [[n + float(i) for i in range(8)] for n in range(2)]
    assert density.sizes == [8, 8]


def test_samplers_may_end_at_different_times() -> None:
    def sampler(lane: Lane) -> float:
        for _ in range(3 * lane.sampler):
            lane.map(lambda x: lane.ask(np.array([x])), range(3))
        return lane.ask(np.zeros(1))

    assert run_side_by_side([sampler] * 4, Sum(), threads=2) == [0.0, 1.0, 2.0, 3.0]
    assert run_side_by_side([], Sum(), threads=2) == []


def test_a_failing_sampler_or_density_is_heard() -> None:
    def broken(lane: Lane) -> float:
        raise ZeroDivisionError("sampler")

    def nosy(lane: Lane) -> list[float]:
        return lane.map(lambda x: lane.ask(np.array([x])), range(4))

    def density(samplers: list[int], points: list[np.ndarray]) -> list[float]:
        raise OverflowError("density")

    with pytest.raises(ZeroDivisionError):
        run_side_by_side([nosy, broken], Sum(), threads=2)
    with pytest.raises(OverflowError):
        run_side_by_side([nosy], density, threads=2)
