"""The network that a config describes, before any training."""

from __future__ import annotations

from maury.nets.distance import DistanceScale
from maury.nets.estimator import Estimator
from maury.simulator import Simulator
from maury.sky.skies import POPULATIONS
from maury.training.config import ModelConfig

__all__ = ["build_network"]


def build_network(config: ModelConfig, simulator: Simulator | None = None) -> Estimator:
    """Make the network of a model for the parameters and channels of its sky.

    Parameters
    ----------
    config : ModelConfig
    simulator : Simulator, optional
        That of the config, where there is one already.
    """
    simulator = simulator or Simulator(config.simulator)
    parameters, channels = simulator.parameters, simulator.channels
    if not config.simulator.placed:
        return Estimator(parameters, channels, config.network)
    parallax = config.network.distance == "by light and parallax"
    distance = DistanceScale(simulator.table, parameters, channels, parallax=parallax)
    return Estimator(
        parameters, channels, config.network, distance=distance, populations=len(POPULATIONS)
    )
