"""Every conditional and marginal of a correlated normal in three dimensions, against closed forms.

    python benchmarks/joint_gaussian.py

One joint network answers all 19 questions: each node given, asked or left out, at least one asked.
For each, at five random values of the given nodes, the table shows the largest errors of means (in
standard deviations), of standard deviations (relative) and of correlations, from 20,000 draws by
ten calls, and of log densities at these draws (mean absolute, nats).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from joint_model import Scales, train
from joint_recipes import recipe
from joint_tasks import Case
from maury.nets.joint.density import JointDensity
from maury.nets.joint.log_density import log_density
from maury.nets.joint.nodes import Nodes
from maury.nets.joint.samplers import angles, multistep

FACTOR = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [-0.5, 0.6, 0.5]])
COVARIANCE = FACTOR @ FACTOR.T
DRAWS = 20_000
PLACES = 5
DENSITIES = 200


@dataclass(frozen=True)
class Normal:
    """The task; see `joint_tasks.Task`."""

    name: str = "normal"
    parameters: int = 1
    data: int = 2
    bounds: None = None

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Joint draws (n, 3)."""
        return torch.randn(n, 3, generator=generator) @ FACTOR.T

    def cases(self) -> list[Case]:
        """None: the answers are known in closed form."""
        return []

    def edges(self) -> Tensor:
        """All depend on all."""
        return torch.ones(3, 3, dtype=torch.bool)


def exact(given: Sequence[int], asked: Sequence[int], values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the asked nodes at values (3,) of the given ones."""
    inner = COVARIANCE[asked][:, asked]
    if not given:
        return torch.zeros(len(asked)), inner
    slope = COVARIANCE[asked][:, given] @ torch.linalg.inv(COVARIANCE[given][:, given])
    return slope @ values[given], inner - slope @ COVARIANCE[given][:, asked]


@torch.no_grad()
def errors(
    network: JointDensity,
    scales: Scales,
    given: Sequence[int],
    asked: Sequence[int],
    values: Tensor,
) -> list[float]:
    """Of means, deviations, correlations and log densities for one question."""
    here = torch.zeros(1, 3, dtype=torch.bool)
    told, latent = here.clone(), here.clone()
    told[0, given], latent[0, asked] = True, True
    z = scales.to_real(values[None])
    nodes, _ = Nodes.split(torch.arange(3)[None], z, torch.zeros_like(z), told, latent)
    condition = network.condition(nodes)

    def field(y: Tensor, phi: float) -> Tensor:
        return network.field(condition, y, y.new_full((1,), phi))

    y = torch.randn(1, DRAWS, len(asked), generator=torch.Generator().manual_seed(0))
    y = multistep(field, y, angles(network.path.first, 10))
    drawn_real = network.to_values(condition, y)[0]
    drawn = scales.to_values(drawn_real, torch.tensor(asked))
    mean, covariance = exact(given, asked, values)
    deviation = covariance.diag().sqrt()
    found = torch.cov(drawn.T).view(len(asked), len(asked))
    correlations = [
        found / torch.outer(found.diag().sqrt(), found.diag().sqrt()),
        covariance / torch.outer(deviation, deviation),
    ]
    some = slice(0, DENSITIES)
    real = drawn_real[None, some].requires_grad_()
    with torch.enable_grad():
        back = scales.to_values(real, torch.tensor(asked))
        (slope,) = torch.autograd.grad(back.sum(), real)
    density = log_density(network, condition, real.detach())[0] - slope[0].abs().log().sum(-1)
    right = torch.distributions.MultivariateNormal(mean, covariance).log_prob(drawn[some])
    return [
        float(((drawn.mean(0) - mean) / deviation).abs().max()),
        float((drawn.std(0) / deviation - 1).abs().max()),
        float((correlations[0] - correlations[1]).abs().max()),
        float((density - right).abs().mean()),
    ]


def main() -> None:
    made = recipe("normal")
    trained = train(Normal(), made.simulations, made.steps, seed=0)
    (network,), scales = trained.networks, trained.scales
    places = Normal().sample(PLACES, torch.Generator().manual_seed(1))
    print("| given | asked | mean | deviation | correlation | log density |")
    print("|---|---|---:|---:|---:|---:|")
    worst = [0.0] * 4
    for roles in itertools.product("ga.", repeat=3):
        given = [i for i, role in enumerate(roles) if role == "g"]
        asked = [i for i, role in enumerate(roles) if role == "a"]
        if not asked:
            continue
        found = [errors(network, scales, given, asked, values) for values in places]
        row = [max(column) for column in zip(*found, strict=True)]
        worst = [max(pair) for pair in zip(worst, row, strict=True)]
        names = ["".join("xyz"[i] for i in nodes) or "-" for nodes in (given, asked)]
        print(f"| {' | '.join([*names, *(f'{x:.3f}' for x in row)])} |", flush=True)
    print(f"| worst | | {' | '.join(f'{x:.3f}' for x in worst)} |")
    print(f"\nDraws alone: {1 / math.sqrt(DRAWS):.3f} in means, half of that in deviations.")


if __name__ == "__main__":
    main()
