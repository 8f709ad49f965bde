"""Every worker has its own GPU, if there are as many."""

from __future__ import annotations

import pytest
import torch

from maury.catalogs.hats.workers import device_of_worker, usual_workers


@pytest.mark.parametrize(
    ("device", "worker", "gpus", "expected"),
    [
        ("auto", "0", 2, "cuda:0"),
        ("auto", "3", 2, "cuda:1"),
        ("cuda", "SLURMCluster-0-5", 4, "cuda:1"),
        ("auto", "tcp://10.0.0.1:40123", 4, "cuda:0"),
        ("auto", "0", 0, "auto"),
        ("cuda", "0", 0, "cuda"),
        ("cpu", "1", 4, "cpu"),
        ("cuda:2", "1", 4, "cuda:2"),
    ],
)
def test_gpus_are_dealt_out(device: str, worker: str, gpus: int, expected: str) -> None:
    assert device_of_worker(device, worker, gpus) == expected


def test_as_many_workers_as_gpus_or_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert usual_workers("auto") == usual_workers("cuda") == 3
    assert usual_workers("cuda:1") == 1
    cores = usual_workers("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert usual_workers("auto") == cores >= 1
