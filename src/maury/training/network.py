"""The network that a config describes, before any training."""

from __future__ import annotations

from maury.nets.config import JointConfig
from maury.nets.distance import DistanceScale
from maury.nets.estimator import Estimator
from maury.nets.joint.estimator import JointEstimator
from maury.simulator import Simulator
from maury.sky.skies import POPULATIONS
from maury.training.config import ModelConfig

__all__ = ["Network", "build_network"]

Network = Estimator | JointEstimator


def build_network(config: ModelConfig, simulator: Simulator | None = None) -> Network:
    """Make the network of a model for the parameters and channels of its sky.

    Parameters
    ----------
    config : ModelConfig
    simulator : Simulator, optional
        That of the config, where there is one already.
    """
    simulator = simulator or Simulator(config.simulator)
    parameters, channels = simulator.parameters, simulator.channels
    distance, populations = None, 0
    if config.simulator.placed:
        distance = DistanceScale(simulator.table, parameters, channels)
        populations = len(POPULATIONS)
    if isinstance(config.network, JointConfig):
        return JointEstimator(
            parameters, channels, config.network, distance=distance, populations=populations
        )
    return Estimator(
        parameters, channels, config.network, distance=distance, populations=populations
    )
