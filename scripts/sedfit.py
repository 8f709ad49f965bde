"""The grids that the source package of SEDFit ships, and the only place that reads pickles.

The archive's hash is pinned, and its pickles are read with a short list of allowed globals.
SEDFit 0.6.1 (M. Kounkel; PyPI; MIT licence) holds PHOENIX, Kurucz, Coelho and BT-Settl spectra
rebinned to resolving powers of 145 to 500.
"""

import bz2
import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["SDIST", "SHA256", "SIGMA", "Key", "fetch", "read"]

SDIST = "SEDFit==0.6.1"
SHA256 = "11d9baa903b7340798fe758a2a73738b472748ffa3a7a4fa2a4b1dae7547eb1b"

SIGMA = 5.670374419e-5  # Stefan-Boltzmann, erg/s/cm2/K4 (CODATA 2018)
Floats = NDArray[np.float64]
Key = tuple[float, float, float, float]
"""Teff in K, log g, [Fe/H], [alpha/Fe]."""


class Restricted(pickle.Unpickler):
    """Loads arrays and tables; anything else in the file is refused."""

    ALLOWED = frozenset(
        {
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("collections", "OrderedDict"),
            ("astropy.table.table", "Table"),
            ("astropy.table.column", "Column"),
            ("astropy.units.quantity", "Quantity"),
            ("astropy.units.core", "CompositeUnit"),
            ("astropy.units.core", "IrreducibleUnit"),
            ("astropy.units.core", "PrefixUnit"),
            ("astropy.units.core", "Unit"),
            ("astropy.units.core", "_recreate_irreducible_unit"),
        }
    )

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not on the list of allowed globals")
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return super().find_class(module, name)


def fetch(argument: Path | None) -> bytes:
    """Return the source archive, whose hash must be the pinned one."""
    with tempfile.TemporaryDirectory() as folder:
        if argument is None:
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
            subprocess.run([*pip, "-d", folder, SDIST], check=True)
            argument = next(Path(folder).glob("*.tar.gz"))
        archive = argument.read_bytes()
    found = hashlib.sha256(archive).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{argument}: sha256 is {found}, expected {SHA256}")
    return archive


def read(archive: bytes, name: str) -> tuple[Floats, Floats, list[Key]]:
    """Return wavelengths (W,) in Angstrom, log10 F_lambda (N, W) and keys of one grid."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(f"SEDFit-0.6.1/SEDFit/sed_{name}.p")
        if member is None:
            raise SystemExit(f"the archive has no sed_{name}.p")
        log_power, table, wave = Restricted(io.BytesIO(bz2.decompress(member.read()))).load()
    angstrom = np.asarray(wave.value, dtype=np.float64)
    columns = [np.asarray(table[c], dtype=np.float64) for c in ("teff", "logg", "feh", "alpha")]
    keys = [
        (float(t), float(g), float(m), round(float(a), 1))
        for t, g, m, a in zip(*columns, strict=True)
    ]
    return angstrom, np.asarray(log_power) - np.log10(angstrom), keys
