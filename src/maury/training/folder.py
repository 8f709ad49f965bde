"""A model as a folder: weights, config, card. Written by training, read by inference."""

from __future__ import annotations

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from maury.errors import MauryError
from maury.nets.config import JointConfig, NetworkConfig
from maury.simulator import Simulator
from maury.training.checkpoint import Progress
from maury.training.config import ModelConfig, read_config, write_config
from maury.training.network import Network, build_network
from maury.training.seals import check_seal, hash_of_tensors, seal

__all__ = [
    "FORMAT_VERSION",
    "find_model",
    "load_model",
    "model_names",
    "save_model",
    "seal_model",
    "write_weights",
]

SHIPPED = Path(__file__).parents[1] / "models"

FORMAT_VERSION = "1"
WEIGHTS = "model.safetensors"
CONFIG = "config.toml"
CARD = "card.md"


def save_model(folder: Path, config: ModelConfig, network: Network, progress: Progress) -> None:
    """Write ``config.toml``, ``model.safetensors`` (whole or not at all), ``card.md``, the seal."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(config, folder / CONFIG)
    write_weights(folder, network)
    # Anew each time: a resumed run has other figures.
    (folder / CARD).write_text(_card(config, network, progress), encoding="utf-8")
    seal_model(folder)


def seal_model(folder: Path) -> None:
    """Note which config and weights belong together, see `maury.training.seals`."""
    seal(folder, (CONFIG, WEIGHTS))


def write_weights(folder: Path, network: Network, *, half: bool = False) -> None:
    """Write ``model.safetensors``; ``half`` rounds the trained weights, never the constants."""
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    if half:
        trained = {name for name, _ in network.named_parameters()}
        state = {k: v.half() if k in trained else v for k, v in state.items()}
    metadata = {
        "format": FORMAT_VERSION,
        "parameters": json.dumps([p.name for p in network.parameters_of_star]),
        "channels": json.dumps(network.features.channels),
        "sha256": hash_of_tensors(state),
    }
    partial = folder / (WEIGHTS + ".partial")
    save_file(state, partial, metadata)
    os.replace(partial, folder / WEIGHTS)


def model_names() -> tuple[str, ...]:
    """Names of the models that come with maury."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob("*/model.safetensors")))


def find_model(name: str | Path) -> Path:
    """The folder of a model by its shipped name, or as it is named.

    Raises
    ------
    MauryError
        If there is no such model.
    """
    folder = SHIPPED / str(name) if str(name) in model_names() else Path(name)
    if not folder.is_dir():
        raise MauryError(
            f"no model {str(name)!r}: it is neither a folder nor one of the shipped models "
            f"({', '.join(model_names()) or 'none'})"
        )
    return folder


def load_model(folder: Path) -> tuple[ModelConfig, Network]:
    """Read a model folder.

    Raises
    ------
    MauryError
        If a file is missing or damaged, its format is newer than this maury, its hash is wrong,
        or its tensors, parameters or channels are not those that the config describes.
    """
    # First, because it says which entry is wrong, where the hash only says that one is.
    config = read_config(folder / CONFIG)
    check_seal(folder / CONFIG)
    path = folder / WEIGHTS
    try:
        check_seal(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise MauryError(f"{path}: the model's weights are missing") from None
    except (SafetensorError, OSError) as error:
        raise MauryError(f"{path}: not readable weights ({error}); fetch the model anew") from None
    if metadata.get("format") != FORMAT_VERSION:
        found = metadata.get("format")
        raise MauryError(f"{path}: format {found}, this maury reads format {FORMAT_VERSION}")
    if metadata.get("sha256") != hash_of_tensors(state):
        raise MauryError(f"{path}: wrong hash, the weights are damaged; fetch the model anew")
    simulator = Simulator(config.simulator)
    described = {"parameters": simulator.parameters, "channels": simulator.channels}
    if any(metadata.get(key) != json.dumps(names) for key, names in described.items()):
        raise MauryError(f"{path}: the weights' parameters or channels are not those of {CONFIG}")
    network = build_network(config, simulator)
    try:
        network.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise MauryError(f"{path}: the weights do not fit {CONFIG}: {reason}") from None
    return config, network.eval().requires_grad_(False)


def _card(config: ModelConfig, network: Network, progress: Progress) -> str:
    weights = sum(p.numel() for p in network.parameters())
    names = ", ".join(p.name for p in network.parameters_of_star)
    bands = ", ".join(config.simulator.bands)
    stars = progress.best_step * config.training.batch_size
    libraries = ", ".join(config.simulator.libraries)
    isochrones = f" of {config.simulator.isochrones} stars" if config.simulator.placed else ""
    return (
        f"# {config.name}\n\n{config.description}\n\n"
        f"- Parameters: {names}\n- Bands: {bands}\n"
        f"- Prior `{config.simulator.prior}`{isochrones}, library `{libraries}`, "
        f"dust law {config.simulator.dust_law}\n"
        f"- {_network(config.network)}, {weights:,} weights\n"
        f"- Trained on {stars:,} simulated stars; held-out loss {progress.best_loss:.4f} nats\n"
        f"- Seed {config.training.seed}, {progress.seconds / 60:.0f} minutes\n"
    )


def _network(config: NetworkConfig | JointConfig) -> str:
    if isinstance(config, JointConfig):
        return f"Joint network of {config.layers} layers of {config.width}, path {config.path}"
    return f"Encoder {config.encoder.kind}, flow {config.flow.kind}"
