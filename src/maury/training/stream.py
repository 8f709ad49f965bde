"""Fresh stars to learn from, by number: whoever simulates them, they are the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from maury.measurements import Measurements
from maury.simulator import Simulator

__all__ = ["Batch", "Stream", "seed_of"]


@dataclass
class Batch:
    """Simulated stars: true parameters, measurements, and the population each belongs to."""

    theta: Tensor
    measurements: Measurements
    population: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(
            self.theta.to(device), self.measurements.to(device), self.population.to(device)
        )


@dataclass(frozen=True)
class Stream(Dataset[Batch]):
    """Batches of ``stars`` stars, each in ``slices`` whose sizes differ by one star at most.

    Entry ``n`` is slice ``n % slices`` of batch ``n // slices``. It has a seed of its own, so that
    of the processes that share a batch none simulates the slices of another.
    """

    simulator: Simulator
    seed: int
    purpose: str
    stars: int
    slices: int = 1

    def __getitem__(self, number: int) -> Batch:
        seed = seed_of(self.seed, self.purpose, number, slices=self.slices)
        whole, rest = divmod(self.stars, self.slices)
        stars = whole + (number % self.slices < rest)
        drawn = self.simulator.draw(stars, torch.Generator().manual_seed(seed))
        return Batch(drawn.theta, drawn.measurements, drawn.population)


def seed_of(seed: int, purpose: str, number: int, *, slices: int = 1) -> int:
    """A seed of 63 bits for each entry of each stream: none repeats or overlaps another.

    Other ``slices`` make another stream: a run that is resumed with more processes meets no star
    again.
    """
    stream = purpose if slices == 1 else f"{purpose} in {slices} slices"
    digest = hashlib.sha256(f"{seed}/{stream}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
