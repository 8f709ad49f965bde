"""Downloading a library, packing it into one file, and finding it again."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

from maury.cache import cache_folder
from maury.download import PATIENT, Patience, RemoteFile, download, download_all
from maury.errors import MauryError
from maury.sky.libraries.assemble import check_energy
from maury.sky.libraries.ck04 import read_ck04
from maury.sky.libraries.grid import GridLibrary
from maury.sky.libraries.packed import read_packed, write_packed
from maury.sky.libraries.sources import SOURCES, Source

__all__ = ["Progress", "fetch_library", "how_to_get", "library_folder", "packed_path"]

Progress = Callable[[int, int], object]
"""Told how many files have arrived, and of how many."""


def library_folder() -> Path:
    """Where fetched libraries lie: `libraries` in `maury.cache.cache_folder`."""
    return cache_folder() / "libraries"


def packed_path(name: str) -> Path:
    """The file that a fetched library is packed into."""
    return library_folder() / f"{name}.safetensors"


def fetch_library(
    name: str,
    *,
    source: Path | None = None,
    mirror: str | None = None,
    keep: bool = False,
    patience: Patience = PATIENT,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Have a library on disk: download its files, read them, and pack them into one.

    Parameters
    ----------
    name
        One of `maury.sky.libraries.library_names`.
    source
        A folder that already holds the publisher's files in the publisher's layout, a packed
        library, or, for ck04, an `.npz` (see `maury.sky.libraries.ck04`): nothing is downloaded.
    mirror
        Address to use in place of the publisher's, with the same files below it.
    keep
        Keep the downloaded files beside the packed one; else they are removed once it is written.
    patience, progress
        See `maury.download.Patience`; `progress` may be called from any thread.

    Returns
    -------
    The packed file.

    Raises
    ------
    DownloadError
        If a file cannot be had; what has arrived stays for the next try.
    MauryError
        If the name is unknown, the library cannot be downloaded, or the files are not of the
        published form.
    """
    if name not in SOURCES:
        raise MauryError(f"no library {name!r} to fetch: there are {', '.join(SOURCES)}")
    wanted = SOURCES[name]
    target = packed_path(name)
    if source is not None:
        library, origin = _from_disk(wanted, source), str(source.name)
    else:
        raw = library_folder() / f"{name}.files"
        origin = mirror or wanted.home
        _download(wanted, origin, raw, patience, progress)
        library = _read(wanted, raw)
    check_energy(library)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    write_packed(library, target, provenance=f"{wanted.cite}; from {origin}, {today}")
    if source is None and not keep:
        shutil.rmtree(library_folder() / f"{name}.files")
    return target


def how_to_get(name: str) -> str:
    """The command that puts a library of `SOURCES` on disk."""
    if SOURCES[name].read is None:
        return f"`python scripts/build_sedfit_libraries.py {name.removeprefix('sedfit-')}`"
    given = "" if SOURCES[name].list_files else " --from FOLDER"
    return f"`maury libraries fetch {name}{given}`"


def _read(wanted: Source, folder: Path) -> GridLibrary:
    if wanted.read is None:
        raise MauryError(
            f"library {wanted.name} is made from the source archive of SEDFit: run "
            f"{how_to_get(wanted.name)}"
        )
    return wanted.read(folder)


def _from_disk(wanted: Source, source: Path) -> GridLibrary:
    """Read files that the user has."""
    if not source.exists():
        raise MauryError(f"{source}: there is no such file or folder")
    if source.is_dir():
        return _read(wanted, source)
    if source.suffix == ".safetensors":
        return read_packed(source)
    if source.suffix == ".npz" and wanted.name == "ck04":
        return read_ck04(source)
    raise MauryError(f"{source}: library {wanted.name} is read from a folder of published files")


def _download(wanted: Source, home: str, raw: Path, patience: Patience, progress: Progress) -> None:
    if wanted.list_files is None:
        if wanted.read is None:
            _read(wanted, raw)
        raise MauryError(
            f"library {wanted.name} ({wanted.cite}) has no lasting address: once you have its "
            f"files, run {how_to_get(wanted.name)}"
        )

    def listing(file: RemoteFile) -> Path:
        # A publisher's list may have grown since the last try.
        (raw / file.path).unlink(missing_ok=True)
        return download(file, raw, patience=patience)

    files = wanted.list_files(home.rstrip("/"), raw, listing)
    done = 0
    progress(0, len(files))

    def arrived(file: RemoteFile) -> None:
        nonlocal done
        done += 1
        progress(done, len(files))

    download_all(files, raw, patience=patience, arrived=arrived)
