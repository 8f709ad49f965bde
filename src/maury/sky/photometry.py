"""Synthetic photometry: from a star's parameters to its magnitudes.

`exact_magnitudes` integrates every reddened spectrum and is the reference; `MagnitudeTable` is its
fast, differentiable equal, and `cached_table` keeps one on disk between runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from safetensors import SafetensorError

from maury.cache import cache_folder
from maury.errors import MauryError
from maury.sky.bands import Band, band
from maury.sky.dust import extinction
from maury.sky.libraries import SpectralLibrary, load_library
from maury.sky.magnitude_nodes import Spacing
from maury.sky.magnitude_table import FORMAT, MagnitudeTable
from maury.sky.synthesis import exact_magnitudes

__all__ = ["MagnitudeTable", "cache_folder", "cached_table", "exact_magnitudes"]


def cached_table(library: str, bands: Sequence[str], law: str = "G23") -> MagnitudeTable:
    """The table of a library, bands and dust law, read from the cache or built and kept there.

    A file that is damaged, or that any change of library, curves, zero points, law or spacing has
    made stale, is not used. Where the cache cannot be written the table is only built.

    Parameters
    ----------
    library : str
        A name that `maury.sky.libraries.load_library` knows.
    bands : sequence of str
        SVO ids; the table's columns are in this order.
    law : str
        A name of `maury.sky.dust.DUST_LAWS`.

    Raises
    ------
    MauryError
        Where a name is unknown, or the law does not cover a band.
    """
    spectra = load_library(library)
    curves = [band(name) for name in bands]
    path = cache_folder() / "tables" / f"{_fingerprint(spectra, curves, law)}.safetensors"
    with suppress(MauryError):
        return MagnitudeTable.load(path)
    table = MagnitudeTable.build(spectra, curves, law)
    with suppress(OSError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        table.save(path)
    return table


def _fingerprint(library: SpectralLibrary, bands: Sequence[Band], law: str) -> str:
    """Hash of everything that a table's numbers depend on."""
    digest = hashlib.sha256(f"{FORMAT} {Spacing()} {law} {library.name}".encode())
    for curve in bands:
        digest.update(f"{curve.id} {curve.detector} {curve.zero_point!r}".encode())
        digest.update(curve.wave.tobytes() + curve.throughput.tobytes())
    nodes = (library.teff_nodes, library.logg_nodes, library.mh_nodes)
    for array in (library.wave, *nodes, library.exists):
        digest.update(np.ascontiguousarray(array).tobytes())
    # Some models stand for all: whatever repacks the library changes every one of them.
    for node in np.argwhere(library.exists)[::500]:
        digest.update(np.ascontiguousarray(library.node_flux(*node)).tobytes())
    optical = np.linspace(4000.0, 9000.0, 11)
    digest.update(extinction(law, optical, [2.5, 3.1, 5.0]).tobytes())
    return digest.hexdigest()[:32]
