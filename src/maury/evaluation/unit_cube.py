"""From the unit cube, in which samplers without a network move, to stars.

Stars that are free of isochrones lie between the bounds of each parameter. Stars of the Galaxy lie
within a per cent or so of isochrones, a sheet that a sampler would hardly find in (mass, log age,
Teff, log g). For them the cube's axes are [Fe/H], log age, the phase of life, the offsets in ln
Teff and ln R from the isochrone, q, ln A_V, R_V and ln distance.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from maury.parameters import PARAMETERS
from maury.simulator import Simulator
from maury.sky.isochrones import overall_metallicity
from maury.sky.populations.dust import FIELD_DUST
from maury.sky.populations.surveyed import SurveyedGalaxy
from maury.sky.populations.surveyed.population import isochrone_scatter
from maury.sun import log_gravity

__all__ = ["from_unit_cube"]

EDGE = 1e-12
A_V = (1.01e-4, 19.99)
"""Between which the Galaxy's dust lies, mag."""


def from_unit_cube(simulator: Simulator, cube: Tensor) -> tuple[Tensor, Tensor]:
    """Stars at positions in the unit cube.

    Parameters
    ----------
    simulator : Simulator
    cube : Tensor (P, D)
        Between 0 and 1.

    Returns
    -------
    theta : Tensor (P, D) float32
        Physical units, in the order of ``simulator.parameters``.
    log_jacobian : Tensor (P,) float64
        log |d theta / d cube|: a density of theta times its exponential is one of the cube. -inf
        where the isochrones know no star; theta means nothing there.
    """
    cube = cube.double().clamp(EDGE, 1 - EDGE)
    prior = simulator.prior
    if isinstance(prior, SurveyedGalaxy):
        theta, log_jacobian = _galactic(prior, cube)
    else:
        theta, log_jacobian = _free(simulator.parameters, cube)
    return theta.float().nan_to_num(1.0), log_jacobian


def _free(parameters: tuple[str, ...], cube: Tensor) -> tuple[Tensor, Tensor]:
    """Even between the bounds of each parameter (in the logarithm for Teff and A_V)."""
    z = torch.logit(cube)
    columns = [PARAMETERS[name] for name in parameters]
    theta = torch.stack([p.to_physical(z[:, i]) for i, p in enumerate(columns)], dim=-1)
    bent = sum(p.log_abs_det(theta[:, i]) for i, p in enumerate(columns))
    return theta, -torch.log(cube * (1 - cube)).sum(-1) - bent


def _galactic(prior: SurveyedGalaxy, cube: Tensor) -> tuple[Tensor, Tensor]:
    u = dict(zip(prior.parameters, cube.unbind(-1), strict=True))
    cells, isochrones = prior.cells, prior.isochrones
    mh, mh_range = _even(u["mh"], float(cells.mh.min()), float(cells.mh.max()))
    log_age, age_range = _even(u["log_age"], float(cells.log_age.min()), float(cells.log_age.max()))
    # Even over the nodes of phase, which lie close where a star changes fast.
    place, places = _even(u["mass"], 0.0, len(isochrones.eep) - 1.0)
    node = place.floor().long()
    nodes = isochrones.eep.double()
    overall = overall_metallicity(mh)
    star = isochrones.at(overall, log_age, torch.lerp(nodes[node], nodes[node + 1], place - node))
    low, high = (isochrones.at(overall, log_age, nodes[node + i]).mass for i in (0, 1))
    # Between two nodes log mass is linear in phase.
    mass_slope = star.mass * torch.log(high / low) * places
    width = isochrone_scatter(star.mass)
    off = torch.special.ndtri(torch.stack([u["teff"], u["logg"]]))
    off_slope = width * math.sqrt(2 * math.pi) * torch.exp(0.5 * off**2)
    teff = star.teff * torch.exp(width[0] * off[0])
    radius = star.radius * torch.exp(width[1] * off[1])
    a_v, a_v_range = _even(u["a_v"], *(math.log(edge) for edge in A_V))
    r_v, r_v_range = _even(u["r_v"], FIELD_DUST.r_v_lower, FIELD_DUST.r_v_upper)
    ends = (float(prior.places.edges[i]) * math.log(10.0) for i in (0, -1))
    distance, distance_range = _even(u["distance"], *ends)
    found = {
        "teff": teff,
        "logg": log_gravity(star.mass, radius),
        "mh": mh,
        "a_v": torch.exp(a_v),
        "r_v": r_v,
        "mass": star.mass,
        "log_age": log_age,
        "q": u["q"],
        "distance": torch.exp(distance),
    }
    theta = torch.stack([found[name] for name in prior.parameters], -1)
    # In the order (mh, log_age, phase, offsets, ...) the matrix of derivatives is triangular.
    ranges = mh_range * age_range * a_v_range * r_v_range * distance_range
    log_jacobian = (
        math.log(ranges * 2 / math.log(10.0))  # log g = ... - 2 log10 R
        + torch.log(mass_slope * teff * off_slope.prod(0))
        + a_v
        + distance
    )
    return theta, log_jacobian.nan_to_num(-math.inf, neginf=-math.inf)


def _even(u: Tensor, low: float, high: float) -> tuple[Tensor, float]:
    """Positions between two ends, and how far apart these are."""
    return low + (high - low) * u, high - low
