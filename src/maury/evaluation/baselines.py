"""Posteriors without a network: nested sampling, and importance weights for a network's draws.

Both know the prior's density and the likelihood that the simulator implies, and nothing of the
network, so they say how far a network's answers are from the exact ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maury.errors import MauryError
from maury.evaluation.side_by_side import Lane, run_side_by_side
from maury.evaluation.unit_cube import from_unit_cube
from maury.inference.likelihood import log_likelihood
from maury.inference.posterior import Posterior
from maury.measurements import Measurements
from maury.simulator import Simulator

__all__ = ["WeightedDraws", "importance_sampling", "log_target", "nested_sampling"]

THREADS = 16
"""Points that each star's sampler proposes at a time; a few of them go unused."""


@dataclass(frozen=True)
class WeightedDraws:
    """Draws of one star's posterior, each with a weight.

    Parameters
    ----------
    values : ndarray (M, D)
        Physical units.
    weight : ndarray (M,)
        Summing to one.
    log_evidence : float
        Log of the integral of prior times likelihood.
    calls : int
        Evaluations of the likelihood that it took.
    """

    values: NDArray[np.float64]
    weight: NDArray[np.float64]
    log_evidence: float
    calls: int

    @property
    def effective(self) -> float:
        """Effective number of draws (Kish 1965): 1 / sum of squared weights."""
        return float(1 / np.sum(self.weight**2))


def log_target(simulator: Simulator, observations: Measurements, theta: Tensor) -> Tensor:
    """Log of prior times likelihood, (N,) or (K, N), at physical theta (N, D) or (K, N, D).

    -inf where the prior or the spectral library has no star.
    """
    prior = simulator.prior.log_prob(theta.reshape(-1, theta.shape[-1])).reshape(theta.shape[:-1])
    return prior + log_likelihood(simulator, observations, theta)


def importance_sampling(
    posterior: Posterior,
    observations: Measurements,
    *,
    draws: int = 4000,
    seed: int = 0,
    simulator: Simulator | None = None,
) -> list[WeightedDraws]:
    """Weigh a network's draws so that they follow the exact posterior.

    The weight is prior times likelihood over the network's density. A network that is exact has
    equal weights; the effective number of draws is what remains of them otherwise.

    Parameters
    ----------
    posterior : Posterior
    observations : Measurements
        N stars, on the posterior's channels.
    draws, seed : int
    simulator : Simulator, optional
        Of the posterior's own configuration by default.

    Returns
    -------
    list of WeightedDraws, length N
    """
    simulator = simulator or Simulator(posterior.config.simulator)
    theta = posterior.sample(observations, draws, seed=seed).values
    density = posterior.log_prob(observations, theta).double()
    log_weight = (log_target(simulator, observations, theta).double() - density).numpy()
    result = []
    for star in range(len(observations)):
        top = log_weight[:, star].max()
        weight = np.exp(log_weight[:, star] - top)
        evidence = float(top + np.log(weight.mean()))
        values = theta[:, star].double().numpy()
        result.append(WeightedDraws(values, weight / weight.sum(), evidence, draws))
    return result


def nested_sampling(
    simulator: Simulator,
    observations: Measurements,
    *,
    live_points: int = 250,
    tolerance: float = 0.1,
    seed: int = 0,
    method: str = "rwalk",
) -> list[WeightedDraws]:
    """Sample exact posteriors with dynesty (Speagle 2020, MNRAS 493, 3132).

    dynesty draws evenly from a unit cube (see `from_unit_cube`). The prior's density and the
    Jacobian multiply the likelihood instead, so any population will do. Stars run side by side and
    share each call of the likelihood, which costs little more for twenty stars than for one.

    Parameters
    ----------
    simulator : Simulator
    observations : Measurements
        N stars.
    live_points : int
    tolerance : float
        Stop when what remains would raise the log evidence by less.
    seed : int
    method : str
        dynesty's way to propose points: ``"rwalk"``, ``"rslice"``, ``"unif"``, ...

    Returns
    -------
    list of WeightedDraws, length N

    Raises
    ------
    MauryError
        If dynesty is not installed.
    """
    dynesty = _dynesty()

    def sampler(star: int) -> Callable[[Lane], WeightedDraws]:
        def run(lane: Lane) -> WeightedDraws:
            nested = dynesty.NestedSampler(
                lane.ask,
                np.copy,
                len(simulator.parameters),
                nlive=live_points,
                sample=method,
                rstate=np.random.default_rng([seed, star]),
                pool=lane,
                queue_size=lane.size,
            )
            nested.run_nested(dlogz=tolerance, print_progress=False)
            return _weighted(simulator, nested.results)

        return run

    def density(samplers: list[int], points: list[NDArray[np.float64]]) -> list[float]:
        theta, jacobian = from_unit_cube(simulator, torch.as_tensor(np.stack(points)))
        target = log_target(simulator, observations[samplers].compact(), theta) + jacobian
        return target.tolist()

    samplers = [sampler(star) for star in range(len(observations))]
    return run_side_by_side(samplers, density, threads=THREADS)


def _weighted(simulator: Simulator, results: Any) -> WeightedDraws:
    """What dynesty found, in physical units."""
    weight = np.exp(results.logwt - results.logwt.max())
    values, _ = from_unit_cube(simulator, torch.as_tensor(results.samples))
    return WeightedDraws(
        values=values.double().numpy(),
        weight=weight / weight.sum(),
        log_evidence=float(results.logz[-1]),
        calls=int(np.sum(results.ncall)),
    )


def _dynesty() -> Any:
    try:
        import dynesty
    except ImportError:
        raise MauryError(
            "dynesty is not installed: install it by 'pip install maury[baselines]'"
        ) from None
    return dynesty
