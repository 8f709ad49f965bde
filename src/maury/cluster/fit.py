"""The posterior of a cluster's age, metallicity, distance and dust from its candidate members."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp

from maury.cluster.candidates import Candidates, read_candidates
from maury.cluster.coordinates import Coordinates, parallax_distance
from maury.cluster.field import FieldModel
from maury.cluster.likelihood import ClusterLikelihood, Evaluation, Noise
from maury.cluster.posterior import ClusterPosterior, Diagnostics
from maury.cluster.sampling import Density, Run, adapted, climbed, effective_size, sample_importance
from maury.cluster.sequence import StellarModel
from maury.sky.isochrones import Isochrones, load_isochrones
from maury.sky.photometry import cached_table
from maury.sky.populations.cluster_prior import ClusterPrior

__all__ = ["infer"]

Array = NDArray[np.float64]
Start = tuple[Array, Density]

_PILOT_STARS = 40
_PILOT_BLURS = (1.0, 0.3, 0.1)
"""Errors, mag, added to all measurements in turn: the way from afar is found by the softest target,
since the sharp one is many thousand e-folds high and its mode a hundredth of the prior wide."""
_RUNS = 2
_APPROACHED = 25.0
_CLIMBS, _CLIMB = 2, 80
"""How often outliers are found and the top is climbed to in turn, and with how many evaluations."""

_ROUND = 30
"""Evaluations of a round of samples while searching; twice as many of one of those that count."""

_EDGE = 1.0
"""Stars less than so many mag brighter than the models' least massive one are left out. There the
models end, not the cluster: an age that moves the end past a star would gain by it. Pairs of the
least massive stars reach up by 0.75 mag, and the end fades with age."""

_CHUNK = 400
"""Stars at a time when the memberships of all rows are computed."""


def infer(
    table: Any,
    *,
    seed: int = 0,
    columns: Mapping[str, Any] | None = None,
    membership: ArrayLike | None = None,
    bands: Sequence[str] | None = None,
    prior: ClusterPrior | None = None,
    noise: Noise | None = None,
    isochrones: Isochrones | None = None,
    library: str = "phoenix-kurucz",
    stars: int = 100,
    draws: int = 1000,
    effective: float = 100.0,
    evaluations: int = 600,
) -> ClusterPosterior:
    """Infer theta_C from a table of candidate members.

    The stars' exact marginal likelihoods are multiplied, never approximate posteriors, with errors
    that stars share integrated out and the prior counted once; see `maury.cluster.likelihood`. From
    the whole prior the cluster is approached by errors less and less blurred, then climbed to. Two
    runs of adaptive importance sampling, apart but for where they begin, must agree
    (`ClusterPosterior.diagnostics`).

    Parameters
    ----------
    table : Measurements, astropy Table, pandas DataFrame or pyarrow Table
        Photometry in any bands and parallaxes, as `Measurements.from_table` reads them; parallaxes
        are corrected for their zero point there.
    seed : int
    columns : mapping, optional
        For columns with names of your own; see `Measurements.from_table`.
    membership : array (N,), optional
        Probability of each row to be a member, from positions and motions; NaN where unknown.
    bands : sequence of str, optional
        Use only these; by default all between 0.3 and 5 micron.
    prior : ClusterPrior, optional
        Over theta_C; by default flat in log age.
    noise : Noise, optional
        Floors, zero points, outliers and non-members.
    isochrones : Isochrones, optional
        MIST by default. [Fe/H] is relative to today's Sun, whose metals have sunk since birth
        (`maury.sky.isochrones.observed`).
    library : str
        Spectra.
    stars : int
        Fit no more than so many, chosen by `Candidates.spread_over_magnitudes` from those that
        are not about to leave the models at the faint end. Memberships are given to all rows.
    draws : int
    effective : float
        Effective samples to reach in each run.
    evaluations : int
        Likelihoods computed in each run at most.

    Raises
    ------
    MauryError
        Where the table holds too little; see `read_candidates`.
    """
    everyone = read_candidates(table, columns=columns, membership=membership, bands=bands)
    chosen = everyone.spread_over_magnitudes(stars)
    magnitudes = cached_table(library, everyone.bands)
    isochrones = isochrones if isochrones is not None else load_isochrones()
    model = StellarModel(isochrones, magnitudes)
    field = FieldModel(isochrones, magnitudes)
    noise = noise if noise is not None else Noise()
    prior = prior if prior is not None else ClusterPrior()
    coordinates = Coordinates(prior, parallax_distance(chosen, prior))
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(_RUNS + 3)]

    few = chosen.spread_over_magnitudes(_PILOT_STARS)
    coarse = StellarModel(isochrones, magnitudes, coarse=True)
    soft = _Target(ClusterLikelihood(few, coarse, field, noise), coordinates)
    pilot = _pilot(soft, evaluations, streams[0])
    log_age, mh, distance, a_v, _ = coordinates.theta(pilot.best).tolist()
    limit = model.faintest(log_age, mh, a_v, band=everyone.reference) - _EDGE
    bright = everyone.brighter_than(limit + 5 * math.log10(distance / 10))
    likelihood = ClusterLikelihood(bright.spread_over_magnitudes(stars), model, field, noise)
    sharp = _Target(likelihood, coordinates)
    approach = _approach(sharp, pilot, evaluations // 2, streams[1])
    runs, targets = [], []
    for rng in streams[2 : 2 + _RUNS]:
        target = _Target(likelihood, coordinates)
        runs.append(
            sample_importance(
                target,
                adapted(approach, rng, 2 * _ROUND),
                rng=rng,
                per_round=2 * _ROUND,
                effective=effective,
                most=evaluations,
            )
        )
        targets.append(target)
    spent = len(soft.evaluations) + len(sharp.evaluations)
    found = [e for target in targets for e in target.evaluations]
    return _gather(everyone, likelihood, coordinates, runs, found, spent, streams[-1], draws)


class _Target:
    """Log posterior over z, up to a constant; remembers what it evaluated."""

    def __init__(self, likelihood: ClusterLikelihood, coordinates: Coordinates) -> None:
        self.likelihood, self.coordinates = likelihood, coordinates
        self.evaluations: list[Evaluation | None] = []

    def __call__(self, z: Array) -> float:
        prior = float(self.coordinates.log_prior(z)[0])
        found = self.likelihood(*self.coordinates.theta(z)) if np.isfinite(prior) else None
        self.evaluations.append(found)
        return -np.inf if found is None else prior + found.log_likelihood


def _pilot(target: _Target, evaluations: int, rng: np.random.Generator) -> Run:
    """From the whole prior, by errors that are less and less blurred, to about the cluster."""
    coordinates = target.coordinates
    start: Start = (
        coordinates.broad_sample(evaluations // 6, rng),
        coordinates.broad_log_density,
    )
    for blur in _PILOT_BLURS:
        target.likelihood.blurred(blur)
        found = sample_importance(
            target,
            start,
            rng=rng,
            per_round=_ROUND,
            effective=_APPROACHED,
            most=max(evaluations // 4, _ROUND),
        )
        start = adapted(found, rng, _ROUND)
    return found


def _approach(target: _Target, pilot: Run, most: int, rng: np.random.Generator) -> Run:
    """Find outliers at the top of the target, and first samples of what is about it."""
    path = pilot
    for _ in range(_CLIMBS):
        target.likelihood.find_outliers(*target.coordinates.theta(path.best))
        path = climbed(target, path, most=_CLIMB)
    return sample_importance(
        target,
        adapted(path, rng, _ROUND),
        rng=rng,
        per_round=_ROUND,
        effective=_APPROACHED,
        most=most,
    )


def _gather(
    everyone: Candidates,
    likelihood: ClusterLikelihood,
    coordinates: Coordinates,
    runs: list[Run],
    found: list[Evaluation | None],
    spent: int,
    rng: np.random.Generator,
    draws: int,
) -> ClusterPosterior:
    """The posterior of both runs, weighted by their evidences as samples of one would be."""
    z = np.concatenate([run.z for run in runs])
    log_weight = np.concatenate([run.log_weight + run.log_evidence for run in runs])
    log_weight -= logsumexp(log_weight)
    weight = np.exp(log_weight)
    theta = coordinates.theta(z)
    ladder = (np.arange(draws) + rng.uniform()) / draws
    order = np.minimum(np.searchsorted(np.cumsum(weight), ladder), len(z) - 1)

    alive = [i for i in np.flatnonzero(weight > 1e-8) if found[i] is not None]
    share = weight[alive] / weight[alive].sum()
    evaluations = [e for i in alive if (e := found[i]) is not None]
    offset = np.stack([e.offset for e in evaluations])
    mean = share @ offset
    inner = share @ np.stack([e.offset_sigma for e in evaluations]) ** 2
    sigma = np.sqrt(share @ (offset - mean) ** 2 + inner)

    stars = likelihood.stars
    membership = np.full(everyone.rows, np.nan)
    used = np.zeros(everyone.rows, dtype=bool)
    used[stars.row] = True
    left = everyone.take(~used[everyone.row])
    some = [int(i) for i in rng.choice(alive, 6, p=share)]
    membership[left.row] = _of_others(left, likelihood, theta[some], [found[i] for i in some])
    membership[stars.row] = share @ np.stack([e.member for e in evaluations])
    return ClusterPosterior(
        draws=theta[order],
        membership=membership,
        used=used,
        offsets=_offset_table(likelihood, mean, sigma),
        non_members=(float(expit(mean[-1])), float(sigma[-1] * expit(mean[-1]) * expit(-mean[-1]))),
        outliers=_outlier_table(stars, likelihood.outlier),
        diagnostics=_diagnose(runs, coordinates, effective_size(log_weight), len(found) + spent),
        stars=stars,
        model=likelihood.model,
    )


def _of_others(
    left: Candidates,
    likelihood: ClusterLikelihood,
    theta: Array,
    found: list[Evaluation | None],
) -> Array:
    """Memberships (N,) of stars that were not fitted, over some clusters of the posterior."""
    parts = []
    for start in range(0, len(left), _CHUNK):
        part = left.take(np.arange(start, min(start + _CHUNK, len(left))))
        other = ClusterLikelihood(part, likelihood.model, likelihood.field, likelihood.noise)
        pairs = [(t, e.offset) for t, e in zip(theta, found, strict=True) if e is not None]
        first, known = pairs[0]
        log_age, mh, distance, a_v, spread = first.tolist()
        other.find_outliers(log_age, mh, distance, a_v, spread, known=known)
        parts.append(np.nanmean([other.members(tuple(t), x) for t, x in pairs], axis=0))
    return np.concatenate(parts) if parts else np.zeros(0)


def _diagnose(
    runs: list[Run], coordinates: Coordinates, effective: float, evaluations: int
) -> Diagnostics:
    means, deviations = [], []
    for run in runs:
        weight, theta = np.exp(run.log_weight), coordinates.theta(run.z)
        mean = weight @ theta
        means.append(mean)
        deviations.append(np.sqrt(weight @ (theta - mean) ** 2))
    pooled = np.sqrt(np.mean(np.square(deviations), axis=0))
    return Diagnostics(
        effective=effective,
        evaluations=evaluations,
        disagreement=float(np.max(np.ptp(means, axis=0) / np.maximum(pooled, 1e-12))),
        evidence_difference=float(np.ptp([run.log_evidence for run in runs])),
    )


def _offset_table(likelihood: ClusterLikelihood, mean: Array, sigma: Array) -> Table:
    names = likelihood.errors
    return Table(
        {
            "channel": [channel for channel, _ in names],
            "kind": [kind for _, kind in names],
            "mean": mean[:-1],
            "std": sigma[:-1],
            "prior_std": likelihood.prior_sigma[:-1],
        }
    )


def _outlier_table(stars: Candidates, outlier: Array) -> Table:
    star, channel = np.nonzero(outlier)
    return Table({"row": stars.row[star], "channel": [stars.channels[c] for c in channel]})
