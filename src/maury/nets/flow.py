"""What every conditional normalising flow of maury answers, and the noise it starts from."""

from __future__ import annotations

import ctypes
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["Flow", "beside", "bounded", "log_normal", "normal_quantile"]

LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def normal_quantile(uniform: Tensor) -> Tensor:
    """Standard-normal numbers from uniform ones; 0 and 1 are taken as the nearest inner float."""
    info = torch.finfo(uniform.dtype)
    return torch.special.ndtri(uniform.clamp(info.tiny, 1.0 - info.eps / 2.0))


def log_normal(x: Tensor) -> Tensor:
    """Log density of independent standard normals, summed over the last dimension."""
    return -0.5 * x.square().sum(dim=-1) - x.shape[-1] * LOG_ROOT_2PI


def bounded(x: Tensor, limit: float) -> Tensor:
    """``x`` near zero, never beyond +-``limit``: keeps exponentials of it finite."""
    return limit * torch.tanh(x / limit)


def beside(x: Tensor, rows: int) -> Tensor:
    """Let numbers of stars (..., N) broadcast against arrays that end in ``rows`` dimensions."""
    return x[(..., *[None] * (rows - 1), slice(None))]


class Flow(nn.Module, ABC):
    """A density over z given a context, with draws from explicit noise.

    Attributes
    ----------
    features : int
        D, the number of coordinates.
    context : int
        C, the length of the context.
    noise_size : int
        M, how many uniform numbers make one draw.
    """

    # Draws are made this many rows at a time: intermediate arrays then stay near the cache. The
    # number is kept to, by filling up, so that a draw is rounded alike in any company.
    rows_at_once = 8192

    def __init__(self, features: int, context: int, noise_size: int) -> None:
        super().__init__()
        self.features = features
        self.context = context
        self.noise_size = noise_size

    @abstractmethod
    def log_prob(self, z: Tensor, context: Tensor) -> Tensor:
        """Log density.

        Parameters
        ----------
        z : Tensor, (..., N, D)
        context : Tensor, (N, C)

        Returns
        -------
        Tensor, (..., N)
        """

    @abstractmethod
    def encode(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z (..., N, D) to the base: u (..., N, D) and log |det du/dz| (..., N)."""

    @abstractmethod
    def _condition(self, context: Tensor) -> tuple[Tensor, ...]:
        """All that depends on the star alone, computed once."""

    @abstractmethod
    def _decode(self, noise: Tensor, condition: tuple[Tensor, ...]) -> Tensor:
        """Noise (K, n, M) to z (K, n, D)."""

    @torch.no_grad()
    def draw(self, noise: Tensor, context: Tensor) -> Tensor:
        """Turn noise into draws: a deterministic map, so equal noise gives equal draws.

        Not differentiable: gradients go through `log_prob` and `encode`.

        Parameters
        ----------
        noise : Tensor, (K, N, M)
            Uniform numbers in (0, 1), M = ``noise_size``.
        context : Tensor, (N, C)

        Returns
        -------
        Tensor, (K, N, D)
            Distributed as ``exp(log_prob(z, context))`` over z.
        """
        draws, stars, _ = noise.shape
        if not draws or not stars:
            return noise.new_empty(draws, stars, self.features)
        _keep_freed_memory()
        per_star = min(draws, self.rows_at_once)
        step = max(1, self.rows_at_once // per_star)
        drawn = noise.new_empty(draws, stars, self.features)

        @torch.no_grad()
        def fill(start: int) -> None:
            stop = min(start + step, stars)
            block = _filled(noise[:, start:stop], step, dim=1)
            condition = self._condition(_filled(context[start:stop], step, dim=0))
            for first in range(0, draws, per_star):
                rows = slice(first, first + per_star)
                drawn[rows, start:stop] = self._decode(block[rows], condition)[:, : stop - start]

        _each(fill, range(0, stars, step), parallel=noise.device.type == "cpu")
        return drawn


def _each(work: Callable[[int], None], items: Iterable[int], *, parallel: bool) -> None:
    """Call ``work`` on all items, on as many threads as torch would use within one operation.

    Operations on a few thousand rows are too short to share; whole blocks of rows are not.
    """
    threads = torch.get_num_threads()
    if not parallel or threads == 1:
        for item in items:
            work(item)
        return
    try:
        with ThreadPoolExecutor(threads, "draw", torch.set_num_threads, (1,)) as pool:
            list(pool.map(work, items))
    finally:
        # The number holds for the thread that sets it, but also for threads begun later.
        torch.set_num_threads(threads)


@cache
def _keep_freed_memory() -> None:
    """Let glibc reuse freed arrays rather than return them, and have new pages zeroed, each time.

    Half of a draw's time went into that; and does in Dask's workers, whose environment sets
    MALLOC_TRIM_THRESHOLD_ to 64 KiB, unless it is set anew here (mallopt(3)).
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other libraries than glibc lack it
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
            mallopt(_M_TRIM_THRESHOLD, 64 * 2**20)


def _filled(x: Tensor, size: int, *, dim: int) -> Tensor:
    """Repeat the first entry along a dimension until there are ``size``."""
    missing = size - x.shape[dim]
    if not missing:
        return x
    first = x.narrow(dim, 0, 1)
    return torch.cat([x, first.expand(*x.shape[:dim], missing, *x.shape[dim + 1 :])], dim=dim)
