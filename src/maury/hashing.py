"""A 64-bit mixing function on torch tensors: splitmix64's finaliser.

Steele, Lea & Flood 2014, OOPSLA, doi:10.1145/2660193.2660195. Neighbouring numbers become
unrelated ones; int64 arithmetic wraps around on every device.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["mix"]


def _signed(word: int) -> int:
    """A 64-bit constant as the two's complement that int64 arithmetic wants."""
    return word - (1 << 64) if word >= 1 << 63 else word


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_MULTIPLY_1 = _signed(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = _signed(0x94D049BB133111EB)


def mix(x: Tensor) -> Tensor:
    """Scramble int64 numbers (any shape), one to one."""
    x = x + _GOLDEN
    x = (x ^ _shift_right(x, 30)) * _MULTIPLY_1
    x = (x ^ _shift_right(x, 27)) * _MULTIPLY_2
    return x ^ _shift_right(x, 31)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift: torch's own copies the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
