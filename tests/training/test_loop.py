"""The training loop: it learns, keeps the best, and goes on as if it had never stopped."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from maury.errors import MauryError
from maury.training import checkpoint
from maury.training.config import ModelConfig
from maury.training.folder import load_model
from maury.training.loop import LOG_COLUMNS, START_PACE, Training, train
from maury.training.stream import Batch


class Killed(Exception):
    """Stands for a power cut."""


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run die in the middle of an update."""
    update = Training.update

    def dying(self: Training, number: int, batches: Sequence[Batch]) -> float:
        if number == step:
            raise Killed
        return update(self, number, batches)

    monkeypatch.setattr(Training, "update", dying)


def slices(run: Training, step: int) -> list[Batch]:
    """What the run learns from at a step."""
    stream = run._stream("train", run.schedule.batch_size, run.slices)
    return [stream[number] for number in run._numbers(step)]


def assert_equal_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


@pytest.fixture
def whole(brief: ModelConfig, tmp_path: Path, silent: Console) -> Path:
    """The folder of an uninterrupted run."""
    return train(brief, tmp_path / "whole", console=silent)


def test_the_same_seed_trains_the_same_weights(
    brief: ModelConfig, whole: Path, tmp_path: Path, silent: Console
) -> None:
    assert_equal_weights(whole, train(brief, tmp_path / "again", console=silent))


@pytest.mark.parametrize("step", [1, 5, 11])
def test_a_killed_run_goes_on_to_the_same_result(
    brief: ModelConfig,
    whole: Path,
    tmp_path: Path,
    silent: Console,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:
        kill_at(step, patch)
        with pytest.raises(Killed):
            train(brief, folder, console=silent)
    train(brief, folder, resume=True, console=silent)
    assert_equal_weights(whole, folder)
    assert [r["held_out_loss"] for r in log(folder)] == [r["held_out_loss"] for r in log(whole)]


def test_stopping_by_the_clock_and_going_on_changes_nothing(
    brief: ModelConfig, whole: Path, tmp_path: Path, silent: Console
) -> None:
    folder = tmp_path / "clock"
    train(brief, folder, minutes=0, console=silent)  # one step, and a model that can be used
    early = (folder / "card.md").read_text()
    train(brief, folder, resume=True, minutes=0, console=silent)
    train(brief, folder, resume=True, console=silent)
    assert_equal_weights(whole, folder)
    assert (folder / "card.md").read_text() != early


def test_what_was_logged_after_the_checkpoint_is_dropped(
    brief: ModelConfig, tmp_path: Path, silent: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = brief.model_copy(
        update={"training": brief.training.model_copy(update={"checkpoint_every_minutes": 60.0})}
    )
    folder = tmp_path / "run"
    train(rare, folder, minutes=0, console=silent)
    with monkeypatch.context() as patch:
        kill_at(8, patch)
        with pytest.raises(Killed):
            train(rare, folder, resume=True, console=silent)
    assert [row["step"] for row in log(folder)] == ["3", "6"]
    train(rare, folder, resume=True, console=silent)
    assert [row["step"] for row in log(folder)] == ["3", "6", "9", "12"]
    assert list(log(folder)[0]) == list(LOG_COLUMNS)


def test_a_log_that_was_cut_off_does_not_stop_a_run(
    brief: ModelConfig, tmp_path: Path, silent: Console
) -> None:
    train(brief, tmp_path, minutes=0, console=silent)
    (tmp_path / "log.csv").write_text("")
    train(brief, tmp_path, resume=True, console=silent)
    assert [row["step"] for row in log(tmp_path)] == ["3", "6", "9", "12"]


def test_a_run_that_died_before_its_first_checkpoint_leaves_no_rows(
    brief: ModelConfig, tmp_path: Path, silent: Console
) -> None:
    (tmp_path / "log.csv").write_text(",".join(LOG_COLUMNS) + "\n3,96,0.1,1e-3,5.0,5.0\n")
    train(brief, tmp_path, console=silent)
    assert [row["step"] for row in log(tmp_path)] == ["3", "6", "9", "12"]


def test_a_kill_while_writing_keeps_the_previous_checkpoint(
    brief: ModelConfig, tmp_path: Path, silent: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Training(brief, tmp_path)
    run.go(minutes=0, console=silent)
    before = run.checkpoint_path.read_bytes()

    def half(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half a file")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", half)
        with pytest.raises(Killed):
            run.save()
    assert run.checkpoint_path.read_bytes() == before
    again = Training(brief, tmp_path)
    again.restore()
    assert again.progress.step == 1


def test_the_best_weights_are_a_copy(brief: ModelConfig, tmp_path: Path) -> None:
    """A predecessor kept a reference, so that its best weights were always its last."""
    run = Training(brief, tmp_path)
    run.progress.step = 1
    run.update(0, slices(run, 0))
    run.validate()
    kept = {key: value.clone() for key, value in run.best.state_dict().items()}
    for module in (run.network, run.average.module):
        shared = {p.data_ptr() for p in module.parameters()}
        assert not shared & {p.data_ptr() for p in run.best.parameters()}
    for step in range(1, 4):
        run.update(step, slices(run, step))
    for key, value in run.best.state_dict().items():
        assert torch.equal(value, kept[key])
    moved = run.average.module.state_dict()
    assert any(not torch.equal(moved[key], kept[key]) for key in kept)


def test_worse_weights_do_not_replace_better_ones(brief: ModelConfig, tmp_path: Path) -> None:
    run = Training(brief, tmp_path)
    run.progress.step = 7
    loss = run.validate()
    kept = {key: value.clone() for key, value in run.best.state_dict().items()}
    with torch.no_grad():
        for weight in run.average.module.parameters():
            weight.add_(torch.randn_like(weight))
    run.progress.step = 9
    assert run.validate() > loss
    assert (run.progress.best_step, run.progress.best_loss) == (7, loss)
    assert all(torch.equal(value, kept[key]) for key, value in run.best.state_dict().items())


def test_the_last_weights_count_although_no_look_was_due(
    brief: ModelConfig, tmp_path: Path
) -> None:
    run = Training(brief, tmp_path)
    good = {key: value.clone() for key, value in run.average.module.state_dict().items()}
    with torch.no_grad():
        for weight in run.average.module.parameters():
            weight.add_(torch.randn_like(weight))
    run.progress.step = 7
    worse = run.validate()
    run.average.module.load_state_dict(good)
    run.progress.step = 9
    run.finish()
    assert run.progress.best_step == 9
    assert run.progress.best_loss < worse


def test_held_out_stars_are_never_trained_on(brief: ModelConfig, tmp_path: Path) -> None:
    run = Training(brief, tmp_path)
    seen = torch.cat([run._stream("train", 64)[n].measurements.hash() for n in range(5)])
    held = torch.cat([run._stream("held out", 64)[n].measurements.hash() for n in range(5)])
    assert len(seen.unique()) == len(seen)
    assert not torch.isin(seen, held).any()


def test_a_step_that_blows_up_is_left_out(
    brief: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Training(brief, tmp_path)
    before = {key: value.clone() for key, value in run.network.state_dict().items()}
    summed = run.network.summed_loss
    monkeypatch.setattr(
        run.network, "summed_loss", lambda *a: (summed(*a)[0] * torch.inf, len(a[0]))
    )
    run.update(0, slices(run, 0))
    assert all(torch.equal(v, before[key]) for key, v in run.network.state_dict().items())


def test_the_loss_falls(tiny_folder: Path) -> None:
    held_out = [float(row["held_out_loss"]) for row in log(tiny_folder)]
    assert held_out[-1] < held_out[0] - 0.3
    assert (tiny_folder / "card.md").read_text().startswith("# tiny")


def test_a_folder_in_use_and_an_empty_one_are_told(
    brief: ModelConfig, tmp_path: Path, silent: Console
) -> None:
    with pytest.raises(MauryError, match="no checkpoint to resume"):
        train(brief, tmp_path / "new", resume=True, console=silent)
    train(brief, tmp_path / "used", minutes=0, console=silent)
    with pytest.raises(MauryError, match="holds a training run already"):
        train(brief, tmp_path / "used", console=silent)


def test_another_config_is_told(brief: ModelConfig, tmp_path: Path, silent: Console) -> None:
    train(brief, tmp_path, minutes=0, console=silent)
    other = brief.model_copy(
        update={"training": brief.training.model_copy(update={"learning_rate": 1e-5})}
    )
    with pytest.raises(MauryError, match="another config"):
        train(other, tmp_path, resume=True, console=silent)


def test_a_run_may_be_made_longer(brief: ModelConfig, tmp_path: Path, silent: Console) -> None:
    train(brief, tmp_path, console=silent)
    steps = 2 * brief.training.steps
    longer = brief.model_copy(
        update={"training": brief.training.model_copy(update={"steps": steps})}
    )
    train(longer, tmp_path, resume=True, console=silent)
    assert int(log(tmp_path)[-1]["step"]) == steps


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_a_damaged_checkpoint_is_told(
    brief: ModelConfig, tmp_path: Path, silent: Console, damage: str
) -> None:
    train(brief, tmp_path, minutes=0, console=silent)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    content = {"truncated": whole[: len(whole) // 2], "garbage": b"x" * 999, "empty": b""}
    path.write_bytes(content[damage])
    with pytest.raises(MauryError, match=r"checkpoint\.safetensors: not a readable checkpoint"):
        train(brief, tmp_path, resume=True, console=silent)


def test_a_joint_network_starts_from_another_and_goes_on_alike(
    tiny_folder: Path,
    few_steps: ModelConfig,
    tmp_path: Path,
    silent: Console,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("maury.training.loop.SCALE_STARS", 2000)
    summary = load_model(tiny_folder)[0].network.encoder.model_dump()
    network = {"kind": "joint", "width": 16, "layers": 1, "heads": 2, "summary": summary}
    training = few_steps.training.model_dump() | {"start": str(tiny_folder)}
    config = ModelConfig.model_validate(
        few_steps.model_dump() | {"network": network, "training": training}
    )
    whole = train(config, tmp_path / "whole", console=silent)
    theirs = load_model(tiny_folder)[1].state_dict()["encoder.blocks.0.expand.weight"]
    ours = weights(whole)["density.base.summary.blocks.0.expand.weight"]
    assert 0 < (ours - theirs).abs().max() < 12 * START_PACE * config.training.learning_rate
    kill_at(7, monkeypatch)
    with pytest.raises(Killed):
        train(config, tmp_path / "killed", console=silent)
    monkeypatch.undo()
    monkeypatch.setattr("maury.training.loop.SCALE_STARS", 2000)
    train(config, tmp_path / "killed", resume=True, console=silent)
    assert_equal_weights(whole, tmp_path / "killed")


def test_flow_networks_start_from_nothing(brief: ModelConfig, tmp_path: Path) -> None:
    training = brief.training.model_copy(update={"start": "maury-base"})
    with pytest.raises(MauryError, match=r"training.start"):
        Training(brief.model_copy(update={"training": training}), tmp_path)
