"""Model folders and configs: what was written comes back, and what is wrong is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from maury.errors import MauryError
from maury.training.checkpoint import Progress
from maury.training.config import ModelConfig, read_config, write_config
from maury.training.folder import (
    find_model,
    load_model,
    model_names,
    save_model,
    seal_model,
    write_weights,
)

WEIGHTS, CONFIG, SUMS = "model.safetensors", "config.toml", "SHA256SUMS"
CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def rewrite(path: Path, metadata: dict[str, str], tensors: dict[str, torch.Tensor]) -> None:
    with safe_open(path, framework="pt") as file:
        known = file.metadata()
    save_file(load_file(path) | tensors, path, known | metadata)


def test_there_and_back(tiny_folder: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    config, network = load_model(tiny_folder)
    assert config == ModelConfig.model_validate(tiny)
    assert not network.training
    save_model(tmp_path / "copy", config, network, Progress())
    again, copy = load_model(tmp_path / "copy")
    assert again == config
    for key, value in network.state_dict().items():
        assert torch.equal(value, copy.state_dict()[key])
    assert not list((tmp_path / "copy").glob("*.partial"))


def test_half_precision_rounds_weights_and_spares_constants(
    tiny_folder: Path, tmp_path: Path
) -> None:
    config, network = load_model(tiny_folder)
    write_config(config, tmp_path / "config.toml")
    write_weights(tmp_path, network, half=True)
    stored = load_file(tmp_path / "model.safetensors")
    trained = dict(network.named_parameters())
    assert {stored[name].dtype for name in trained} == {torch.float16}
    _, half = load_model(tmp_path)
    for name, value in network.state_dict().items():
        assert half.state_dict()[name].dtype == torch.float32
        if name in trained:
            torch.testing.assert_close(half.state_dict()[name], value, rtol=1e-3, atol=1e-6)
        else:
            assert torch.equal(half.state_dict()[name], value)


def flip_a_bit(folder: Path) -> None:
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip_a_bit, r"model\.safetensors: wrong hash"),
        (cut, r"model\.safetensors: not readable weights"),
        (lambda f: (f / WEIGHTS).write_bytes(b"\x80\x04pickle"), "not readable"),
        (lambda f: (f / WEIGHTS).unlink(), r"model\.safetensors: .* are missing"),
        (lambda f: (f / CONFIG).unlink(), r"config\.toml: there is no such config"),
        (lambda f: (f / CONFIG).write_text("version ="), "not a readable TOML"),
        (lambda f: (f / CONFIG).write_bytes(b"\xff\xfe"), "not a readable TOML"),
        (lambda f: (f / CONFIG).write_text("version = " + "9" * 5000), "not a readable TOML"),
        (lambda f: (f / CONFIG).write_text("version = " + "[" * 5000), "not a readable TOML"),
        (lambda f: rewrite(f / WEIGHTS, {"format": "7"}, {}), "format 7"),
        (lambda f: rewrite(f / WEIGHTS, {}, {"centre": torch.zeros(5)}), "wrong hash"),
        (
            lambda f: rewrite(f / WEIGHTS, {"parameters": '["teff", "age"]'}, {}),
            "parameters or channels",
        ),
        (lambda f: rewrite(f / WEIGHTS, {"channels": "[]"}, {}), "or channels"),
        (lambda f: rewrite(f / WEIGHTS, {"channels": "[broken"}, {}), "or channels"),
        (lambda f: edit(f / CONFIG, "2MASS.J", "2MASS.H"), "or channels"),
        (lambda f: edit(f / CONFIG, "width = 32", "width = 64"), "do not fit config"),
        (lambda f: edit(f / CONFIG, "version = 1", "version = 9"), "'version'"),
        (lambda f: edit(f / CONFIG, "width = 32", "widht = 32"), "widht|width"),
        (lambda f: edit(f / CONFIG, '"deep_set"', '"shallow"'), r"network\.encoder"),
        (lambda f: edit(f / CONFIG, "layers = 1", "layers = -1"), r"layers"),
    ],
)
def test_damage_is_named(folder: Path, spoil: Callable[[Path], object], message: str) -> None:
    """In a folder without a seal, too."""
    (folder / SUMS).unlink()
    spoil(folder)
    with pytest.raises(MauryError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (flip_a_bit, r"model\.safetensors: wrong hash"),
        (cut, r"model\.safetensors: wrong hash"),
        (lambda f: (f / WEIGHTS).unlink(), r"model\.safetensors: .* are missing"),
        (lambda f: edit(f / CONFIG, "jitter = 0.01", "jitter = 0.02"), "config.toml: wrong hash"),
        (lambda f: edit(f / CONFIG, "version = 1", "version = 9"), "'version'"),
        (lambda f: edit(f / SUMS, CONFIG, "config.tom"), "SHA256SUMS: damaged, config.toml"),
        (lambda f: edit(f / SUMS, WEIGHTS, CONFIG), "SHA256SUMS: damaged, config.toml"),
        (lambda f: (f / SUMS).write_bytes(b""), "SHA256SUMS: damaged"),
        (lambda f: (f / SUMS).write_bytes(b"\xff"), "SHA256SUMS: not a readable list"),
    ],
)
def test_a_seal_tells_of_any_change(
    folder: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(folder)
    with pytest.raises(MauryError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_a_config_that_fits_the_weights_of_another_model_is_refused(
    folder: Path, tiny: dict[str, Any]
) -> None:
    """It has the same channels and shapes: only the seal tells."""
    other = tiny["simulator"] | {"prior": "box"}
    write_config(ModelConfig.model_validate(tiny | {"simulator": other}), folder / CONFIG)
    with pytest.raises(MauryError, match=r"config\.toml: wrong hash"):
        load_model(folder)
    seal_model(folder)
    assert load_model(folder)[0].simulator.prior == "box"


@pytest.mark.parametrize("name", model_names())
def test_shipped_models_are_sealed(name: str) -> None:
    assert (find_model(name) / SUMS).exists()
    assert load_model(find_model(name))[0].name == name


def test_an_unknown_entry_is_named(tiny: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write_config(ModelConfig.model_validate(tiny), path)
    edit(path, "[training]", "[training]\nmomentum = 0.9")
    with pytest.raises(MauryError, match=r"training\.momentum"):
        read_config(path)


def test_written_configs_spell_out_every_default(tiny: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write_config(ModelConfig.model_validate(tiny), path)
    assert "jitter" in path.read_text()
    assert read_config(path) == ModelConfig.model_validate(tiny)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_are_valid(path: Path) -> None:
    assert read_config(path).name


def test_the_paper_has_its_size() -> None:
    """Set transformer M 256, L 10, FF 768, 8 heads, dropout 0.05; ten MADEs, five components."""
    network = read_config(CONFIGS[0].with_name("iris-paper.toml")).network
    encoder, flow = network.encoder, network.flow
    assert encoder.model_dump() == {
        "kind": "set_transformer",
        "width": 256,
        "layers": 10,
        "heads": 8,
        "feedforward": 768,
        "dropout": 0.05,
    }
    assert flow.model_dump() | {"kind": "maf", "blocks": 10, "components": 5} == flow.model_dump()
