"""The one training loop."""

from __future__ import annotations

import copy
import csv
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.data import DataLoader

from maury.errors import MauryError
from maury.nets.joint.estimator import JointEstimator
from maury.simulator import Simulator
from maury.training import checkpoint
from maury.training.average import MovingAverage
from maury.training.config import ModelConfig, TrainingConfig, fingerprint
from maury.training.folder import find_model, load_model, save_model
from maury.training.network import build_network
from maury.training.ranks import join
from maury.training.schedule import learning_rate
from maury.training.stream import Batch, Stream, seed_of

__all__ = ["Training", "train"]

SCALE_STARS = 50_000
"""Simulated stars from which the constants of the standardisation are taken."""

START_PACE = 0.02
"""Rate at which weights taken over from another model learn on, by that of the others."""

LOG_COLUMNS = ("step", "stars", "seconds", "learning_rate", "loss", "held_out_loss")


def train(
    config: ModelConfig,
    folder: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    device: str = "cpu",
    console: Console | None = None,
) -> Path:
    """Train a model and write it as a folder that `maury.Posterior.load` reads.

    Processes that torchrun has started train one model together: they share each batch, and the
    first of them writes. On several machines, all must see the folder.

    Parameters
    ----------
    config : ModelConfig
    folder : Path
        Receives ``checkpoint.safetensors``, ``log.csv`` and, at the end, the model's files.
    resume : bool
        Go on from the folder's checkpoint; the result is that of an uninterrupted run, unless the
        config now asks for more or fewer steps, which the learning rate then follows, or batches
        are cut into other slices than before, which then hold other stars.
    minutes : float, optional
        Stop after this long, with a checkpoint, if the steps are not done by then.
    device : str
        auto, cpu or cuda.
    console : rich Console, optional
        Where progress goes.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    MauryError
        If the folder holds another run and ``resume`` is not set, or has nothing to resume.
    ConnectionError
        If another process of this training has ended before its time.
    """
    run = Training(config, folder, device=device)
    if resume:
        run.restore()
    elif run.checkpoint_path.exists():
        raise MauryError(f"{folder}: holds a training run already; resume it or choose another")
    elif run.ranks.first:
        # Rows of a run that was killed before its first checkpoint belong to no run.
        run.log_path.unlink(missing_ok=True)
    console = console or Console(stderr=True)
    run.go(minutes=minutes, console=console if run.ranks.first else Console(quiet=True))
    run.ranks.leave()
    if run.ranks.first:
        run.finish()
        console.print(f"{folder}: model written", markup=False, soft_wrap=True)
    return folder


class Training:
    """A run: network, its moving average, the best weights so far, and where it stands."""

    def __init__(self, config: ModelConfig, folder: Path, *, device: str = "cpu") -> None:
        self.config = config
        self.schedule = config.training
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ranks = join(device)
        self.device = self.ranks.device
        self.slices = _slices(self.schedule, self.ranks.count)
        self.simulator = Simulator(config.simulator)
        torch.manual_seed(self.schedule.seed)
        self.network = build_network(config, self.simulator)
        first = self._stream("scales", SCALE_STARS)[0]
        self.network.fit_scales(first.theta, first.measurements)
        start = self.schedule.start
        learned = [] if start is None else self._start_from(start)
        self.network.to(self.device)
        # Machines of different make may round the scales differently.
        self.ranks.share(self.network.state_dict().values())
        self.average = MovingAverage(self.network, self.schedule.ema_decay)
        self.best = copy.deepcopy(self.average.module)
        taken = {id(weight) for weight in learned}
        new = [weight for weight in self.network.parameters() if id(weight) not in taken]
        groups = [{"params": new, "pace": 1.0}]
        if learned:
            groups.append({"params": learned, "pace": START_PACE})
        self.optimizer = torch.optim.Adam(groups, lr=self.schedule.learning_rate, fused=True)
        self.progress = checkpoint.Progress()

    @property
    def checkpoint_path(self) -> Path:
        """Where this run keeps its checkpoint."""
        return self.folder / "checkpoint.safetensors"

    @property
    def log_path(self) -> Path:
        """Where this run notes its losses."""
        return self.folder / "log.csv"

    def restore(self) -> None:
        """Continue from the checkpoint in the folder; rows logged after it are dropped."""
        if not self.checkpoint_path.exists():
            raise MauryError(f"{self.folder}: holds no checkpoint to resume from")
        self.progress = checkpoint.load_checkpoint(
            self.checkpoint_path, self._modules(), self.optimizer, fingerprint(self.config)
        )
        if self.ranks.first:
            self._trim_log()

    def go(self, *, minutes: float | None, console: Console) -> None:
        """Update until the steps or the minutes are used up; the first process keeps records."""
        first = self.ranks.first
        started = last_saved = time.monotonic()
        before = self.progress.seconds
        losses: list[float] = []
        with _bar(console) as bar:
            task = bar.add_task("training", total=self.schedule.steps, loss="", rate="")
            steps = range(self.progress.step, self.schedule.steps)
            for step, batches in zip(steps, self._ahead(steps), strict=True):
                losses.append(self.update(step, batches))
                now = time.monotonic()
                self.progress.step = step + 1
                self.progress.seconds = before + now - started
                if (step + 1) % self.schedule.validate_every == 0:
                    if first:
                        held_out = self.validate()
                        self._log(sum(losses) / len(losses), held_out)
                        bar.update(task, loss=f"{held_out:.3f}")
                    losses.clear()
                rate = self.progress.step * self.schedule.batch_size / self.progress.seconds
                bar.update(task, completed=step + 1, rate=f"{rate:,.0f} stars/s")
                if first and now - last_saved > 60 * self.schedule.checkpoint_every_minutes:
                    self.save()
                    last_saved = now
                if minutes is not None and self.ranks.any(now - started > 60 * minutes):
                    break
        if first:
            self.save()

    def update(self, step: int, batches: Sequence[Batch]) -> float:
        """One step of Adam on a batch of fresh stars, of which this process passes these slices.

        Returns the loss of the whole batch. Its gradient, too, is that of the whole batch: sums
        over slices and processes are divided by what all of them count.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["pace"] * learning_rate(
                step,
                peak=self.schedule.learning_rate,
                warmup=self.schedule.warmup_steps,
                total=self.schedule.steps,
            )
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(2, device=self.device)
        for number, batch in zip(self._numbers(step), batches, strict=True):
            # Dropout, too, must come out the same after a resume.
            torch.manual_seed(seed_of(self.schedule.seed, "dropout", number, slices=self.slices))
            part = batch.to(self.device)
            loss, count = self.network.summed_loss(part.theta, part.measurements, part.population)
            loss.backward()
            sums += torch.stack([loss.detach(), loss.new_tensor(count)])
        gradients = self._gradients()
        self.ranks.add([*gradients, sums])
        total, count = sums.tolist()
        torch._foreach_div_(gradients, count)
        norm = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), self.schedule.gradient_clip
        )
        # A step that blew up would spoil Adam's moments for good: leave it out.
        if torch.isfinite(norm):
            self.optimizer.step()
            self.average.update(self.network, step)
        return total / count

    @torch.no_grad()
    def validate(self) -> float:
        """Loss of the averaged weights on stars never trained on; keeps them if they are best."""
        losses = [
            self.average.module.loss(batch.theta, batch.measurements, batch.population).item()
            for batch in self._held_out(self.schedule.validation_stars)
        ]
        loss = sum(losses) / len(losses)
        if loss < self.progress.best_loss:
            self.progress.best_loss, self.progress.best_step = loss, self.progress.step
            self.best.load_state_dict(self.average.module.state_dict())
        return loss

    def save(self) -> None:
        """Write the checkpoint."""
        checkpoint.save_checkpoint(
            self.checkpoint_path,
            self._modules(),
            self.optimizer,
            self.progress,
            fingerprint(self.config),
        )

    def finish(self) -> Path:
        """Write the best weights as a model folder: the last ones, too, may be."""
        if self.progress.best_step != self.progress.step:
            self.validate()
        save_model(self.folder, self.config, self.best, self.progress)
        return self.folder

    def _start_from(self, model: str) -> list[torch.nn.Parameter]:
        if not isinstance(self.network, JointEstimator):
            raise MauryError("entry 'training.start': only joint networks can start from a model")
        return self.network.start_from(load_model(find_model(model))[1])

    def _modules(self) -> dict[str, torch.nn.Module]:
        return {"network": self.network, "average": self.average.module, "best": self.best}

    def _gradients(self) -> list[Tensor]:
        """Of all weights; one that no star of this process asked for has a gradient of zero."""
        for weight in self.network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return [weight.grad for weight in self.network.parameters() if weight.grad is not None]

    def _stream(self, purpose: str, stars: int, slices: int = 1) -> Stream:
        return Stream(self.simulator, self.schedule.seed, purpose, stars, slices)

    def _numbers(self, step: int) -> range:
        """Which slices of a step's batch are this process's."""
        each = self.slices // self.ranks.count
        first = step * self.slices + self.ranks.rank * each
        return range(first, first + each)

    def _ahead(self, steps: Iterable[int]) -> Iterable[tuple[Batch, ...]]:
        """This process's slices of each step, simulated by others while the network learns."""
        stream = self._stream("train", self.schedule.batch_size, self.slices)
        numbers = [number for step in steps for number in self._numbers(step)]
        each = len(self._numbers(0))
        if sys.platform != "linux":  # only there do forked processes share the simulator's tables
            return zip(*[(stream[number] for number in numbers)] * each, strict=True)
        cores = (os.cpu_count() or 1) // self.ranks.neighbours
        workers = max(0, cores - 1 if self.device.type == "cuda" else min(1, cores - 1))
        loader = DataLoader(
            stream,
            sampler=numbers,
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
        )
        return zip(*[iter(loader)] * each, strict=True)

    def _held_out(self, stars: int) -> Iterator[Batch]:
        """Batches never trained on, at most 2048 stars each."""
        chunk = min(stars, 2048)
        stream = self._stream("held out", chunk)
        return (stream[number].to(self.device) for number in range(stars // chunk))

    def _log(self, loss: float, held_out: float) -> None:
        new = not self.log_path.exists()
        rate = self.optimizer.param_groups[0]["lr"]
        done = self.progress
        with self.log_path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(LOG_COLUMNS)
            stars = done.step * self.schedule.batch_size
            numbers = f"{done.seconds:.1f}", f"{rate:.3e}", f"{loss:.5f}", f"{held_out:.5f}"
            writer.writerow([done.step, stars, *numbers])

    def _trim_log(self) -> None:
        if not self.log_path.exists():
            return
        rows = self.log_path.read_text().splitlines()[1:]
        kept = [row for row in rows if int(row.split(",")[0]) <= self.progress.step]
        self.log_path.write_text("\n".join([",".join(LOG_COLUMNS), *kept]) + "\n")


def _slices(schedule: TrainingConfig, processes: int) -> int:
    """How many slices a batch is cut into: as the config asks, or more, so that all have as many.

    A model then depends on the number of processes only where that is no divisor of the slices.
    """
    slices = math.ceil(schedule.accumulate / processes) * processes
    if slices > schedule.batch_size:
        raise MauryError(
            f"batch_size = {schedule.batch_size} cannot be cut into {slices} slices "
            f"(accumulate = {schedule.accumulate}, {processes} processes): make it larger"
        )
    return slices


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("held-out loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
