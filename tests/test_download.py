"""Downloads against a real server that breaks off, stalls and lies."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from maury.download import DownloadError, Patience, RemoteFile, download, download_all
from maury.errors import MauryError

BODY = np.random.default_rng(5).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
DIGEST = hashlib.sha256(BODY).hexdigest()
HASTY = Patience(timeout=0.4, tries=3, wait=0.01)


@dataclass
class Server:
    """A file server whose faults a test chooses; it remembers what it was asked."""

    address: str = ""
    body: bytes = BODY
    etag: str | None = '"one"'
    ranges: bool = True
    break_after: list[int] = field(default_factory=list)
    stall_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    announced: int | None = None
    asked: list[str | None] = field(default_factory=list)
    on_request: Callable[[Server], None] = lambda server: None

    def file(self, *, sha256: str | None = None, size: int | None = None) -> RemoteFile:
        return RemoteFile(f"{self.address}/m+0.00/grid.dat", "m+0.00/grid.dat", sha256, size)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            state.on_request(state)
            state.asked.append(self.headers.get("Range"))
            if state.statuses and (status := state.statuses.pop(0)) != 200:
                self.send_error(status)
                return
            assert self.path == "/m+0.00/grid.dat"
            start = self._start()
            if start >= len(state.body) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = state.body[start:]
            self.send_response(206 if start else 200)
            if start:
                total = len(state.body)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            if state.etag:
                self.send_header("ETag", state.etag)
            length = len(body) if state.announced is None else state.announced
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if state.break_after:
                self.wfile.write(body[: state.break_after.pop(0)])
                self.connection.shutdown(socket.SHUT_RDWR)
            elif state.stall_after:
                self.wfile.write(body[: state.stall_after.pop(0)])
                self.wfile.flush()
                time.sleep(1.0)
            else:
                self.wfile.write(body)

        def _start(self) -> int:
            found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            condition = self.headers.get("If-Range")
            if not found or not state.ranges or condition not in (None, state.etag):
                return 0
            return int(found[1])

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.address = f"http://127.0.0.1:{http.server_address[1]}"
        yield state
        http.shutdown()
        thread.join()


def arrived_whole(folder: Path) -> None:
    """The file is there, and nothing else."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["grid.dat"]
    assert files[0].read_bytes() == BODY


def nothing_left(folder: Path) -> None:
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_fetches_and_then_keeps(server, tmp_path):
    path = download(server.file(sha256=DIGEST, size=len(BODY)), tmp_path)
    assert path == tmp_path / "m+0.00/grid.dat"
    arrived_whole(tmp_path)
    download(server.file(sha256=DIGEST), tmp_path)
    assert server.asked == [None]


def test_continues_where_a_broken_connection_ended(server, tmp_path):
    server.break_after = [100_000, 50_000]
    download(server.file(sha256=DIGEST), tmp_path, patience=HASTY)
    arrived_whole(tmp_path)
    starts = [int(re.sub(r"\D", "", asked or "0")) for asked in server.asked]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2] <= 150_000


def test_many_breaks_that_bring_something_each_are_borne(server, tmp_path):
    server.break_after = [20_000] * 10
    download(server.file(), tmp_path, patience=HASTY)
    arrived_whole(tmp_path)


def test_a_stall_is_ended_and_continued(server, tmp_path):
    server.stall_after = [70_000]
    started = time.monotonic()
    download(server.file(sha256=DIGEST), tmp_path, patience=HASTY)
    assert time.monotonic() - started < 5
    arrived_whole(tmp_path)
    assert len(server.asked) == 2
    assert server.asked[1] is not None


def test_a_stall_for_ever_is_an_error(server, tmp_path):
    server.stall_after = [0] * 10
    with pytest.raises(DownloadError, match="stalled"):
        download(server.file(), tmp_path, patience=HASTY)
    assert len(server.asked) == 3


def test_the_next_run_continues(server, tmp_path):
    server.break_after = [100_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="next run continues"):
        download(server.file(), tmp_path, patience=HASTY)
    assert not (tmp_path / "m+0.00/grid.dat").exists()
    server.break_after, server.asked = [], []
    download(server.file(), tmp_path, patience=HASTY)
    assert server.asked[0] is not None
    arrived_whole(tmp_path)


def test_a_file_that_changed_in_between_is_begun_anew(server, tmp_path):
    def change(state: Server) -> None:
        if state.asked:
            state.body, state.etag = BODY, '"two"'

    server.body, server.etag = bytes(300_000), '"one"'
    server.on_request, server.break_after = change, [100_000]
    download(server.file(), tmp_path, patience=HASTY)
    arrived_whole(tmp_path)


def test_pieces_without_a_mark_are_not_joined(server, tmp_path):
    server.etag, server.break_after = None, [100_000]
    download(server.file(), tmp_path, patience=HASTY)
    assert server.asked == [None, None]
    arrived_whole(tmp_path)


def test_a_joined_file_with_a_wrong_checksum_is_fetched_once_more(server, tmp_path):
    part = tmp_path / "m+0.00/grid.dat.part"
    part.parent.mkdir()
    part.write_bytes(bytes(1000))
    download(server.file(sha256=DIGEST), tmp_path, patience=HASTY)
    assert server.asked == ["bytes=1000-", None]
    arrived_whole(tmp_path)


def test_a_server_that_ignores_ranges(server, tmp_path):
    server.ranges, server.break_after = False, [100_000]
    download(server.file(sha256=DIGEST), tmp_path, patience=HASTY)
    arrived_whole(tmp_path)


def test_a_part_that_is_the_whole(server, tmp_path):
    part = tmp_path / "m+0.00/grid.dat.part"
    part.parent.mkdir()
    part.write_bytes(BODY)
    download(server.file(sha256=DIGEST), tmp_path, patience=HASTY)
    arrived_whole(tmp_path)


def test_wrong_content_is_removed(server, tmp_path):
    server.body = BODY[:-1] + bytes([BODY[-1] ^ 1])
    with pytest.raises(DownloadError, match="sha256") as told:
        download(server.file(sha256=DIGEST), tmp_path, patience=HASTY)
    assert "\n" not in str(told.value)
    assert len(server.asked) == 1
    nothing_left(tmp_path)


def test_a_wrong_length_is_told(server, tmp_path):
    with pytest.raises(DownloadError, match="published"):
        download(server.file(size=17), tmp_path, patience=HASTY)
    nothing_left(tmp_path)
    server.announced, server.ranges = len(BODY) + 1000, False
    with pytest.raises(DownloadError, match="ended after"):
        download(server.file(), tmp_path, patience=HASTY)
    assert not (tmp_path / "m+0.00/grid.dat").exists()


def test_too_short_an_announcement_does_not_pass_a_checksum(server, tmp_path):
    server.announced = 1000
    with pytest.raises(DownloadError, match="sha256"):
        download(server.file(sha256=DIGEST), tmp_path, patience=HASTY)
    nothing_left(tmp_path)


def test_missing_at_once(server, tmp_path):
    server.statuses = [404]
    with pytest.raises(DownloadError, match="404"):
        download(server.file(), tmp_path, patience=HASTY)
    assert len(server.asked) == 1
    nothing_left(tmp_path)


def test_a_server_that_recovers(server, tmp_path):
    server.statuses = [500, 503]
    download(server.file(sha256=DIGEST), tmp_path, patience=HASTY)
    assert len(server.asked) == 3
    arrived_whole(tmp_path)


def test_a_server_that_does_not(server, tmp_path):
    server.statuses = [503] * 9
    with pytest.raises(DownloadError, match=r"503.*3 times"):
        download(server.file(), tmp_path, patience=HASTY)


def test_a_damaged_file_on_disk_is_replaced(server, tmp_path):
    (tmp_path / "m+0.00").mkdir()
    (tmp_path / "m+0.00/grid.dat").write_bytes(b"garbage")
    download(server.file(sha256=DIGEST), tmp_path)
    arrived_whole(tmp_path)


def test_offline_is_one_line_and_no_mistake_of_the_user(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for host in (f"127.0.0.1:{port}", "no-such-host.invalid"):
        with pytest.raises(MauryError, match="offline") as told:
            download(RemoteFile(f"http://{host}/x", "x"), tmp_path, patience=HASTY)
        assert isinstance(told.value, OSError)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a\\..\\x"])
def test_nothing_is_written_elsewhere(path, tmp_path):
    with pytest.raises(DownloadError, match="refusing"):
        download(RemoteFile("http://localhost/x", path), tmp_path)


def test_only_the_web_is_read(tmp_path):
    with pytest.raises(DownloadError, match="http"):
        download(RemoteFile("file:///etc/hostname", "x"), tmp_path)


def test_many_at_a_time(server, tmp_path):
    files = [
        RemoteFile(f"{server.address}/m+0.00/grid.dat", f"{n}/grid.dat", DIGEST) for n in range(9)
    ]
    seen: list[str] = []
    server.break_after = [1000, 2000]
    download_all(files, tmp_path, patience=HASTY, arrived=lambda file: seen.append(file.path))
    assert sorted(seen) == sorted(file.path for file in files)
    server.statuses = [404]
    with pytest.raises(DownloadError, match="404"):
        download_all([RemoteFile(files[0].url, "new")], tmp_path, patience=HASTY)
