"""What a second Dask worker brings, and what a killed one costs.

    python benchmarks/dask_workers.py [--model iris-base] [--stars 20000] [--draws 64]

Mock stars, spread over the sky, go from HATS catalogue to HATS catalogue through one worker of one
thread, through two, and through two of which one is killed when half of the pixels are done. The
workers have started and loaded the model before the clock does. Prints a markdown table: rate,
rows in and out, and whether ids and answers are those of the first run.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import lsdb
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from maury import Posterior
from maury.catalogs.hats import infer_hats
from maury.catalogs.hats.job import unfinished
from maury.catalogs.mock import mock_catalog
from maury.default_model import DEFAULT_MODEL

ORDER = 1
PIXELS = 12 * 4**ORDER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--stars", type=int, default=20_000)
    parser.add_argument("--draws", type=int, default=64)
    arguments = parser.parse_args()
    model, draws = arguments.model, arguments.draws
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        make_catalog(work / "sky", model, arguments.stars)
        make_catalog(work / "few", model, 2 * PIXELS)
        seconds = {
            "one worker": run(work, "one", model, draws, workers=1),
            "two workers": run(work, "two", model, draws, workers=2),
            "two, one killed half-way": run(work, "killed", model, draws, workers=2, kill=True),
        }
        stars, first = read(work / "sky"), read(work / "one")
        print("| workers | rows in | rows out | ids | answers | stars/s | draws/s | ratio |")
        print("|---|---|---|---|---|---|---|---|")
        for (what, spent), folder in zip(seconds.items(), ("one", "two", "killed"), strict=True):
            found, rate = read(work / folder), len(stars) / spent
            ids = found["id"].equals(stars["id"])
            print(
                f"| {what} | {len(stars):,} | {len(found):,} | {_told(ids)} | "
                f"{_told(ids and same(found, first))} | {rate:,.0f} | {rate * draws:,.0f} | "
                f"{seconds['one worker'] / spent:.2f} |"
            )


def make_catalog(folder: Path, model: str, stars: int) -> None:
    """Mock stars in random places, in pixels of equal size."""
    rng = np.random.default_rng(0)
    config = Posterior.load(model).config.simulator
    frame = mock_catalog(config, stars, seed=1, knowledge=False).to_pandas()
    frame["id"] = np.arange(stars)
    frame["ra"] = rng.uniform(0, 360, stars)
    frame["dec"] = np.degrees(np.arcsin(rng.uniform(-1, 1, stars)))
    catalog = lsdb.from_dataframe(
        frame,
        catalog_name=folder.name,
        lowest_order=ORDER,
        highest_order=ORDER,
        margin_threshold=None,
    )
    catalog.write_catalog(folder, progress_bar=False)


def run(
    work: Path, name: str, model: str, draws: int, *, workers: int, kill: bool = False
) -> float:
    """Seconds that the catalogue took."""
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        address = cluster.scheduler_address
        infer_hats(work / "few", work / f"{name}-few", model=model, draws=draws, scheduler=address)
        if kill:
            victim = next(iter(client.run(os.getpid).values()))
            watch = threading.Thread(
                target=kill_half_way, args=(victim, unfinished(work / name)), daemon=True
            )
            watch.start()
        started = time.perf_counter()
        infer_hats(work / "sky", work / name, model=model, draws=draws, scheduler=address)
        return time.perf_counter() - started


def kill_half_way(process: int, folder: Path) -> None:
    """As the system does when memory runs out."""
    while sum(1 for _ in folder.glob("*/done/*")) < PIXELS // 2:
        time.sleep(0.05)
    os.kill(process, signal.SIGKILL)


def read(folder: Path) -> pd.DataFrame:
    frame = lsdb.open_catalog(folder, columns="all").compute(progress_bar=False)
    return pd.DataFrame(frame).sort_values("id").reset_index(drop=True)


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether all numbers agree, to the last digits of single precision."""
    numbers = one.select_dtypes("number").columns
    a, b = (frame[numbers].to_numpy(dtype=float, na_value=np.nan) for frame in (one, other))
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-4, equal_nan=True))


def _told(fact: bool) -> str:
    return "same" if fact else "NOT THE SAME"


if __name__ == "__main__":
    main()
