"""Which encoder and which flow, and how large."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from maury.nets.joint.paths import PathName

__all__ = [
    "DeepSetConfig",
    "JointConfig",
    "MafConfig",
    "NetworkConfig",
    "SequentialConfig",
    "SetTransformerConfig",
    "SplineConfig",
]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SetTransformerConfig(_Config):
    """Sizes of `maury.nets.set_transformer.SetTransformer`."""

    kind: Literal["set_transformer"]
    width: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)
    feedforward: int = Field(gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)


class DeepSetConfig(_Config):
    """Sizes of `maury.nets.deep_set.DeepSet`."""

    kind: Literal["deep_set"]
    width: int = Field(gt=0)
    layers: int = Field(gt=0)
    feedforward: int = Field(gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    frequencies: tuple[Annotated[float, Field(gt=0)], ...] = ()


class MafConfig(_Config):
    """Sizes of `maury.nets.autoregressive.MaskedAutoregressiveFlow`."""

    kind: Literal["maf"]
    blocks: int = Field(10, gt=0)
    hidden: int = Field(256, gt=0)
    layers: int = Field(2, gt=0)
    components: int = Field(5, gt=0)


class SplineConfig(_Config):
    """Sizes of `maury.nets.coupling.SplineCouplingFlow`."""

    kind: Literal["spline"]
    transforms: int = Field(6, gt=0)
    hidden: int = Field(64, gt=0)
    layers: int = Field(2, gt=0)
    bins: int = Field(8, gt=1)


class SequentialConfig(_Config):
    """Sizes of `maury.nets.sequential.SequentialSplineFlow`."""

    kind: Literal["sequential"]
    hidden: int = Field(96, gt=0)
    layers: int = Field(2, gt=0)
    bins: int = Field(12, gt=1)


class JointConfig(_Config):
    """Sizes of `maury.nets.joint.density.JointDensity`, and the path it learns along.

    ``summary`` is the deep set on which the units of latent nodes rest, ``bends`` the width of the
    networks by which one latent node follows others, ``flow`` a flow of the parameters' own: of
    their values, as a network of posteriors has it, or of their values in units that follow the
    given nodes in proportion (``flow_in_units``). Of stars in training, the share
    ``velocity_share`` teaches the velocity, too, which costs several times as much.
    """

    kind: Literal["joint"] = "joint"
    width: int = Field(96, gt=0)
    layers: int = Field(4, gt=0)
    heads: int = Field(4, gt=0)
    feedforward: int = Field(192, gt=0)
    frequencies: tuple[Annotated[float, Field(gt=0)], ...] = (1.0, 3.0)
    summary: DeepSetConfig = DeepSetConfig(
        kind="deep_set", width=128, layers=2, feedforward=256, frequencies=(1.0, 3.0)
    )
    bends: int = Field(32, gt=0)
    flow: SplineConfig | None = None
    flow_in_units: bool = False
    path: PathName = "flow matching"
    velocity_share: float = Field(1.0, gt=0, le=1)


class NetworkConfig(_Config):
    """An encoder of measurements and a flow over parameters."""

    encoder: Annotated[SetTransformerConfig | DeepSetConfig, Field(discriminator="kind")]
    flow: Annotated[MafConfig | SplineConfig | SequentialConfig, Field(discriminator="kind")]
