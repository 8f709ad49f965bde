"""Everything a training run is, in one versioned file: sky, network, schedule."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from maury.errors import MauryError
from maury.nets.config import JointConfig, NetworkConfig
from maury.simulator import SimulatorConfig
from maury.sky.own_bands import read_curves

__all__ = ["ModelConfig", "TrainingConfig", "fingerprint", "read_config", "write_config"]


class TrainingConfig(BaseModel):
    """How long and how fast to learn.

    The learning rate rises linearly over ``warmup_steps`` to ``learning_rate`` and falls to zero
    by half a cosine at ``steps``. The weights that are kept are an exponential moving average with
    ``ema_decay``, taken where the loss on held-out stars was lowest. A batch passes through the
    network in ``accumulate`` slices, which takes that much less memory and is the same step; the
    processes that train together share the slices. A joint network may ``start`` from what a model
    of the same sky has learned of measurements (its name, or its folder).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    steps: int = Field(gt=0)
    batch_size: int = Field(1024, gt=0)
    accumulate: int = Field(1, gt=0)
    learning_rate: float = Field(5e-4, gt=0)
    warmup_steps: int = Field(1000, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    validate_every: int = Field(1000, gt=0)
    validation_stars: int = Field(8192, gt=0)
    checkpoint_every_minutes: float = Field(5.0, gt=0)
    start: str | None = None


_FLOW, _JOINT = "flow network", "joint network"


def _kind_of_network(network: Any) -> str:
    kind = network.get("kind") if isinstance(network, dict) else getattr(network, "kind", None)
    return _JOINT if kind == "joint" else _FLOW


class ModelConfig(BaseModel):
    """A model: its name, the sky it learned from, its network, and how it was trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    name: str
    description: str = ""
    simulator: SimulatorConfig = SimulatorConfig()
    network: Annotated[
        Annotated[NetworkConfig, Tag(_FLOW)] | Annotated[JointConfig, Tag(_JOINT)],
        Discriminator(_kind_of_network),
    ]
    training: TrainingConfig


def fingerprint(config: ModelConfig) -> str:
    """SHA-256 of a config, by which a checkpoint knows its own.

    The number of steps is left out: a run may be made longer or shorter when it is resumed; and
    the number of slices, as it may go on where there is less memory. So is
    an entry that joined after models had been trained, while it has the value that those models
    were trained with: their checkpoints stay theirs.
    """
    joined = {"isochrones"} if config.simulator.isochrones == "mist" else set[str]()
    if not config.simulator.passbands:
        joined.add("passbands")
    training = {"steps", "accumulate"}
    if config.training.start is None:
        training.add("start")
    left_out = {"simulator": joined, "training": training}
    return hashlib.sha256(config.model_dump_json(exclude=left_out).encode()).hexdigest()


def read_config(path: Path | str) -> ModelConfig:
    """Read and check a TOML config.

    Raises
    ------
    MauryError
        If the file is missing, is not TOML, or an entry is missing, unknown or out of range, or
        the file of a passband cannot be read.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MauryError(f"{path}: there is no such config file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise MauryError(f"{path}: not a readable TOML file ({error})") from None
    simulator = content.get("simulator")
    if isinstance(simulator, dict) and isinstance(simulator.get("passbands"), dict):
        simulator["passbands"] = read_curves(simulator["passbands"], path.parent)
    try:
        return ModelConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in (_FLOW, _JOINT))
        raise MauryError(f"{path}: entry '{where}': {first['msg']}") from None


def write_config(config: ModelConfig, path: Path) -> None:
    """Write the config with every default spelled out, so that later defaults change nothing."""
    # TOML has no word for None.
    content: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    if not config.simulator.passbands:
        del content["simulator"]["passbands"]
    path.write_text(tomli_w.dumps(content), encoding="utf-8")
