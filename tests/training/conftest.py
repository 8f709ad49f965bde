"""A run of a few steps."""

import io
from typing import Any

import pytest
from rich.console import Console

from maury.training import loop
from maury.training.config import ModelConfig


@pytest.fixture
def silent() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="session")
def few_steps(tiny: dict[str, Any]) -> ModelConfig:
    """Twelve steps, with dropout, which must come out the same after a resume."""
    encoder = tiny["network"]["encoder"] | {"dropout": 0.1}
    training = {
        "steps": 12,
        "batch_size": 32,
        "warmup_steps": 3,
        "validate_every": 3,
        "validation_stars": 64,
        "learning_rate": 1e-3,
        "checkpoint_every_minutes": 1e-9,
    }
    return ModelConfig.model_validate(
        tiny | {"network": tiny["network"] | {"encoder": encoder}, "training": training}
    )


@pytest.fixture
def brief(few_steps: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> ModelConfig:
    """Few steps after few stars."""
    monkeypatch.setattr(loop, "SCALE_STARS", 2000)
    return few_steps
