"""The network of a config: its parameters and channels are those of its sky."""

from typing import Any

import torch

from maury.simulator import PARALLAX, Simulator
from maury.sky.populations import STAR
from maury.sky.skies import POPULATIONS
from maury.training.config import ModelConfig
from maury.training.network import build_network


def names(network: torch.nn.Module) -> tuple[str, ...]:
    return tuple(p.name for p in network.parameters_of_star)


def test_a_model_of_colours_knows_no_distance(tiny: dict[str, Any]) -> None:
    config = ModelConfig.model_validate(tiny)
    network = build_network(config)
    assert names(network) == STAR
    assert network.features.channels == Simulator(config.simulator).channels
    assert network.distance is None
    assert network.populations is None
    assert not network.features.placed


def test_a_model_of_placed_stars_knows_distance_and_kind(placed: dict[str, Any]) -> None:
    config = ModelConfig.model_validate(placed)
    simulator = Simulator(config.simulator)
    network = build_network(config, simulator)
    assert names(network) == simulator.parameters
    assert PARALLAX in network.features.channels
    assert network.distance.column == simulator.parameters.index("distance")
    assert network.populations.out_features == len(POPULATIONS)
    assert network.noise_size >= len(simulator.parameters)


def test_tables_are_no_weights(placed: dict[str, Any]) -> None:
    """They come with the library, not with the model."""
    network = build_network(ModelConfig.model_validate(placed))
    weights = sum(tensor.numel() for tensor in network.state_dict().values())
    assert weights < 100_000


def test_the_simulator_does_not_change_the_network(placed: dict[str, Any]) -> None:
    config = ModelConfig.model_validate(placed)
    states = []
    for simulator in (None, Simulator(config.simulator)):
        torch.manual_seed(0)
        states.append(build_network(config, simulator).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
