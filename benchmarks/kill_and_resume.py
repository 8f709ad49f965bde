"""Kill `maury infer` at random moments, go on with --resume, and compare with a run in peace.

    python benchmarks/kill_and_resume.py [--kills 50] [--rows 400000] [--seed 0]

Every kill is a SIGKILL to the first process alone, as the kernel does it when memory runs out; the
script waits until its worker processes have noticed. The output must have the same bytes.
"""

from __future__ import annotations

import argparse
import filecmp
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from maury.catalogs.mock import mock_catalog
from maury.catalogs.writers import write_table
from maury.default_model import DEFAULT_MODEL
from maury.inference.posterior import Posterior

DRAWS = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        config = Posterior.load(DEFAULT_MODEL).config.simulator
        stars = mock_catalog(config, arguments.rows, seed=1, knowledge=False)
        write_table(stars, work / "stars.parquet")
        whole, out = work / "whole.parquet", work / "out.parquet"
        started = time.monotonic()
        finish(start(work, whole, resume=False))
        alone = time.monotonic() - started
        kills = completed = orphans = 0
        while kills < arguments.kills:
            run = start(work, out, resume=True)
            try:
                finish(run, timeout=chance.uniform(0.0, 0.8 * alone))
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
                kills += 1
                orphans += count_orphans(run)
                print(f"killed {kills:2d} times, {finished(out)} parts are there", file=sys.stderr)
            else:
                completed += 1
                compare(out, whole)
                out.unlink()
        finish(start(work, out, resume=True))
        compare(out, whole)
    print(f"{kills} kills of a run of {alone:.0f} s and {arguments.rows:,} rows")
    print(f"{completed + 1} outputs, all of the same bytes as that of a run in peace")
    print(f"{orphans} worker processes outlived their first process by more than 3 s")


def start(work: Path, out: Path, *, resume: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "maury", "infer", str(work / "stars.parquet")]
    command += ["-o", str(out), "--draws", str(DRAWS), *(["--resume"] if resume else [])]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)


def finish(run: subprocess.Popen[bytes], timeout: float | None = None) -> None:
    if run.wait(timeout) != 0:
        raise SystemExit(f"maury infer ended with {run.returncode}")


def finished(out: Path) -> int:
    return len(list(out.with_name(f"{out.name}.parts").glob("answers-*.parquet")))


def count_orphans(killed: subprocess.Popen[bytes]) -> int:
    """Processes of the killed one's session that are still there."""
    time.sleep(3.0)
    command = ["ps", "-s", str(killed.pid), "-o", "pid="]
    return len(subprocess.run(command, capture_output=True, text=True).stdout.split())


def compare(out: Path, whole: Path) -> None:
    if not filecmp.cmp(out, whole, shallow=False):
        raise SystemExit(f"{out} differs from the output of a run in peace")


if __name__ == "__main__":
    main()
