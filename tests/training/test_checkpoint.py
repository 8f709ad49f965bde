"""Checkpoints: what was saved comes back, and damage is refused before anything is changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from maury.errors import MauryError
from maury.training.checkpoint import Progress, load_checkpoint, save_checkpoint


class Run:
    """A network that has learned for some steps."""

    def __init__(self, steps: int = 0) -> None:
        torch.manual_seed(steps)
        self.network = torch.nn.Linear(3, 2)
        self.optimizer = torch.optim.Adam(self.network.parameters())
        self.progress = Progress(step=steps, best_loss=0.5)
        for _ in range(steps):
            self.network(torch.ones(3)).sum().backward()
            self.optimizer.step()

    def save(self, path: Path) -> None:
        save_checkpoint(path, {"network": self.network}, self.optimizer, self.progress, "abc")

    def load(self, path: Path, config: str = "abc") -> Progress:
        return load_checkpoint(path, {"network": self.network}, self.optimizer, config)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Run(steps=3).save(tmp_path / "checkpoint.safetensors")
    return tmp_path / "checkpoint.safetensors"


def rewrite(path: Path, change: Callable[[dict[str, str]], object]) -> None:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    change(metadata)
    save_file(load_file(path), path, metadata)


def flip(path: Path, byte: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[byte] ^= 1
    path.write_bytes(raw)


def test_there_and_back(path: Path) -> None:
    saved, other = Run(steps=3), Run()
    assert other.load(path) == saved.progress
    assert torch.equal(other.network.weight, saved.network.weight)
    old, new = saved.optimizer.state_dict()["state"], other.optimizer.state_dict()["state"]
    assert torch.equal(old[0]["exp_avg_sq"], new[0]["exp_avg_sq"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: flip(p, -2), "wrong hash"),
        (lambda p: p.write_bytes(p.read_bytes()[:-4]), "not a readable checkpoint"),
        (lambda p: rewrite(p, lambda m: m.update(config="abd")), "another config"),
        (
            lambda p: rewrite(
                p, lambda m: m.update(progress=json.dumps(json.loads(m["progress"]) | {"step": 2}))
            ),
            "wrong hash",
        ),
        (lambda p: rewrite(p, lambda m: m.pop("progress")), "wrong hash"),
    ],
)
def test_damage_is_named(path: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(path)
    run = Run()
    with pytest.raises(MauryError, match=message) as caught:
        run.load(path)
    assert "\n" not in str(caught.value)
    assert torch.equal(run.network.weight, Run().network.weight)


def test_a_checkpoint_from_before_there_was_a_hash_is_taken(path: Path) -> None:
    rewrite(path, lambda metadata: metadata.pop("sha256"))
    assert Run().load(path).step == 3
