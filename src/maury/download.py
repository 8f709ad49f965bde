"""Downloads that survive bad connections.

A file arrives under its own name whole and checked, or not at all. What a broken connection
brought is kept beside it as ``NAME.part`` and continued by an HTTP range request, by the next try
or the next run, but only where the server's ETag or date, or a checksum of ours, tells that both
pieces belong to the same file.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from maury.errors import MauryError

__all__ = ["PATIENT", "DownloadError", "Patience", "RemoteFile", "download", "download_all"]

_BLOCK = 1 << 16
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 60.0


class DownloadError(MauryError, OSError):
    """A file that could not be had, through no mistake in what the user asked for."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch.

    Attributes
    ----------
    url
        Address, http or https.
    path
        Its place below the folder that it is fetched into, parts separated by ``/``.
    sha256
        Hexadecimal digest of its bytes, where the publisher tells it.
    size
        Its length in bytes, where known.
    """

    url: str
    path: str
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server.

    Attributes
    ----------
    timeout
        Seconds without a single byte until a connection counts as stalled.
    tries
        Failures in a row, none of which brought a byte, until we give up.
    wait
        Seconds before the second try; doubled with every further one, up to a minute.
    """

    timeout: float = 30.0
    tries: int = 5
    wait: float = 1.0


PATIENT = Patience()


class _Broken(Exception):
    """A try failed in a way that another may not; `wait` is what the server asks for, seconds."""

    def __init__(self, what: str, *, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


def download_all(
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    workers: int = 4,
    patience: Patience = PATIENT,
    arrived: Callable[[RemoteFile], object] = lambda file: None,
) -> None:
    """Fetch files into a folder, a few at a time; those already there and whole are kept.

    Parameters
    ----------
    files
        What to fetch; see `download` for what becomes of each.
    folder
        Made where missing.
    workers
        Connections at a time.
    patience
        When to try again and when to give up.
    arrived
        Called with each file once it is there, from any thread.

    Raises
    ------
    DownloadError
        At the first file that cannot be had; what has arrived stays and is not fetched again.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:

        def fetch(file: RemoteFile) -> None:
            download(file, folder, patience=patience)
            arrived(file)

        futures = [pool.submit(fetch, file) for file in files]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def download(file: RemoteFile, folder: Path, *, patience: Patience = PATIENT) -> Path:
    """Fetch one file unless it is there already, and return where it lies.

    A file whose checksum (or size, where no checksum is known) is wrong is removed: one that was
    on disk is fetched anew, one that the server sent is an error.

    Raises
    ------
    DownloadError
        If the server cannot be reached, has no such file, keeps breaking off or stalling, or
        sends something else than what was published. The message is one line and names the URL.
    """
    target = _place(file, folder)
    if target.exists():
        if _wrong(file, target) is None:
            return target
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    joined = _collect(file, part, patience)
    fault = _wrong(file, part)
    if fault is not None and joined:
        # Pieces of two versions of the file may have met: once more, from the start.
        _discard(part)
        _collect(file, part, patience)
        fault = _wrong(file, part)
    if fault is not None:
        _discard(part)
        raise DownloadError(f"{file.url}: {fault}; what came has been removed")
    part.replace(target)
    _discard(part)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _place(file: RemoteFile, folder: Path) -> Path:
    """Where a file belongs, which must be inside the folder."""
    path = PurePosixPath(file.path)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in file.path:
        raise DownloadError(f"{file.url}: refusing to write to {file.path!r}")
    return folder.joinpath(*path.parts)


def _wrong(file: RemoteFile, path: Path) -> str | None:
    """What is wrong with the file on disk, if anything."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{size} bytes where {file.size} were published"
    if file.sha256 is not None:
        found = _sha256(path)
        if found != file.sha256.lower():
            return f"sha256 is {found}, published is {file.sha256}"
    return None


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    """Where the server's mark of the version that a part belongs to is kept."""
    return part.with_name(part.name + ".json")


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _collect(file: RemoteFile, part: Path, patience: Patience) -> bool:
    """Try until the part is complete; tell whether it was put together from several pieces."""
    failures, joined, furthest = 0, False, _length(part)
    while True:
        joined = joined or _length(part) > 0
        try:
            _continue(file, part, patience.timeout)
            return joined
        except _Broken as broken:
            now = _length(part)
            failures = 1 if now > furthest else failures + 1
            furthest = max(furthest, now)
            if failures >= patience.tries:
                kept = f"; {now} bytes are kept, the next run continues there" if now else ""
                raise DownloadError(f"{file.url}: {broken} ({failures} times){kept}") from None
            pause = min(max(broken.wait, patience.wait * 2.0 ** (failures - 1)), _LONGEST_WAIT)
        time.sleep(pause)


def _continue(file: RemoteFile, part: Path, timeout: float) -> None:
    """Append what is missing to a part, from where it ends if the server and we can tell."""
    held = _length(part)
    version = _version(part)
    if held and version is None and file.sha256 is None:
        _discard(part)  # nothing could tell whether the pieces fit
        held = 0
    headers = {"User-Agent": "maury", "Accept-Encoding": "identity"}
    if held:
        headers["Range"] = f"bytes={held}-"
        if version is not None:
            headers["If-Range"] = version
    with _open(file.url, headers, timeout) as response:
        if response.status == 416:
            if _total(response) != held:
                _discard(part)
                raise _Broken("the server refuses to continue the file")
            return
        start, total = _span(response, held)
        if start != held:
            _discard(part)
            if start:
                raise _Broken(f"the server sent bytes from {start} on where {held} was asked for")
        _note(part).write_text(json.dumps(_mark(response)))
        _append(response, part, total, "ab" if start else "wb")


def _append(response: HTTPResponse, part: Path, total: int | None, mode: str) -> None:
    """Write the body to the part; a body that ends early or stalls is a broken try."""
    with part.open(mode) as stream:
        while True:
            try:
                block = response.read(_BLOCK)
            except TimeoutError:
                raise _Broken("the connection stalled") from None
            except (OSError, HTTPException) as error:
                raise _Broken(f"the connection broke ({error or type(error).__name__})") from None
            if not block:
                break
            stream.write(block)
        length = stream.tell()
    if total is not None and length < total:
        raise _Broken(f"the connection ended after {length} of {total} bytes")
    if total is not None and length > total:
        _discard(part)
        raise _Broken(f"{length} bytes came where {total} were announced")


def _open(url: str, headers: dict[str, str], timeout: float) -> HTTPResponse:
    """Send a request; errors that another try may cure are `_Broken`, others final."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise DownloadError(f"{url}: only http and https are fetched")
    # A plus sign stands in real paths (m+0.00) and means itself there.
    address = parts._replace(path=quote(parts.path, safe="/%+=:,~@")).geturl()
    try:
        opened: HTTPResponse = urlopen(Request(address, headers=headers), timeout=timeout)
        return opened
    except HTTPError as error:
        if error.code == 416:
            return error  # type: ignore[return-value]  # it is read like a response
        if error.code in _BUSY:
            asked = error.headers.get("Retry-After", "")
            wait = float(asked) if asked.isdigit() else 0.0
            raise _Broken(f"the server answers {error.code} {error.reason}", wait=wait) from None
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from None
    except URLError as error:
        raise _unreachable(url, error.reason) from None
    except TimeoutError:
        raise _Broken(f"no answer within {timeout:g} seconds") from None
    except (OSError, HTTPException) as error:
        raise _Broken(f"the connection broke ({error or type(error).__name__})") from None


def _unreachable(url: str, reason: object) -> Exception:
    """What to raise where no connection came about."""
    host = urlsplit(url).hostname
    if isinstance(reason, TimeoutError):
        return _Broken(f"no connection to {host} in time")
    if isinstance(reason, (socket.gaierror, ssl.SSLCertVerificationError)):
        return DownloadError(f"{url}: no connection to {host} ({reason}): is this machine offline?")
    return _Broken(f"no connection to {host} ({reason}): is this machine offline?")


def _span(response: HTTPResponse, held: int) -> tuple[int, int | None]:
    """First byte of the body, and length of the whole file where the server tells."""
    if response.status != 206:
        length = response.headers.get("Content-Length")
        return 0, int(length) if length is not None and length.isdigit() else None
    found = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
    )
    if found is None:
        return held, None
    return int(found[1]), int(found[2]) if found[2] != "*" else None


def _total(response: HTTPResponse) -> int | None:
    """Length of the whole file as a refusal of a range tells it (``bytes */N``)."""
    found = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", "").strip())
    return int(found[1]) if found else None


def _mark(response: HTTPResponse) -> dict[str, str | None]:
    """What tells this version of the file from others: a strong ETag, else its date."""
    tag = response.headers.get("ETag")
    if tag is not None and not tag.startswith("W/"):
        return {"version": tag}
    return {"version": response.headers.get("Last-Modified")}


def _version(part: Path) -> str | None:
    """The mark that was kept for a part, if any."""
    with suppress(OSError, ValueError, AttributeError):
        version = json.loads(_note(part).read_text()).get("version")
        return version if isinstance(version, str) else None
    return None
