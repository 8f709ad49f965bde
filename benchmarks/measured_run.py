"""A command's seconds, processor seconds, and the most memory that it and its children held."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "measured_run"]

INTERVAL = 0.2


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Parameters
    ----------
    seconds, processor_seconds : float
    memory : float
        GB; pages that several processes share are counted once (Linux' proportional set size).
    """

    seconds: float
    processor_seconds: float
    memory: float


def measured_run(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end.

    Raises
    ------
    SystemExit
        If it fails.
    """
    used: dict[Path, float] = {}
    started = time.monotonic()
    run = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)
    most = 0
    while run.poll() is None:
        processes = _session(run.pid)
        most = max(most, sum(_memory_of(process) for process in processes))
        used |= {process: _seconds_of(process) or used.get(process, 0.0) for process in processes}
        time.sleep(INTERVAL)
    seconds = time.monotonic() - started
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
    return Cost(seconds, sum(used.values()), most / 1e9)


def _session(leader: int) -> list[Path]:
    """Processes of the session that a process leads."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == leader:
                found.append(entry)
        except ProcessLookupError:
            continue
    return found


def _memory_of(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _seconds_of(process: Path) -> float:
    """User and system time, the 14th and 15th field of proc(5)'s stat; the name may hold spaces."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
