"""Networks far enough from their calm start that every part matters, and questions to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maury.nets.config import JointConfig, SplineConfig
from maury.nets.joint.bends import FORM
from maury.nets.joint.density import JointDensity
from maury.nets.joint.flowing import ParameterFlow
from maury.nets.joint.nodes import Nodes

NODES = 6
FLOWING = 3
"""Of the nodes, where there is a flow."""

GRAPH = torch.ones(NODES, NODES, dtype=torch.bool)


@pytest.fixture(scope="session", params=["bends", "flow", "flow in units", "graph"])
def stirred(request: pytest.FixtureRequest) -> Callable[..., JointDensity]:
    """Makes a small network whose weights are all moved away from where they start."""

    def make(*, layers: int = 2, size: float = 0.3, seed: int = 0, path: str = "flow matching"):
        torch.manual_seed(seed)
        config = JointConfig(
            width=16,
            layers=layers,
            heads=2,
            feedforward=24,
            path=path,
            flow_in_units=request.param == "flow in units",
        )
        flow = None
        if request.param.startswith("flow"):
            sizes = SplineConfig(kind="spline", transforms=2, hidden=8)
            flow = ParameterFlow(FLOWING, config.summary.width, sizes, tail=4.0)
        network = JointDensity(NODES, config, flow, GRAPH if request.param == "graph" else None)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(size * torch.randn_like(weight) / weight.shape[-1] ** 0.5)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def unbend() -> Callable[[JointDensity], None]:
    """Takes a network's bends away, which have tests of their own; a flow stays."""

    @torch.no_grad()
    def unbend(network: JointDensity) -> None:
        base = network.base
        base.bends.last.zero_()
        first = sum(base.parts[: base.parts.index(FORM)])
        for part in (base.heads.weight, base.heads.bias):
            part[:, first : first + FORM] = 0.0

    return unbend


@pytest.fixture(scope="session")
def question() -> Callable[..., tuple[Nodes, Tensor]]:
    """Makes rows of all nodes from words of g (given), ? (latent) and . (left out)."""

    def make(*rows: str, edges: Tensor | None = None, seed: int = 0) -> tuple[Nodes, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        shape = (len(rows), NODES)
        value = torch.randn(shape, generator=generator)
        error = torch.rand(shape, generator=generator)
        given, latent = (
            torch.tensor([[letter == kind for letter in row] for row in rows]) for kind in "g?"
        )
        identity = torch.arange(NODES).expand(shape)
        return Nodes.split(identity, value, error, given, latent, edges)

    return make
