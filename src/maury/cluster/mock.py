"""Simulated tables of candidates with known answers, to test what `infer` says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maury.cluster.model_errors import (
    BAND_RAMPS,
    TEMPERATURE_ERRORS,
    band_shapes,
    own_temperature,
    temperature_shapes,
)
from maury.errors import MauryError
from maury.instruments.astrometric import typical_error
from maury.measurements import Measurements
from maury.sky.isochrones import Isochrones, load_isochrones
from maury.sky.photometry import MagnitudeTable, cached_table
from maury.sky.populations.brightness import apparent_magnitudes
from maury.sky.populations.cluster import Cluster
from maury.sky.populations.imf import Kroupa
from maury.sky.populations.starlight import starlight
from maury.sky.populations.systems import Systems

Array = NDArray[np.float64]

__all__ = ["GAIA_2MASS_WISE", "MockCluster", "mock_cluster"]

GAIA_2MASS_WISE = (
    *(f"GAIA/GAIA3.{b}" for b in ("G", "Gbp", "Grp")),
    *(f"2MASS/2MASS.{b}" for b in ("J", "H", "Ks")),
    *(f"WISE/WISE.{b}" for b in ("W1", "W2")),
)


@dataclass(frozen=True)
class MockCluster:
    """Candidates and the truth about them.

    Parameters
    ----------
    measurements : Measurements
        N stars.
    member : array (N,) of bool
    theta : dict
        ``log_age, mh, distance, a_v, a_v_spread``.
    zero_point : array (C,)
        What was added to each channel.
    """

    measurements: Measurements
    member: NDArray[np.bool_]
    theta: dict[str, float]
    zero_point: Array


def mock_cluster(
    theta: Tensor,
    *,
    seed: int = 0,
    bands: tuple[str, ...] = GAIA_2MASS_WISE,
    zero_point: float = 0.01,
    parallax_zero_point: float = 0.01,
    scatter: float = 0.02,
    non_members: float = 0.05,
    outliers: float = 0.02,
    models: float = 0.0,
    faintest: float = 18.0,
    isochrones: Isochrones | None = None,
    library: str = "phoenix-kurucz",
) -> MockCluster:
    """Simulate the candidates of one cluster.

    Parameters
    ----------
    theta : Tensor (6,)
        As `maury.sky.populations.cluster.Cluster.sample` takes it.
    seed : int
    bands : tuple of str
        The first decides what is seen.
    zero_point, parallax_zero_point : float
        Width (mag, mas) of normal errors that all stars share, one in each band and the parallax.
    scatter : float
        Error (mag) of each star in each band beyond the stated one, which is 0.01 for bright stars.
    non_members : float
        Share of field stars: of any age, within a factor of about 1.3 of the cluster's distance.
    outliers : float
        Share of measurements that are off by 0.35 mag (1 sigma).
    models : float
        Multiplies the errors of models (`maury.cluster.model_errors`), which are drawn for the
        cluster: at 0 the stars are as the models have them.
    faintest : float
        Apparent magnitude in the first band up to which stars are listed.

    Raises
    ------
    MauryError
        If fewer than five members can be seen.
    """
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    isochrones = isochrones if isochrones is not None else load_isochrones()
    table = cached_table(library, bands)
    systems = Cluster(isochrones).sample(theta, generator)
    log_age, mh, _, distance, a_v, spread = theta.tolist()
    warmed = _warmed(systems, models, rng)
    with torch.no_grad():
        members = apparent_magnitudes(table, warmed)
    members += _band_errors(systems.teff, len(bands), models, rng)
    seen = _seen(members, systems.distance, faintest)
    if seen[0].shape[0] < 5:
        raise MauryError(f"only {seen[0].shape[0]} members are brighter than {faintest}")
    wanted = max(round(seen[0].shape[0] * non_members / (1 - non_members)), 0)
    others = _others(isochrones, table, distance, a_v, faintest, wanted, rng)
    magnitudes = np.concatenate([seen[0], others[0]])
    distances = np.concatenate([seen[1], others[1]])
    count = len(magnitudes)
    limits = np.array([19.5 if "GAIA" in b else 16.0 for b in bands])
    sigma = np.hypot(0.01, 0.15 * 10 ** (0.3 * (magnitudes - limits)))
    error = np.hypot(sigma, scatter) * rng.standard_normal(magnitudes.shape)
    error += (rng.uniform(size=error.shape) < outliers) * rng.normal(0, 0.35, error.shape)
    shift = np.append(
        rng.normal(0, zero_point, len(bands)) if zero_point else np.zeros(len(bands)),
        rng.normal(0, parallax_zero_point) if parallax_zero_point else 0.0,
    )
    parallax_sigma = typical_error(torch.as_tensor(magnitudes[:, 0])).numpy()
    parallax = 1000 / distances + parallax_sigma * rng.standard_normal(count) + shift[-1]
    measured = Measurements.from_dense(
        [*bands, "parallax"],
        np.column_stack([magnitudes + error + shift[:-1], parallax]),
        np.column_stack([sigma, parallax_sigma]),
    )
    truth = {"log_age": log_age, "mh": mh, "distance": distance}
    truth |= {"a_v": a_v, "a_v_spread": spread}
    return MockCluster(measured, np.arange(count) < len(seen[0]), truth, shift)


def _warmed(systems: Systems, models: float, rng: np.random.Generator) -> Systems:
    """The same stars at other temperatures, of the same luminosities."""
    widths = models * np.array(list(TEMPERATURE_ERRORS.values()))
    height = torch.as_tensor(widths * rng.standard_normal(len(widths))).float()

    def change(teff: Tensor, logg: Tensor) -> Tensor:
        alone = torch.as_tensor(rng.standard_normal(len(teff))).float()
        return temperature_shapes(teff, logg) @ height + models * own_temperature(teff) * alone

    first = change(systems.teff, systems.logg)
    second = change(systems.companion_teff, systems.companion_logg)
    return replace(
        systems,
        teff=systems.teff * first.exp(),
        logg=systems.logg + 4 * first / math.log(10.0),
        radius=systems.radius * (-2 * first).exp(),
        companion_teff=systems.companion_teff * second.exp(),
        companion_logg=systems.companion_logg + 4 * second / math.log(10.0),
        companion_radius=systems.companion_radius * (-2 * second).exp(),
    )


def _band_errors(teff: Tensor, bands: int, models: float, rng: np.random.Generator) -> Tensor:
    """Errors (N, B) of the models' magnitudes at temperatures (N,)."""
    widths = models * np.array([width for _, width in BAND_RAMPS.values()])
    height = widths[:, None] * rng.standard_normal((len(widths), bands))
    return band_shapes(teff) @ torch.as_tensor(height).float()


def _seen(magnitudes: Tensor, distance: Tensor, faintest: float) -> tuple[Array, Array]:
    """Magnitudes (n, B) and distances (n,) of the stars that are bright enough."""
    good = torch.isfinite(magnitudes).all(1) & (magnitudes[:, 0] < faintest)
    return magnitudes[good].double().numpy(), distance[good].double().numpy()


def _others(
    isochrones: Isochrones,
    table: MagnitudeTable,
    distance: float,
    a_v: float,
    faintest: float,
    wanted: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """As `_seen`, of so many field stars."""
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    count = 200 * wanted + 1000
    mass = Kroupa(0.3, 5.0).sample(count, generator).float()
    age = torch.as_tensor(rng.uniform(8.0, 10.1, count)).float()
    mh = torch.as_tensor(rng.normal(-0.1, 0.25, count).clip(-1, 0.45)).float()
    light = starlight(isochrones, mass=mass, log_age=age, mh=mh, q=torch.zeros(count))
    far = torch.as_tensor(distance * np.exp(rng.normal(0, 0.25, count))).float()
    dust = torch.as_tensor(rng.exponential(a_v + 0.05, count)).float()
    star = torch.stack([light["teff"], light["logg"], mh, dust, torch.full((count,), 3.1)], -1)
    with torch.no_grad():
        magnitudes = table(star)[0] - 5 * torch.log10(light["radius"])[:, None]
    seen = _seen(magnitudes + 5 * torch.log10(far / 10)[:, None], far, faintest)
    return seen[0][:wanted], seen[1][:wanted]
