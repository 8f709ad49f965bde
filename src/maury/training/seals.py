"""Hashes by which damage is found: of tensors within a file, and of the files of a model folder.

One bit of the weights or one digit of a config that changes on the way would leave a model that
answers as ever, and wrongly. The list of a folder's hashes is in the format of ``sha256sum``, so
that ``sha256sum -c SHA256SUMS`` checks it, too. The card is not in it: only people read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from maury.errors import MauryError

__all__ = ["SUMS", "check_seal", "hash_of_tensors", "seal"]

SUMS = "SHA256SUMS"


def hash_of_tensors(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key].contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def seal(folder: Path, names: Iterable[str]) -> None:
    """List these files of the folder with their hashes."""
    lines = (f"{_hash_of_file(folder / name)}  {name}\n" for name in names)
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def check_seal(path: Path) -> None:
    """Refuse a file that is not the one which was sealed.

    A folder without a list passes: models that were trained before there were seals have none.

    Raises
    ------
    MauryError
        If the list beside the file is damaged, or has another hash of it.
    FileNotFoundError
        If a list is there, but not the file.
    """
    sums = path.parent / SUMS
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise MauryError(f"{sums}: not a readable list of hashes ({error})") from None
    hashes = [line.split()[0] for line in lines if line.split()[1:] == [path.name]]
    if len(hashes) != 1:
        raise MauryError(f"{sums}: damaged, {path.name} should be listed once; fetch it anew")
    if hashes[0] != _hash_of_file(path):
        raise MauryError(
            f"{path}: wrong hash, it is not the file that {SUMS} lists; fetch the model anew"
        )


def _hash_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
