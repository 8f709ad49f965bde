"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from maury.simulator import Simulator
    from maury.sky.populations.surveyed import SurveyedGalaxy

# How long an example takes says more about the machine's load than about the code.
settings.register_profile("maury", deadline=None)
settings.load_profile("maury")

TINY_BANDS = ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp", "2MASS/2MASS.J", "2MASS/2MASS.Ks")
PLACED_BANDS = (*TINY_BANDS, "WISE/WISE.W4")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real stars and second grids beside the checkout; tests skip where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder of real stars and grids is not here")
    return folder


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """A config of a model so small that it learns in seconds, as a TOML file would say it."""
    return {
        "version": 1,
        "name": "tiny",
        "description": "For tests: [a_v] and more.",
        "simulator": {
            "bands": list(TINY_BANDS),
            "knowledge": {"informed_fraction": 0.6, "parameter_fraction": 0.5},
        },
        "network": {
            "encoder": {"kind": "deep_set", "width": 32, "layers": 1, "feedforward": 64},
            "flow": {"kind": "spline", "transforms": 2, "hidden": 32},
        },
        "training": {
            "steps": 150,
            "batch_size": 256,
            "learning_rate": 4e-3,
            "warmup_steps": 10,
            "ema_decay": 0.95,
            "validate_every": 50,
            "validation_stars": 512,
        },
    }


@pytest.fixture(scope="session")
def tiny_folder(tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that has learned a little."""
    from rich.console import Console

    from maury.training.config import ModelConfig
    from maury.training.loop import train

    folder = tmp_path_factory.mktemp("models") / "tiny"
    config = ModelConfig.model_validate(tiny)
    return train(config, folder, console=Console(file=io.StringIO()))


@pytest.fixture(scope="session")
def galaxy() -> SurveyedGalaxy:
    """The surveyed Galaxy, whose tables take seconds to make: once for all."""
    from maury.sky.populations.surveyed import SurveyedGalaxy

    return SurveyedGalaxy()


@pytest.fixture(scope="session")
def placed(tiny: dict[str, Any]) -> dict[str, Any]:
    """A tiny config of a model whose stars have distances; discs show in its last band."""
    simulator = tiny["simulator"] | {"prior": "galaxy", "bands": list(PLACED_BANDS)}
    return tiny | {"name": "placed", "simulator": simulator}


@pytest.fixture(scope="session")
def placed_simulator(placed: dict[str, Any], galaxy: SurveyedGalaxy) -> Simulator:
    """Its sky."""
    from maury.simulator import Simulator, SimulatorConfig

    simulator = Simulator(SimulatorConfig.model_validate(placed["simulator"]))
    vars(simulator)["prior"] = galaxy  # the one that is made already
    return simulator
