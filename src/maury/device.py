"""Where tensors live."""

from __future__ import annotations

import torch

from maury.errors import MauryError

__all__ = ["pick_device"]


def pick_device(name: str) -> torch.device:
    """The device of this name; ``"auto"`` is a GPU where there is one.

    Raises
    ------
    MauryError
        If the device is unknown or not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    refusal = MauryError(f"device {name!r} is not available; use 'cpu', 'cuda' or 'auto'")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise refusal from None
    # The others lack what is needed here: double precision, or storage at all.
    if device.type not in ("cpu", "cuda"):
        raise refusal
    return device
