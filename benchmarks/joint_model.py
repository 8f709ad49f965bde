"""The joint model on public tasks with known answers (see `joint_tasks`), by C2ST: 0.5 is perfect.

    python benchmarks/joint_model.py two_moons --calls 10

For each task and seed one network, or several of which each holds out another tenth of the same
simulations, is trained as the task's recipe says (`joint_recipes`), and then answers all of the
task's questions; several pool their draws. One line for each question goes to --output (CSV), so
that a long list may be made in parts; the means are printed.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from joint_recipes import recipe
from joint_tasks import TASKS, Case, Task
from joint_tasks.two_sample import c2st
from maury.errors import MauryError
from maury.nets.joint.density import JointDensity
from maury.nets.joint.flowing import ParameterFlow
from maury.nets.joint.masks import draw_conditions, graph_edges
from maury.nets.joint.nodes import Nodes
from maury.nets.joint.samplers import angles, midpoint, multistep
from maury.training.average import MovingAverage

BATCH = 256
RATE_OF_UNITS, RATE_OF_BENDS, RATE = 4e-3, 2e-3, 1e-3
WEIGHT_DECAY = 1e-3
"""Of the velocity."""

UNITS_SHARE = 0.85
"""Of the steps: the units of latent nodes learn before the velocity does."""

BENDS_SHARE = 0.3
"""Of these steps: bends learn on without dropout."""

CHECKS = 40
"""Looks at the held-out simulations, evenly through each part of the training; the best weights are
kept."""

PARTS = 10
"""Of the simulations, of which a network holds one out."""

ROUNDS = 50
"""Draws outside of a uniform prior are drawn anew, so often."""

TAIL = 4.0
"""The flow of the parameters ends here, as that of stars does."""

Loss = Callable[[JointDensity, Nodes, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Scales:
    """A task's nodes as numbers of order one, and back.

    Parameters
    ----------
    centre, scale : Tensor (T,)
    linear : float
        Values beyond so many scales enter as logarithms.
    """

    centre: Tensor
    scale: Tensor
    linear: float

    @classmethod
    def of(cls, values: Tensor, linear: float) -> Scales:
        """The scales that simulations (N, T) call for."""
        low, middle, high = torch.quantile(values, torch.tensor([0.16, 0.5, 0.84]), dim=0)
        return cls(middle, (high - low) / 2, linear)

    def to_real(self, values: Tensor) -> Tensor:
        z = (values - self.centre) / self.scale
        return self.linear * torch.asinh(z / self.linear)

    def to_values(self, z: Tensor, nodes: Tensor) -> Tensor:
        """Values (..., L) of the nodes (L,)."""
        return self.linear * torch.sinh(z / self.linear) * self.scale[nodes] + self.centre[nodes]


@dataclass(frozen=True)
class Trained:
    """Networks of the same simulations, and the scales that all of them read."""

    networks: list[JointDensity]
    scales: Scales


def train(task: Task, simulations: int, steps: int, seed: int) -> Trained:
    """As many networks as the task's recipe says, from so many of its simulations."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    values = task.sample(simulations, generator)
    scales = Scales.of(values, recipe(task.name).linear)
    parts = scales.to_real(values).split(math.ceil(simulations / PARTS))
    networks = []
    for held_out in range(recipe(task.name).members):
        others = torch.cat([part for number, part in enumerate(parts) if number != held_out])
        networks.append(_train_one(task, others, parts[held_out], steps, generator))
    return Trained(networks, scales)


def _train_one(
    task: Task, z: Tensor, held_out: Tensor, steps: int, generator: torch.Generator
) -> JointDensity:
    """Units of latent nodes are learned first, several times as fast as the velocity; the velocity
    then, in units that stand still. In between bends learn on without dropout, where the summary
    had any: with it they learn a shape that it blurs."""
    made = recipe(task.name)
    flow = None
    if made.flow is not None:
        flow = ParameterFlow(task.parameters, made.summary, made.flow, tail=TAIL)
    graph = graph_edges(task.edges(), undirected=True) if made.graph else None
    network = JointDensity(z.shape[1], made.config(), flow, graph)
    given = task, z, held_out, generator
    of_units = round(UNITS_SHARE * steps)
    of_bends = round(BENDS_SHARE * of_units) if made.dropout else 0
    fast = RATE_OF_UNITS, made.weight_decay
    network = _best(network.train(), _loss_of_units, *given, of_units - of_bends, *fast)
    if of_bends:
        network.base.bends.requires_grad_(True)
        network = _best(network, _loss_of_units, *given, of_bends, RATE_OF_BENDS, 0.0)
    return _best(network, _loss, *given, steps - of_units, RATE, WEIGHT_DECAY)


def _best(
    network: JointDensity,
    loss: Loss,
    task: Task,
    z: Tensor,
    held_out: Tensor,
    generator: torch.Generator,
    steps: int,
    rate: float,
    weight_decay: float,
) -> JointDensity:
    """The network, at rest, by whose averaged weights held-out simulations have the least loss."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=weight_decay)
    average = MovingAverage(network, 0.999)
    best, best_loss = copy.deepcopy(average.module), math.inf
    for step in range(steps):
        share = min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        rows = torch.randint(len(z), (BATCH,), generator=generator)
        now = loss(network, *_question(task, z[rows], generator), generator)
        optimizer.zero_grad(set_to_none=True)
        now.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        average.update(network, step)
        if (step + 1) % max(1, steps // CHECKS) == 0:
            with torch.no_grad():
                same = torch.Generator().manual_seed(0)
                losses = [
                    loss(average.module, *_question(task, part, same), same)
                    for part in held_out.split(1000)
                ]
            mean = float(torch.stack(losses).mean())
            if mean < best_loss:
                best, best_loss = copy.deepcopy(average.module), mean
    for name, parameter in network.named_parameters():
        # What was learned now stands still in what follows.
        best.get_parameter(name).requires_grad_(parameter.requires_grad and parameter.grad is None)
    return best


def _loss_of_units(
    network: JointDensity, nodes: Nodes, asked: Tensor, generator: torch.Generator
) -> Tensor:
    present = nodes.latent.present
    return (network.units(nodes)[0].cost(asked) * present).sum() / present.sum()


def _loss(network: JointDensity, nodes: Nodes, asked: Tensor, generator: torch.Generator) -> Tensor:
    return network.loss(network.condition(nodes), asked, generator)


def _question(task: Task, z: Tensor, generator: torch.Generator) -> tuple[Nodes, Tensor]:
    """Given and latent nodes drawn for each row, and the values of the latent ones."""
    here = torch.ones_like(z, dtype=torch.bool)
    given, latent = draw_conditions(task.parameters, here, recipe(task.name).conditions, generator)
    return _split(z, given, latent)


def _split(z: Tensor, given: Tensor, latent: Tensor) -> tuple[Nodes, Tensor]:
    identity = torch.arange(z.shape[1]).expand(len(z), -1)
    return Nodes.split(identity, z, torch.zeros_like(z), given, latent)


def answer(trained: Trained, task: Task, case: Case, calls: int, seed: int) -> Tensor:
    """As many draws of the latent nodes as the reference has, all of them where the prior is."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.arange(len(case.reference)).chunk(len(trained.networks))
    drawn = [
        _draws(network, trained.scales, task, case, len(share), calls, generator)
        for network, share in zip(trained.networks, shares, strict=True)
    ]
    return torch.cat(drawn)


@torch.no_grad()
def _draws(
    network: JointDensity,
    scales: Scales,
    task: Task,
    case: Case,
    count: int,
    calls: int,
    generator: torch.Generator,
) -> Tensor:
    z = scales.to_real(case.values[None])
    nodes, _ = _split(z, case.given[None], ~case.given[None])
    condition = network.condition(nodes)
    latent = (~case.given).nonzero().squeeze(-1)

    def field(y: Tensor, phi: float) -> Tensor:
        return network.field(condition, y, y.new_full((1,), phi))

    first, kept = network.path.first, case.reference[:0]
    for _ in range(ROUNDS):
        y = torch.randn(1, count, len(latent), generator=generator)
        if calls <= 10:
            y = multistep(field, y, angles(first, calls))
        else:
            y = midpoint(field, y, angles(first, calls // 2))
        drawn = scales.to_values(network.to_values(condition, y)[0], latent)
        kept = torch.cat([kept, drawn[_possible(task, drawn, latent)]])
        if len(kept) >= count:
            return kept[:count]
    raise MauryError(f"{task.name}: draws lie outside of the prior; train for longer")


def _possible(task: Task, drawn: Tensor, latent: Tensor) -> Tensor:
    """Which draws (M, L) of the nodes (L,) have all parameters within a uniform prior."""
    if task.bounds is None:
        return torch.ones(len(drawn), dtype=torch.bool)
    which = latent < task.parameters
    low, high = (end[latent[which]] for end in task.bounds)
    return ((drawn[:, which] >= low) & (drawn[:, which] <= high)).all(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--simulations", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--calls", type=int, nargs="+", default=[10, 60])
    parser.add_argument("--output", type=Path, default=Path("joint_model.csv"))
    args = parser.parse_args()
    task = TASKS[args.task]()
    made = recipe(task.name)
    simulations, steps = args.simulations or made.simulations, args.steps or made.steps
    cases = task.cases()[: args.cases]
    scores: dict[int, list[float]] = {calls: [] for calls in args.calls}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        began = time.process_time()
        trained = train(task, simulations, steps, seed)
        seconds = time.process_time() - began
        for number, case in enumerate(cases):
            for calls in args.calls:
                draws = answer(trained, task, case, calls, seed)
                score = c2st(case.reference, draws)
                scores[calls].append(score)
                row = [task.name, simulations, seed, steps, f"{seconds:.0f}"]
                _note(args.output, [*row, number, calls, f"{score:.4f}"])
        means = ", ".join(
            f"{calls} calls {sum(found) / len(found):.3f}" for calls, found in scores.items()
        )
        print(f"{task.name}, {simulations} simulations, seed {seed}: {means}", flush=True)


def _note(path: Path, row: list[object]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            names = ["task", "simulations", "seed", "steps", "seconds", "case", "calls", "c2st"]
            writer.writerow(names)
        writer.writerow(row)


if __name__ == "__main__":
    main()
