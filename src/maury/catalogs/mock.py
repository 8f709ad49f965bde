"""Simulated stars as a catalogue, with their true parameters as labels."""

from __future__ import annotations

import torch
from astropy.table import Table

from maury.columns import PRIOR
from maury.simulator import Simulator, SimulatorConfig

__all__ = ["mock_catalog"]


def mock_catalog(
    config: SimulatorConfig, count: int, *, seed: int = 0, knowledge: bool = True
) -> Table:
    """Measurements of ``count`` stars (columns by SVO id) and the truth in ``ref_<name>``.

    Without ``knowledge`` the columns ``prior_<name>`` are left out: surveys have no such columns,
    and sharp knowledge takes several times as many draws, which timings should not count.
    """
    generator = torch.Generator().manual_seed(seed)
    simulator = Simulator(config)
    stars = simulator.draw(count, generator)
    table = stars.measurements.to_table()
    if not knowledge:
        table.remove_columns([name for name in table.colnames if name.startswith(PRIOR)])
    for i, name in enumerate(simulator.parameters):
        table[f"ref_{name}"] = stars.theta[:, i].numpy()
    return table
