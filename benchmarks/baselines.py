"""maury-base beside other ways to the same parameters: time, error and coverage, in one run.

    python benchmarks/baselines.py --stars 100 --samplers 8 -o docs/baselines.md

The methods answer mock stars of the model's own simulator (photometry and parallax; no discs, which
the likelihood leaves out), so that its prior and likelihood are the truth:

maury     the model: `maury infer`, Parquet to Parquet, over many stars
paper     IrisML's network at the paper's size with random weights, likewise: speed alone
nearest   least chi-square over a grid of models, with distance and A_V solved for
brutus    on the same grid, with the same prior; once more with all outliers taken out, which nobody
          could do who does not know the truth
emcee     prior times likelihood, for the first few stars (``--samplers``)
dynesty   likewise

Times are of the processor, on one thread. A method's error is compared with the model's on the same
stars: geometric mean over parameters of the ratio of median absolute errors, and how far this would
vary with other stars (68%). Methods whose packages are missing are left out, and it is said how to
get them: ``pip install maury[baselines]``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

THREADS = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
os.environ.update(THREADS)  # read once, when numba and torch are imported

import pyarrow as pa  # noqa: E402
import torch  # noqa: E402

from maury import Posterior  # noqa: E402
from maury.catalogs.job import infer_file  # noqa: E402
from maury.catalogs.mock import mock_catalog  # noqa: E402
from maury.catalogs.writers import write_table  # noqa: E402
from maury.columns import ColumnWarning  # noqa: E402
from maury.evaluation.report import markdown  # noqa: E402
from maury.simulator import Simulator  # noqa: E402
from maury.training.checkpoint import Progress  # noqa: E402
from maury.training.config import read_config  # noqa: E402
from maury.training.folder import save_model  # noqa: E402
from maury.training.network import build_network  # noqa: E402
from other_methods.answers import (  # noqa: E402
    REPORTED,
    Answers,
    Floats,
    MockStars,
    columns,
    relative_error,
    stopwatch,
)
from other_methods.by_nearest import nearest  # noqa: E402
from other_methods.by_sampling import by_dynesty, by_emcee  # noqa: E402
from other_methods.prior_grid import build_grid  # noqa: E402

METHODS = ("maury", "paper", "nearest", "brutus", "emcee", "dynesty")
PACKAGES = {"brutus": "astro-brutus", "emcee": "emcee", "dynesty": "dynesty"}
PAPER_CONFIG = Path(__file__).parents[1] / "configs" / "iris-paper.toml"
PAPER_SHARE = 0.1
SEED_OF_GRID = 1_000_003
"""The grid's points are drawn from the prior, as the mock stars are: not by the same seed."""


def main() -> None:
    """Run the methods and print their table."""
    args = _arguments()
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    warnings.simplefilter("ignore", ColumnWarning)
    posterior = Posterior.load(args.model, device="cpu")
    simulator = Simulator(posterior.config.simulator)
    stars = MockStars.draw(simulator, args.stars, seed=args.seed)
    truth = columns(simulator, stars.theta)
    found: list[Answers] = []
    page = ""
    for answers in _answers(posterior, simulator, stars, args):
        found.append(answers)
        print(f"{answers.name}: {answers.seconds:.3g} s a star", flush=True)
        page = _page(found, truth, posterior.name, args)
        if args.out:  # after each method: the last ones take long
            args.out.write_text(page, encoding="utf-8")
    print(page)


def _answers(
    posterior: Posterior, simulator: Simulator, stars: MockStars, args: argparse.Namespace
) -> Iterator[Answers]:
    """What the methods say, the model first."""
    yield from _ours(posterior, simulator, stars, args)
    if "paper" in args.methods:
        yield _paper(simulator, args)
    if {"nearest", "brutus"} & set(args.methods):
        for count in args.models:
            yield from _by_grid(simulator, stars, count, args)
    few = stars[: args.samplers]
    if "emcee" in args.methods:
        yield by_emcee(simulator, few, walkers=args.walkers, steps=args.steps, seed=args.seed)
    if "dynesty" in args.methods:
        settings = {"live_points": args.live_points, "tolerance": args.tolerance}
        yield by_dynesty(simulator, few, **settings, seed=args.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--model", default="maury-base", help="a model whose stars have distances")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--stars", type=int, default=100, help="mock stars")
    parser.add_argument("--samplers", type=int, default=8, help="of them for emcee and dynesty")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=250, help="for each star")
    parser.add_argument("--timed", type=int, default=20_000, help="stars to time the model on")
    parser.add_argument("--models", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--walkers", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--live-points", type=int, default=250)
    parser.add_argument("--tolerance", type=float, default=0.1, help="dlogz of dynesty")
    parser.add_argument("-o", "--out", type=Path, help="Markdown file")
    args = parser.parse_args()
    args.samplers = min(args.samplers, args.stars)
    missing = [m for m in PACKAGES if m in args.methods and not importlib.util.find_spec(m)]
    for name in missing:
        print(f"{name} is left out: install it by 'pip install {PACKAGES[name]}'")
    args.methods = [m for m in args.methods if m not in missing]
    return args


def _ours(
    posterior: Posterior, simulator: Simulator, stars: MockStars, args: argparse.Namespace
) -> Iterator[Answers]:
    """The model with as many draws as the others have, and with its usual number."""
    for draws in (args.draws, 64):
        values = posterior.sample(stars.observations.measurements, draws, seed=args.seed).values
        yield Answers(
            f"{posterior.name}, {draws} draws",
            _per_star(args.model, simulator, args.timed, draws),
            columns(simulator, values[..., : len(simulator.parameters)]),
            f"timed on {args.timed:,} stars",
        )


def _paper(simulator: Simulator, args: argparse.Namespace) -> Answers:
    """The paper's network on the bands of the same catalogue that it knows."""
    config = read_config(PAPER_CONFIG)
    few = max(1, int(PAPER_SHARE * args.timed))
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "paper-size"
        save_model(folder, config, build_network(config, Simulator(config.simulator)), Progress())
        seconds = _per_star(folder, simulator, few, args.draws)
    name = f"paper's network, {args.draws} draws"
    return Answers(name, seconds, note=f"random weights; timed on {few:,} stars")


def _per_star(model: str | Path, simulator: Simulator, count: int, draws: int) -> float:
    """Seconds for each star of a catalogue, reading and writing in them."""
    with tempfile.TemporaryDirectory() as work:
        catalog, out = Path(work) / "stars.parquet", Path(work) / "out.parquet"
        write_table(mock_catalog(simulator.config, count, seed=2, knowledge=False), catalog)
        with stopwatch() as watch:
            infer_file(catalog, out, model=str(model), draws=draws, device="cpu")
    return watch.seconds / count


def _by_grid(
    simulator: Simulator, stars: MockStars, count: int, args: argparse.Namespace
) -> Iterator[Answers]:
    with stopwatch() as watch:
        grid = build_grid(simulator, count, seed=SEED_OF_GRID)
    built = f"{grid.megabytes:,.0f} MB, built in {watch.seconds:.0f} s"
    if "nearest" in args.methods:
        yield replace(nearest(stars, grid), note=f"no errors; {built}")
    if "brutus" in args.methods:
        from other_methods.by_brutus import brute_force

        clean = stars.without_outliers()
        for some, note in ((stars, built), (clean, "told which measurements are outliers")):
            answers = brute_force(simulator, some, grid, draws=args.draws, seed=args.seed)
            name = answers.name + (", told" if some is clean else "")
            yield replace(answers, name=name, note=note)


def _page(found: list[Answers], truth: Floats, model: str, args: argparse.Namespace) -> str:
    ours = found[0]
    errors = ours.errors(truth)
    units = dict(zip(REPORTED, ("K", "dex", "dex", "mag", "%"), strict=True))
    speed = [["method", "stars", "s a star", f"{model} is faster", "its error is", ""]]
    accuracy = [["method", *(f"{name}, {unit}" for name, unit in units.items())]]
    coverage = [["method", *REPORTED]]
    for answers in found:
        times = f"{answers.seconds / ours.seconds:,.3g}"
        row = [answers.name, "", f"{answers.seconds:.3g}", times, "", answers.note]
        speed.append(row)
        if answers.draws is None:
            continue
        count = answers.draws.shape[1]
        middle, low, high = relative_error(answers.errors(truth[:count]), errors[:count])
        row[1], row[4] = str(count), f"{middle:.2f} ({low:.2f} to {high:.2f})"
        scores = answers.scores(truth[:count])
        mads = [score["mad"] for score in scores]
        accuracy.append(
            [
                answers.name,
                f"{mads[0]:.0f}",
                *(f"{mad:.3f}" for mad in mads[1:-1]),
                f"{100 * mads[-1]:.1f}",
            ]
        )
        if len(answers.draws) > 1:
            coverage.append([answers.name, *(f"{score['coverage68']:.2f}" for score in scores)])
    return f"""# Beside other methods

{len(truth)} mock stars (seed {args.seed}) of {model}: photometry and parallax. Processor time, one
thread; errors relative to those of {ours.name} on the same stars (geometric mean of the five, 68%
interval over stars).

{markdown(speed)}

Median absolute errors of the medians:

{markdown(accuracy)}

Share of stars within the central 68% interval:

{markdown(coverage)}
"""


if __name__ == "__main__":
    main()
