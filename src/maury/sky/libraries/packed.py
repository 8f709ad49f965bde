"""One file for a whole library: what `maury libraries fetch` leaves in the cache.

A safetensors file of `wave` (W,), `teff` (T,), `logg` (G,), `mh` (M,), `exists` (T, G, M) and
`log_ratio` (models, W): log10(F_lambda / pi B_lambda(Teff)) of the existing nodes in C order. Its
metadata hold the name and where the spectra came from.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from maury.errors import MauryError
from maury.sky.libraries.grid import GridLibrary

__all__ = ["read_packed", "write_packed"]

FORMAT = "maury library 1"


def write_packed(library: GridLibrary, path: Path, *, provenance: str) -> None:
    """Write a library; the file appears whole or not at all.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    tensors: dict[str, NDArray[Any]] = {
        "wave": library.wave,
        "teff": library.teff_nodes,
        "logg": library.logg_nodes,
        "mh": library.mh_nodes,
        "exists": library.exists.astype(np.uint8),
        "log_ratio": library.coefficients[library.exists] @ library.basis + library.mean,
    }
    # safetensors writes memory as it lies, so every array must be in C order.
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    metadata = {"format": FORMAT, "name": library.name, "provenance": provenance}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error})") from error
    part.replace(path)


def read_packed(path: Path) -> GridLibrary:
    """Read what `write_packed` wrote.

    Raises
    ------
    MauryError
        If the file is damaged or of another form.
    """
    try:
        with safe_open(path, framework="numpy") as held:
            metadata = held.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise MauryError(f"{path}: not a library of this version of maury: fetch it anew")
            array = {key: held.get_tensor(key) for key in held.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise MauryError(f"{path}: cannot be read ({error}): fetch the library anew") from error
    exists = array["exists"].astype(bool)
    width = len(array["wave"])
    coefficients = np.zeros((*exists.shape, width), dtype=np.float32)
    coefficients[exists] = array["log_ratio"]
    return GridLibrary(
        name=metadata["name"],
        wave=array["wave"],
        teff_nodes=array["teff"],
        logg_nodes=array["logg"],
        mh_nodes=array["mh"],
        exists=exists,
        coefficients=coefficients,
        basis=np.eye(width, dtype=np.float32),
        mean=np.zeros(width, dtype=np.float32),
    )
