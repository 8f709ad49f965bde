"""Several processes train one model: the same as one does, and none is left waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from maury.errors import MauryError
from maury.training import loop
from maury.training.config import ModelConfig, write_config
from maury.training.loop import Training, train
from maury.training.ranks import join
from maury.training.stream import Batch

PROCESSES = 2
PART = """
import sys
from pathlib import Path

import torch

from maury.training.ranks import join


def threads():
    return " ".join(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))


ranks = join("cpu")
weights = [torch.ones(3, requires_grad=True)]
torch.optim.Adam(weights)
ranks.add([torch.ones(3)])
during = threads()
ranks.leave()
Path(sys.argv[1], str(ranks.rank)).write_text(f"{during}\\n{threads()}")
"""


def launch(function: Callable[..., Any], *arguments: object) -> dict[int, Any]:
    """What torchrun does, with forks of this process instead of new ones, which take seconds."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=PROCESSES,
        start_method="fork",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id="test",
        max_restarts=0,
        monitor_interval=0.05,
    )
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return elastic_launch(config, function)(*arguments)
    finally:
        for number, handler in signals.items():  # which it takes and keeps
            signal.signal(number, handler)


def run(config: ModelConfig, folder: Path, **options: Any) -> None:
    """Train in one of the processes."""
    torch.set_num_threads(1)  # a fork has none of its parent's
    train(config, folder, console=Console(quiet=True), **options)


def change(config: ModelConfig, **training: object) -> ModelConfig:
    """The config with other entries of its schedule."""
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def tensors(folder: Path, name: str = "checkpoint") -> dict[str, torch.Tensor]:
    return load_file(folder / f"{name}.safetensors")


def assert_equal(one: Path, other: Path) -> None:
    """To the last bit, Adam's moments and the averages, too."""
    for name in ("checkpoint", "model"):
        first, second = tensors(one, name), tensors(other, name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module", autouse=True)
def _few_stars_and_one_thread() -> Iterator[None]:
    """More threads round sums otherwise, and each of the processes has but one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SCALE_STARS", 2000)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def odd(few_steps: ModelConfig) -> ModelConfig:
    """In two slices, of 17 stars and of 16."""
    return change(few_steps, batch_size=33, accumulate=2)


@pytest.fixture(scope="module")
def whole(odd: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of it: the sum of two numbers knows no order."""
    return train(odd, tmp_path_factory.mktemp("whole"), console=Console(quiet=True))


def test_torchrun_goes_on_where_one_process_stopped(
    odd: ModelConfig, whole: Path, tmp_path: Path
) -> None:
    folder, config = tmp_path / "run", tmp_path / "config.toml"
    train(odd, folder, minutes=0, console=Console(quiet=True))
    write_config(odd, config)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = ["-m", "maury", "train", str(config), "-o", str(folder), "--resume"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", str(PROCESSES), *command, "--device", "cpu"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("model written") == 1
    assert_equal(whole, folder)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are named in /proc")
def test_no_thread_outlasts_the_processes_parting(tmp_path: Path) -> None:
    """One that is left crashes some of the processes at their end, after all the work."""
    script = tmp_path / "part.py"
    script.write_text(PART)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", str(PROCESSES), str(script), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    for rank in range(PROCESSES):
        during, after = (tmp_path / str(rank)).read_text().splitlines()
        assert "gloo" in during
        assert "gloo" not in after


def test_processes_cut_a_batch_by_themselves_and_stop_together(
    odd: ModelConfig, whole: Path, tmp_path: Path
) -> None:
    config = change(odd, accumulate=1)
    launch(run_one_step, config, tmp_path)
    assert not (tmp_path / "log.csv").exists()
    launch(resume, config, tmp_path)
    assert_equal(whole, tmp_path)


def run_one_step(config: ModelConfig, folder: Path) -> None:
    # One process alone is out of time: the other must not go on.
    run(config, folder, minutes=0 if os.environ["RANK"] == "1" else 1000)


def resume(config: ModelConfig, folder: Path) -> None:
    run(config, folder, resume=True)


def test_a_process_that_dies_ends_the_others_and_the_run_goes_on(
    odd: ModelConfig, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(ChildFailedError) as caught:
        launch(die, odd, folder)
    # The other one ends by an error, which may be noticed before the death itself.
    assert caught.value.get_first_failure()[1].exitcode in (-signal.SIGKILL, 1)
    assert (folder / "told").read_text().startswith("another process of this training has ended")
    assert not (folder / "model.safetensors").exists()
    launch(resume, odd, folder)
    assert_equal(whole, folder)


def die(config: ModelConfig, folder: Path) -> None:
    """The second process is killed in the middle of a step."""
    update = Training.update

    def dying(self: Training, step: int, batches: Sequence[Batch]) -> float:
        if step == 5 and self.ranks.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return update(self, step, batches)

    Training.update = dying  # type: ignore[method-assign]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # leave the time to say it
    try:
        run(config, folder)
    except ConnectionError as error:
        (folder / "told").write_text(str(error))
        raise


def test_a_step_that_blows_up_in_one_process_is_left_out_in_all(
    odd: ModelConfig, tmp_path: Path
) -> None:
    moved = launch(blow_up, odd, tmp_path)
    assert moved == {0: [False, True], 1: [False, True]}


def blow_up(config: ModelConfig, folder: Path) -> list[bool]:
    """Whether weights moved at a step that blew up in the second process, and at the next."""
    torch.set_num_threads(1)
    here = Training(config, folder)
    summed, moved = here.network.summed_loss, []

    def wild(*batch: Any) -> tuple[torch.Tensor, int]:
        total, count = summed(*batch)
        return total * torch.inf, count

    for step in (0, 1):
        explodes = step == 0 and here.ranks.rank == 1
        here.network.summed_loss = wild if explodes else summed  # type: ignore[method-assign]
        before = [weight.clone() for weight in here.network.parameters()]
        stream = here._stream("train", config.training.batch_size, here.slices)
        here.update(step, [stream[number] for number in here._numbers(step)])
        now = here.network.parameters()
        moved.append(any(not torch.equal(a, b) for a, b in zip(before, now, strict=True)))
    return moved


@pytest.mark.parametrize("kind", ["flow", "joint"])
def test_slices_make_the_gradient_of_the_whole_batch(
    odd: ModelConfig, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a flow's mean over stars, and of a joint network's over as many nodes as were drawn."""
    config = change(odd, accumulate=3, batch_size=32)
    if kind == "joint":
        network = {"kind": "joint", "width": 16, "layers": 1, "heads": 2, "feedforward": 16}
        config = ModelConfig.model_validate(config.model_dump() | {"network": network})
    here = Training(config, tmp_path)
    parts: list[tuple[torch.Tensor, int]] = []
    summed = here.network.summed_loss

    def noting(*batch: Any) -> tuple[torch.Tensor, int]:
        parts.append(summed(*batch))
        return parts[-1]

    monkeypatch.setattr(here.network, "summed_loss", noting)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(torch.nan))
    stream = here._stream("train", 32, here.slices)
    batches = [stream[number] for number in here._numbers(4)]
    assert [len(batch.theta) for batch in batches] == [11, 11, 10]
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", lambda loss: backward(loss, retain_graph=True))
        mean = here.update(4, batches)
    found = [weight.grad for weight in here.network.parameters()]
    loss = sum(total for total, _ in parts) / sum(count for _, count in parts)
    assert mean == pytest.approx(loss.item(), rel=1e-5)
    right = torch.autograd.grad(loss, list(here.network.parameters()), materialize_grads=True)
    torch.testing.assert_close(found, list(right))
    if kind == "joint":
        assert len({count for _, count in parts}) > 1


backward = torch.Tensor.backward


def test_a_batch_too_small_for_its_slices_is_told(odd: ModelConfig, tmp_path: Path) -> None:
    with pytest.raises(MauryError, match="batch_size = 33 cannot be cut into 34 slices"):
        Training(change(odd, accumulate=34), tmp_path)


def test_without_torchrun_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")  # which schedulers set, too
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    alone = join("cpu")
    assert (alone.count, alone.first) == (1, True)
    assert alone.any(True)
    assert not alone.any(False)
    ones = torch.ones(2)
    alone.add([ones])
    assert ones.tolist() == [1, 1]


def test_more_processes_than_gpus_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": 3, "LOCAL_WORLD_SIZE": 3, "LOCAL_RANK": 0}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setattr("maury.training.ranks.pick_device", torch.device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(MauryError, match="3 processes for 2 GPUs"):
        join("cuda")
