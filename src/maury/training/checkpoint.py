"""Checkpoints of a training run: all that is needed to go on as if nothing had happened.

One safetensors file, written beside its final name and then renamed, so that a run that is killed
while writing leaves the previous checkpoint whole. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from maury.errors import MauryError
from maury.training.seals import hash_of_tensors

__all__ = ["Progress", "load_checkpoint", "save_checkpoint"]


@dataclass
class Progress:
    """Where a run stands: updates done, seconds spent, lowest held-out loss and its update."""

    step: int = 0
    seconds: float = 0.0
    best_loss: float = float("inf")
    best_step: int = -1


def save_checkpoint(
    path: Path,
    modules: dict[str, nn.Module],
    optimizer: Optimizer,
    progress: Progress,
    config_hash: str,
) -> None:
    """Write the modules' weights, Adam's moments and the progress, atomically."""
    tensors = {
        f"{name}/{key}": value.contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items()}
    tensors = {key: value.detach().cpu().clone() for key, value in tensors.items()}
    stand = json.dumps(asdict(progress))
    metadata = {"progress": stand, "config": config_hash, "sha256": _hash(tensors, stand)}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata)
    os.replace(partial, path)


def load_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimizer: Optimizer, config_hash: str
) -> Progress:
    """Restore what `save_checkpoint` wrote.

    Raises
    ------
    MauryError
        If the file is damaged or belongs to another config.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise MauryError(f"{path}: not a readable checkpoint ({error})") from None
    if metadata.get("config") != config_hash:
        raise MauryError(f"{path}: this checkpoint was written with another config; start anew")
    stand = metadata.get("progress", "")
    found = _hash(tensors, stand)
    # Runs that began before there was a hash may go on.
    if metadata.get("sha256", found) != found:
        raise MauryError(f"{path}: wrong hash, this checkpoint is damaged; start anew")
    for name, module in modules.items():
        module.load_state_dict(_below(tensors, f"{name}/"))
    optimizer.load_state_dict(
        {
            "state": _moments(_below(tensors, "optimizer/")),
            "param_groups": optimizer.state_dict()["param_groups"],
        }
    )
    return Progress(**json.loads(stand))


def _hash(tensors: dict[str, Tensor], progress: str) -> str:
    return hashlib.sha256((hash_of_tensors(tensors) + progress).encode()).hexdigest()


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _moments(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = value
    return state
