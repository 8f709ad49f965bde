"""Workers of a Dask cluster: one thread and one device each, every model loaded once."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from maury.device import pick_device
from maury.errors import MauryError
from maury.inference.posterior import Posterior

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["ClusterError", "connected", "device_of_worker", "posterior_of_worker", "usual_workers"]

PATIENCE = "30 s"
"""How long a scheduler may take to answer."""

WITHOUT_WORKERS = "5 minutes"
"""How long a cluster of ours may be without any worker, should one that died not start again."""


class ClusterError(MauryError, OSError):
    """Workers or their scheduler failed, through no mistake in what the user asked for."""


@contextmanager
def connected(scheduler: str | None, workers: int | None, device: str) -> Iterator[Client]:
    """A client of a running cluster or, without an address, of a new one on this machine.

    Raises
    ------
    MauryError
        If the device of a new cluster is not available.
    ClusterError
        If no scheduler answers.
    """
    import dask
    from distributed import Client, LocalCluster

    if scheduler is None:
        pick_device(device)
        count = usual_workers(device) if workers is None else workers
        patience = dask.config.set({"distributed.scheduler.no-workers-timeout": WITHOUT_WORKERS})
        with patience, warnings.catch_warnings():
            # Of a web server for each cluster, also where no dashboard is wanted.
            warnings.filterwarnings("ignore", "Port .* is already in use", UserWarning)
            cluster = LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError) as problem:
        raise ClusterError(f"--scheduler {scheduler}: no Dask scheduler ({problem})") from None
    with client:
        yield client


def usual_workers(device: str) -> int:
    """One for each GPU that is used; without GPUs, for each core that this process may use."""
    gpus = torch.cuda.device_count()
    if device in ("auto", "cuda") and gpus:
        return gpus
    if device.startswith("cuda"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_of_worker(device: str, worker: str, gpus: int) -> str:
    """Deal GPUs out by the number of the worker.

    Parameters
    ----------
    device : str
        What the user asked for; a GPU that is named (``cuda:1``) or ``cpu`` stays.
    worker : str
        Name; its number is the whole of it, or what follows the last hyphen, as Dask gives names.
        A worker without a number has the first GPU that it sees.
    gpus : int
        How many GPUs the worker sees.

    Examples
    --------
    >>> device_of_worker("auto", "5", 4)
    'cuda:1'
    """
    if device not in ("auto", "cuda") or gpus == 0:
        return device
    number = re.search(r"(?:^|-)(\d+)$", worker)
    return f"cuda:{int(number[1]) % gpus if number else 0}"


def posterior_of_worker(model: str, device: str) -> Posterior:
    """The model, on the GPU of the worker that this is called in."""
    from distributed import get_worker

    name = str(get_worker().name)
    return _loaded(model, device_of_worker(device, name, torch.cuda.device_count()))


@lru_cache(maxsize=1)
def _loaded(model: str, device: str) -> Posterior:
    # There are as many workers as cores: threads beside them would only be in each other's way.
    torch.set_num_threads(1)
    return Posterior.load(model, device=device)
