"""Which network learns which public task: sizes, and what questions it learns from."""

from __future__ import annotations

from dataclasses import dataclass

from maury.nets.config import DeepSetConfig, JointConfig, SplineConfig
from maury.nets.joint.masks import Conditions

FREQUENCIES = (1.0, 3.0, 10.0)
CONFIG = JointConfig(
    width=64,
    layers=4,
    heads=4,
    feedforward=128,
    frequencies=FREQUENCIES,
    summary=DeepSetConfig(
        kind="deep_set", width=128, layers=2, feedforward=256, frequencies=FREQUENCIES
    ),
    flow_in_units=True,
)

FLOW = SplineConfig(kind="spline", transforms=6, hidden=64, layers=2, bins=10)
"""Of the parameters."""

MOSTLY_POSTERIORS = Conditions(posterior=0.4, likelihood=0.15, joint=0.15, sparse=0.15, dense=0.15)
"""As published questions are; the other kinds are learned all the same."""

POSTERIORS = Conditions(
    posterior=0.8, likelihood=0.05, joint=0.05, sparse=0.05, dense=0.05, left_out=0.2
)
"""Where these are hard to learn: most rows teach the whole posterior."""

ANY = Conditions(posterior=0.1, likelihood=0.05, joint=0.05, sparse=0.4, dense=0.4, left_out=0.2)
"""Where any node may be given or asked, as the questions of tree and HMM have it."""

FEW_GIVEN = Conditions(
    posterior=0.0, likelihood=0.0, joint=0.3, sparse=0.5, dense=0.2, left_out=0.8
)
"""Where marginals are asked for: most rows leave nodes out."""


@dataclass(frozen=True)
class Recipe:
    """What a task may want of its own.

    Attributes
    ----------
    simulations, steps : int
        As published figures have it; and how long to train.
    members : int
        Networks that pool their draws: what each learns by heart of few simulations is its own.
    flow : SplineConfig, optional
        Of the parameters, which have bends without it, as data have.
    graph : bool
        Whether the given nodes are read along the task's graph, which a flow cannot do.
    summary, layers : int
        Width and layers of what reads the given nodes.
    dropout : float
        In there.
    bends : int
        Width of the networks of bends.
    weight_decay : float
        While units are learned.
    linear : float
        Standardised values beyond so many widths enter as logarithms.
    conditions : Conditions
        How often each kind of question is asked in training.
    """

    simulations: int = 10_000
    steps: int = 8000
    members: int = 1
    flow: SplineConfig | None = FLOW
    graph: bool = False
    summary: int = 128
    layers: int = 2
    dropout: float = 0.0
    bends: int = 32
    weight_decay: float = 1e-3
    linear: float = 3.0
    conditions: Conditions = MOSTLY_POSTERIORS

    def config(self) -> JointConfig:
        sizes = {"width": self.summary, "layers": self.layers, "feedforward": 2 * self.summary}
        summary = CONFIG.summary.model_copy(update=sizes | {"dropout": self.dropout})
        return CONFIG.model_copy(update={"summary": summary, "bends": self.bends})


LARGER = SplineConfig(kind="spline", transforms=8, hidden=128, layers=2, bins=10)
"""For sharp answers of many shapes, where simulations are many."""

RECIPES = {
    "two_moons": Recipe(members=3),
    "gaussian_mixture": Recipe(
        members=3, flow=None, summary=64, dropout=0.3, bends=64, weight_decay=0.1, linear=100.0
    ),
    "gaussian_linear": Recipe(simulations=100_000, steps=4000),
    "slcp": Recipe(simulations=100_000, steps=24_000, flow=LARGER, conditions=POSTERIORS),
    "hmm": Recipe(
        steps=4000,
        flow=None,
        graph=True,
        summary=32,
        layers=6,
        weight_decay=0.01,
        conditions=ANY,
    ),
    "normal": Recipe(simulations=100_000, flow=None, conditions=FEW_GIVEN),
}
"""Of tasks that want one: chosen by the loss of simulations not trained on, but for normal."""


def recipe(task: str) -> Recipe:
    """Of the task of this name."""
    return RECIPES.get(task, Recipe())
