"""How fast `maury infer` answers catalogues of any size, and how much memory it takes.

    python benchmarks/scale.py rates [--rows 40000]     networks, threads, draws, bands
    python benchmarks/scale.py memory [--rows 100000 1000000 10000000]
    python benchmarks/scale.py one [--rows 1000000] [--draws 64]
    python benchmarks/scale.py limit [--draws 64]       operations and bytes, and how fast they go

Every number is that of a whole run of the command, from Parquet to Parquet, with start, reading and
writing; rows are those of a few thousand mock stars again and again. The paper's network has its
full size and random weights: arithmetic takes as long whatever the weights are. It answers a tenth
of the rows. Prints markdown tables.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from maury.catalogs.arrow import to_arrow
from maury.catalogs.mock import mock_catalog
from maury.default_model import DEFAULT_MODEL
from maury.inference.blocks import contexts
from maury.inference.posterior import Posterior
from maury.nets.estimator import Estimator
from maury.simulator import Simulator
from maury.training.checkpoint import Progress
from maury.training.config import read_config
from maury.training.folder import save_model
from maury.training.network import build_network
from measured_run import Cost, measured_run

PAPER_CONFIG = Path(__file__).parents[1] / "configs" / "iris-paper.toml"
PAPER_SHARE = 10
DIFFERENT_STARS = 20_000
ROW_GROUP = 100_000

SURVEYS = {
    "all": "",
    "Gaia, 2MASS": ("GAIA/GAIA3", "2MASS", "parallax"),
    "Gaia": ("GAIA/GAIA3", "parallax"),
}
"""How the columns of a catalogue with these surveys begin."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["rates", "memory", "one", "limit"])
    parser.add_argument("--rows", type=int, nargs="+")
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if arguments.what == "rates":
            rates(work, (arguments.rows or [40_000])[0], arguments.threads)
        elif arguments.what == "memory":
            memory(work, arguments.rows or [100_000, 1_000_000, 10_000_000], arguments.threads)
        elif arguments.what == "limit":
            limit((arguments.rows or [4096])[0], arguments.draws)
        else:
            one(work, (arguments.rows or [1_000_000])[0], arguments.draws, arguments.threads)


def rates(work: Path, rows: int, threads: int) -> None:
    """Networks, threads, draws and bands, each against the first line."""
    paper = str(untrained(PAPER_CONFIG, work / "paper-size"))
    cases = [
        (DEFAULT_MODEL, threads, 64, rows, "all"),
        (DEFAULT_MODEL, 1, 64, rows, "all"),
        (DEFAULT_MODEL, threads, 4, rows, "all"),
        (DEFAULT_MODEL, threads, 256, rows // 2, "all"),
        *((DEFAULT_MODEL, threads, 64, rows, surveys) for surveys in SURVEYS if surveys != "all"),
        ("iris-base", threads, 64, rows, "all"),
        (paper, threads, 64, rows // PAPER_SHARE, "all"),
    ]
    print("| model | surveys | threads | draws | rows | stars/s | draws/s | ratio | memory, GB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    first = 0.0
    for model, count, draws, length, surveys in cases:
        path = catalog(work, length, surveys)
        # The rate without the start, which a longer catalogue does not notice.
        start = infer(work, catalog(work, 100, surveys), model=model, draws=draws, threads=count)
        cost = infer(work, path, model=model, draws=draws, threads=count)
        rate = length * draws / (cost.seconds - start.seconds)
        first = first or rate
        print(
            f"| {Path(model).name} | {surveys} | {count} | {draws} | {length:,} "
            f"| {rate / draws:,.0f} | {rate:,.0f} | {rate / first:.2f} | {cost.memory:.2f} |",
            flush=True,
        )


def memory(work: Path, lengths: list[int], threads: int) -> None:
    """Four draws a star of longer and longer catalogues."""
    print("| rows | seconds | stars/s | most memory, GB |")
    print("|---:|---:|---:|---:|")
    for length in lengths:
        cost = infer(work, catalog(work, length), model=DEFAULT_MODEL, draws=4, threads=threads)
        rate = length / cost.seconds
        print(f"| {length:,} | {cost.seconds:,.0f} | {rate:,.0f} | {cost.memory:.2f} |", flush=True)


def one(work: Path, rows: int, draws: int, threads: int) -> None:
    """One run, start and all."""
    cost = infer(work, catalog(work, rows), model=DEFAULT_MODEL, draws=draws, threads=threads)
    print(
        f"{rows:,} rows, {draws} draws, {threads} threads: {cost.seconds:,.0f} s, "
        f"{rows * draws / cost.seconds:,.0f} draws/s, {cost.processor_seconds:,.0f} s of processor "
        f"time, at most {cost.memory:.2f} GB"
    )
    print("\n| stars | hours on this machine | hours of one core |\n|---:|---:|---:|")
    for stars in (10**6, 10**8, 10**9):
        share = stars / rows
        hours, of_cores = share * cost.seconds / 3600, share * cost.processor_seconds / 3600
        how = "measured" if stars == rows else "extrapolated"
        print(f"| {stars:,} ({how}) | {hours:,.2f} | {of_cores:,.2f} |")


@torch.no_grad()
def limit(stars: int, draws: int) -> None:
    """What networks compute and write for a star, on one thread, by the machine's best rates.

    Operations are those of matrix products; bytes those of the results of all operations of torch.
    The best rates are those of one product of matrices of 2048 x 2048, and of adding 64 MiB to
    themselves.
    """
    torch.set_num_threads(1)
    post = Posterior.load(DEFAULT_MODEL, device="cpu")
    network = cast(Estimator, post.network)
    known = post.known(post.simulate(stars, seed=1)[1])
    context, seen = network.context(known), network.seen(known)
    noise = torch.rand(draws, stars, network.noise_size)
    z = network.flow.draw(noise, context)
    square, long = torch.rand(2048, 2048), torch.zeros(2**24)
    best = 2 * 2048**3 / _seconds(lambda: square @ square)
    fast = long.nbytes / _seconds(lambda: torch.add(long, long, out=long))
    print(f"best rates: {best / 1e9:.0f} Gflop/s, {fast / 1e9:.1f} GB/s of results\n")
    print("| part | kflop/star | kB/star | us/star | of the best flop/s | of the best B/s |")
    print("|---|---:|---:|---:|---:|---:|")
    parts: dict[str, Callable[[], object]] = {
        "summary": lambda: contexts(network, known),
        f"flow, {draws} draws": lambda: network.flow.draw(noise, context),
        f"distances, {draws} draws": lambda: network.physical(z, seen),
    }
    for name, work in parts.items():
        flops, written = FlopCounterMode(display=False), Written()
        with flops, written:
            work()
        seconds = _seconds(work)
        print(
            f"| {name} | {flops.get_total_flops() / stars / 1e3:,.0f} "
            f"| {written.bytes / stars / 1e3:,.0f} | {1e6 * seconds / stars:.0f} "
            f"| {flops.get_total_flops() / seconds / best:.0%} "
            f"| {written.bytes / seconds / fast:.0%} |"
        )


class Written(TorchDispatchMode):
    """Adds up the bytes that operations write; views write none."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            for part in result if isinstance(result, tuple | list) else (result,):
                self.bytes += part.nbytes if isinstance(part, torch.Tensor) else 0
        return result


def _seconds(work: Callable[[], object], times: int = 5) -> float:
    """Processor time of the fastest of some goes."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def infer(work: Path, path: Path, *, model: str, draws: int, threads: int) -> Cost:
    command = [sys.executable, "-m", "maury", "infer", str(path), "-o", str(work / "out.parquet")]
    command += ["--model", model, "--draws", str(draws)]
    return measured_run(command, {"OMP_NUM_THREADS": str(threads)})


def catalog(work: Path, rows: int, surveys: str = "all") -> Path:
    """Mock stars again and again."""
    path = work / f"stars-{rows}-{surveys}.parquet"
    if not path.exists():
        config = Posterior.load(DEFAULT_MODEL).config.simulator
        mock = mock_catalog(config, min(rows, DIFFERENT_STARS), seed=1, knowledge=False)
        chosen = [name for name in mock.colnames if name.startswith(SURVEYS[surveys])]
        few = to_arrow(mock[chosen])
        many = pa.concat_tables([few] * max(1, ROW_GROUP // len(few)))
        with pq.ParquetWriter(path, few.schema) as writer:
            for start in range(0, rows, len(many)):
                writer.write_table(many.slice(0, rows - start))
    return path


def untrained(config_path: Path, folder: Path) -> Path:
    config = read_config(config_path)
    network = build_network(config, Simulator(config.simulator))
    save_model(folder, config, network, Progress())
    return folder


if __name__ == "__main__":
    main()
