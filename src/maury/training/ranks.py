"""The processes that train one network together; most often there is one.

Each holds the whole network and learns from its own slices of every batch; the gradients are added
up. All of them then take the same step, so that the networks stay equal to the last bit.

One sum of all gradients after the last slice is what torch's `DistributedDataParallel` comes to for
networks of some hundred thousand weights. It is not used, because it groups the gradients anew
after its first step: sums over three processes or more then come out in another order, and a run
that is resumed is not the uninterrupted one to the last bit.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from maury.device import pick_device
from maury.errors import MauryError

__all__ = ["Ranks", "join"]


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Parameters
    ----------
    device : torch.device
        Its own.
    rank : int
        Its number, from 0.
    count : int
        How many there are.
    neighbours : int
        How many of them, itself included, share this machine.
    """

    device: torch.device
    rank: int = 0
    count: int = 1
    neighbours: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that validates, writes and speaks."""
        return self.rank == 0

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type by their sums over all processes."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _told():
            dist.all_reduce(flat)
        sums = flat.split([tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view_as(tensor))

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any of the processes."""
        votes = torch.tensor([float(flag)], device=self.device)
        self.add([votes])
        return votes.item() > 0

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the first process."""
        if self.count == 1:
            return
        for tensor in tensors:
            with _told():
                dist.broadcast(tensor, 0)

    def leave(self) -> None:
        """Part from the others, once nothing is to be added up any more."""
        if self.count > 1:
            dist.destroy_process_group()


def join(device: str) -> Ranks:
    """Find the other processes by what torchrun has set in the environment; without it, be alone.

    Parameters
    ----------
    device : str
        auto, cpu or cuda. Each process of a machine takes the GPU of its own number.

    Raises
    ------
    MauryError
        If the device is not available, or there are more processes than GPUs.
    """
    own = pick_device(device)
    count = int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if count == 1:
        return Ranks(own)
    # Whatever torch imports later (its optimizers bring this) takes the group of all processes as
    # a default of its functions and keeps it alive: its threads would then outlast `leave`, and
    # crash the process now and then at its end.
    importlib.import_module("torch.distributed.fsdp")
    neighbours = int(os.environ["LOCAL_WORLD_SIZE"])
    if own.type == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if neighbours > torch.cuda.device_count():
            raise MauryError(
                f"{neighbours} processes for {torch.cuda.device_count()} GPUs: start torchrun with "
                f"--nproc-per-node {torch.cuda.device_count()}"
            )
        torch.cuda.set_device(own)
        dist.init_process_group("nccl", device_id=own)
    else:
        dist.init_process_group("gloo")
    return Ranks(own, dist.get_rank(), count, neighbours)


@contextmanager
def _told() -> Iterator[None]:
    """A process that ends leaves the others in the middle of a sum: no fault of theirs."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ConnectionError(
            f"another process of this training has ended or cannot be reached ({reason})"
        ) from None
