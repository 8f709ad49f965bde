"""Public tasks with reference posteriors, by which a joint model of parameters and data is judged.

Four are of Lueckmann et al. 2021 (AISTATS, arXiv 2101.04653); observations and reference posteriors
come from their package, whose own dependencies are not needed:

    pip install "scikit-learn>=1.4"
    pip install --no-deps sbibm==1.1.0

Tree and HMM are of Gloeckler et al. 2024 (ICML, arXiv 2404.09636), with arbitrary conditionals.
"""

from __future__ import annotations

from collections.abc import Callable

from joint_tasks.structured import StructuredTask, hmm, tree
from joint_tasks.tasks import Case, Task, gaussian_linear, gaussian_mixture, slcp, two_moons

__all__ = [
    "TASKS",
    "Case",
    "StructuredTask",
    "Task",
    "gaussian_linear",
    "gaussian_mixture",
    "hmm",
    "slcp",
    "tree",
    "two_moons",
]

TASKS: dict[str, Callable[[], Task]] = {
    "two_moons": two_moons,
    "gaussian_mixture": gaussian_mixture,
    "gaussian_linear": gaussian_linear,
    "slcp": slcp,
    "tree": tree,
    "hmm": hmm,
}
