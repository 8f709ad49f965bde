"""The marginal likelihood of a cluster: every star summed over where it may be on the isochrone.

A network's posterior of each star could be multiplied with the others', but a product of hundreds
of approximate densities amplifies whatever bias they share; so none is used here. For a cluster of
given age, metallicity, distance and dust, the density of one star's measurements is

    L_n = (1 - f) sum_j w_j int_0^1 dt N(y_n; M_j + t D_j + G_j x, C_nj) / p(G_n) + f F_n / p_F(G_n)

over pieces j of the isochrones of single stars and pairs (`sequence`). C is diagonal (errors and
each star's own floor) but for three normal latents of each star: its A_V (differential reddening),
its place along the line of sight, and its own temperature. The parallax is one more channel. F is
the density of non-members (`field`).

Everything is conditional on the magnitude in one band: how many stars of which brightness a table
lists depends on its selection, completeness, and mass segregation, which nobody models here.

x are errors that all stars share: a zero point of each band, N(0, zero point sigma), one of the
parallax, those of the models, in temperature and in each band (`model_errors`); and the logit of
the share f of non-members. They enter linearly, and hundreds of stars make their posterior close to
normal at any theta, so they are integrated out by Laplace's method, with the exact Hessian of the
mixture (Louis 1982, J. R. Stat. Soc. B 44, 226).

Bad measurements (blends, saturation, variability) are the outliers of `instruments.photometric`'s
mixture: which ones they are is decided once, at the best-fitting cluster, by the same odds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import log_ndtr

from maury.cluster.candidates import Candidates
from maury.cluster.field import FieldModel
from maury.cluster.model_errors import BAND_RAMPS, TEMPERATURE_ERRORS
from maury.cluster.sequence import Sequence, StellarModel
from maury.sky.bands import band

__all__ = ["ClusterLikelihood", "Evaluation", "Noise"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Errors beyond those that the catalogues state.

    Parameters
    ----------
    star_floor : float
        Error (mag) that each star has of its own in each band: spots, blends, epochs, activity.
    zero_point : float, optional
        Width (mag) of the zero points' normal prior; by default each band's own floor.
    parallax_zero_point : float
        Width (mas) of what the parallaxes' zero point leaves: Lindegren et al. 2021 (A&A 649, A4)
        find 0.005 to 0.01, and covariances on the scale of a cluster add as much.
    models : float
        Multiplies the widths of all errors of models (`maury.cluster.model_errors`): 1 for stars of
        the sky, 0 for simulated ones, whose models are true.
    outlier_fraction, outlier_sigma, wild_fraction, wild_sigma : float
        As in `PhotometricConfig`.
    depth : float
        Standard deviation (pc) of the stars' distances: half-mass radii of open clusters near the
        Sun are 2 to 5 pc (Piskunov et al. 2007, A&A 468, 151).
    parallax_ratio : float
        True over stated error of outlying parallaxes, as in `AstrometricConfig`.
    field_fraction : float
        Where the prior of the share of non-members is centred; its logit has a width of 1.
    """

    star_floor: float = 0.02
    zero_point: float | None = None
    parallax_zero_point: float = 0.01
    models: float = 1.0
    outlier_fraction: float = 0.02
    outlier_sigma: float = 0.35
    wild_fraction: float = 0.004
    wild_sigma: float = 2.0
    depth: float = 2.5
    parallax_ratio: float = 4.0
    field_fraction: float = 0.1


@dataclass(frozen=True)
class Evaluation:
    """What one theta_C gives.

    Parameters
    ----------
    log_likelihood : float
        Shared errors integrated out.
    offset, offset_sigma : array (D,)
        Their posterior at this theta, in the order of `ClusterLikelihood.errors`.
    member : array (N,)
        Probability that a star is a member.
    """

    log_likelihood: float
    offset: Array
    offset_sigma: Array
    member: Array


_NEAREST = 24
"""Pieces of the isochrones that each star is summed over: those that fit it best."""

_NEGLIGIBLE = 1e-4
"""Share of a star below which a piece is left out where shared errors are found."""

_STEPS, _GAIN = 6, 0.2
"""Newton's steps towards the shared errors: how many at most, and the gain in log density below
which the next is the last."""

_EMPTY = 1e-3
"""Density of model stars per mag below which a magnitude counts as empty of members."""

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class ClusterLikelihood:
    """Log marginal likelihood of theta_C given the candidates.

    Parameters
    ----------
    stars : Candidates
    model : StellarModel
        In the candidates' bands.
    field : FieldModel
    noise : Noise
    """

    def __init__(
        self, stars: Candidates, model: StellarModel, field: FieldModel, noise: Noise
    ) -> None:
        self.stars, self.model, self.field, self.noise = stars, model, field, noise
        self.ramps = len(BAND_RAMPS) if noise.models else 0
        self.temperatures = len(TEMPERATURE_ERRORS) if noise.models else 0
        zero = [
            noise.zero_point if noise.zero_point is not None else band(name).floor
            for name in stars.bands
        ]
        widths = [*zero, noise.parallax_zero_point]
        if noise.models:
            widths += [noise.models * w for _, w in BAND_RAMPS.values() for _ in stars.bands]
            widths += [noise.models * w for w in TEMPERATURE_ERRORS.values()]
        widths.append(1.0)
        self.prior_sigma = np.array(widths)
        self.prior_mean = np.zeros(len(widths))
        self.prior_mean[-1] = math.log(noise.field_fraction / (1 - noise.field_fraction))
        given = np.nan_to_num(stars.membership, nan=1 - noise.field_fraction).clip(0.02, 0.98)
        self._field_logit = np.log((1 - given) / given)
        self.outlier = np.zeros_like(stars.value)
        self._blur = 0.0
        self._begin = self.prior_mean
        self._set_variance()

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Channel and kind of each shared error but the last, which is the logit of f."""
        names = [(channel, "zero point") for channel in self.stars.channels]
        if self.noise.models:
            names += [(band, kind) for kind in BAND_RAMPS for band in self.stars.bands]
            names += [("ln Teff", kind) for kind in TEMPERATURE_ERRORS]
        return names

    def _set_variance(self) -> None:
        """Variances (N, C) with what outliers add, and the non-members' density that follows."""
        floor = np.full(len(self.stars.channels), self.noise.star_floor**2 + self._blur**2)
        floor[-1] = 0.0
        honest = self.stars.sigma**2 + floor
        self.variance = honest + self.outlier
        self.weight = np.where(np.isfinite(self.variance), 1.0 / self.variance, 0.0)
        flagged = self.outlier > 0
        self._log_odds = flagged.sum(1) * math.log(self.noise.outlier_fraction)
        # A non-member needs no outliers to be explained, though it may have them.
        self._field = np.logaddexp(
            self.field.log_density(self.stars, honest),
            self.field.log_density(self.stars, self.variance) + self._log_odds,
        )

    # -- one theta ------------------------------------------------------------------------

    def __call__(
        self, log_age: float, mh: float, distance: float, a_v: float, spread: float
    ) -> Evaluation | None:
        """The evaluation, or None where there are no models."""
        found = self._prepare(log_age, mh, distance, a_v)
        return None if found is None else self._marginalise(_Pairs(self, *found, distance, spread))

    def _prepare(
        self, log_age: float, mh: float, distance: float, a_v: float
    ) -> tuple[Sequence, NDArray[np.int64], Array] | None:
        """Pieces, numbers (N, K) of the nearest, and log density of the magnitudes (N,)."""
        modulus = 5 * math.log10(distance / 10.0)
        reference = self.stars.reference
        value = self.stars.value[:, reference]
        bright, faint = value.min() - modulus - 1.0, value.max() - modulus + 1.0
        whole = self.model.sequence(log_age, mh, a_v, seen=(reference, bright, faint))
        if whole is None:
            return None
        middle = whole.start[:, reference] + 0.5 * whole.step[:, reference] + modulus
        brightness = _brightness(
            whole.start[:, reference] + modulus,
            whole.step[:, reference],
            np.exp(whole.log_weight),
            value,
            math.sqrt(float(np.median(self.variance[:, reference]))),
        )
        near = (middle > value.min() - 1.0) & (middle < value.max() + 1.0)
        if near.sum() < _NEAREST:
            return None
        pieces = whole.take(near)
        parallax = np.full(len(pieces.q), 1000.0 / distance)
        start = np.column_stack([pieces.start + modulus, parallax])
        nothing = np.zeros((len(start), 1))
        pieces = replace(
            pieces,
            start=start,
            step=np.hstack([pieces.step, nothing]),
            dust=np.hstack([pieces.dust, nothing]),
            warm=np.hstack([pieces.warm, nothing]),
            band_shape=pieces.band_shape[:, : self.ramps],
            temperature_shape=pieces.temperature_shape[:, : self.temperatures],
        )
        return pieces, self._nearest(pieces), brightness

    def _nearest(self, pieces: Sequence) -> NDArray[np.int64]:
        """Numbers (N, K) of the pieces that fit each star best."""
        # Relative to the middle of all, so that squares of large magnitudes do not cancel.
        centre = pieces.start.mean(0)
        zero, band_error, warmth = self.split(self._begin)
        start = pieces.start - centre + (pieces.temperature_shape @ warmth)[:, None] * pieces.warm
        start[:, :-1] += pieces.band_shape @ band_error
        # Single precision is enough to rank, and twice as fast.
        y = (self.stars.value - zero - centre).astype(np.float32)
        start, step = start.astype(np.float32), pieces.step.astype(np.float32)
        warm = (self.noise.models * pieces.own[:, None] * pieces.warm).astype(np.float32)
        w = self.weight.astype(np.float32)
        square = -2 * (w * y) @ start.T + w @ (start**2).T
        along = (w * y) @ step.T - w @ (start * step).T
        length = np.maximum(w @ (step**2).T, 1e-9)
        if self.noise.models:
            # What a star's own temperature explains.
            tight = 1.0 + w @ (warm**2).T
            pull = (w * y) @ warm.T - w @ (start * warm).T
            cross = w @ (step * warm).T
            square = square - pull**2 / tight
            along = along - cross * pull / tight
            length = np.maximum(length - cross**2 / tight, 1e-9)
        t = np.clip(along / length, 0.0, 1.0)
        score = pieces.log_weight.astype(np.float32) - 0.5 * (square - t * (2 * along - t * length))
        count = min(_NEAREST, score.shape[1])
        return np.argpartition(-score, count - 1, axis=1)[:, :count]

    def split(self, x: Array) -> tuple[Array, Array, Array]:
        """Shared errors as zero points (C,), errors of bands (R, B) and in ln Teff (T,)."""
        channels, bands = len(self.stars.channels), len(self.stars.bands)
        last = channels + self.ramps * bands
        return x[:channels], x[channels:last].reshape(self.ramps, bands), x[last:-1]

    def _marginalise(self, pairs: _Pairs) -> Evaluation:
        x = self._begin.copy()
        state = pairs.at(x)
        for _ in range(_STEPS):
            step = state.newton()
            gain = 0.5 * float(step @ state.gradient)
            if gain < _GAIN:
                # The last step's gain is known without evaluating it.
                x = x + step
                break
            gain = 0.0
            for shrink in (1.0, 0.5, 0.2, 0.05):
                trial = pairs.at(x + shrink * step)
                if trial.value > state.value:
                    break
            else:
                break
            x, state = x + shrink * step, trial
        factor = state.factor
        log_det = 2 * np.log(np.diag(factor[0])).sum()
        prior = -np.log(self.prior_sigma).sum()
        covariance = cho_solve(factor, np.eye(len(x)))
        return Evaluation(
            log_likelihood=float(state.value + gain + prior - 0.5 * log_det),
            offset=x,
            offset_sigma=np.sqrt(np.diag(covariance)),
            member=state.member,
        )

    # -- outliers -------------------------------------------------------------------------

    def find_outliers(
        self,
        log_age: float,
        mh: float,
        distance: float,
        a_v: float,
        spread: float,
        known: Array | None = None,
    ) -> None:
        """Decide which measurements are bad, at a cluster that fits; replaces earlier decisions.

        First with 0.1 mag added to all errors, so that one bad band does not make others look bad.
        Shared errors are those ``known`` or, without, those that fit best.
        """
        for blur in (0.1, 0.03, 0.0):
            self._blur = blur
            self._set_variance()
            found = self._prepare(log_age, mh, distance, a_v)
            if found is None:
                break
            pairs = _Pairs(self, *found, distance, spread)
            offset = known if known is not None else self._marginalise(pairs).offset
            self.outlier = self._outliers(pairs, offset)
            self._begin = offset
        self._blur = 0.0
        self._set_variance()

    def blurred(self, blur: float) -> None:
        """Add this error, mag, to each star's in each band: to find the way from afar."""
        self._blur = blur
        self._set_variance()

    def members(
        self,
        theta: tuple[float, float, float, float, float],
        offset: Array,
    ) -> Array:
        """Probabilities (N,) of being members, shared errors given; NaN where no models are."""
        found = self._prepare(*theta[:4])
        if found is None:
            return np.full(len(self.stars), np.nan)
        return _Pairs(self, *found, theta[2], theta[4]).at(offset).member

    def _outliers(self, pairs: _Pairs, x: Array) -> Array:
        """Variance (N, C) that outliers add, 0 for good measurements."""
        residual, share = pairs.residuals(x)
        noise = self.noise
        honest = np.where(self.stars.present, self.variance - self.outlier, 1.0)
        expected = (share[..., None] * residual**2).sum(1)
        kinds = (
            (1 - noise.outlier_fraction - noise.wild_fraction, 0.0),
            (noise.outlier_fraction, noise.outlier_sigma),
            (noise.wild_fraction, noise.wild_sigma),
        )
        added, log_odds = [], []
        for fraction, sigma in kinds:
            extra = np.full_like(honest, sigma**2)
            # Parallaxes are never wild: a star far from the cluster's is another's.
            extra[:, -1] = (noise.parallax_ratio**2 - 1) * honest[:, -1] * (sigma > 0)
            variance = honest + extra
            added.append(extra)
            log_odds.append(math.log(fraction) - 0.5 * (expected / variance + np.log(variance)))
        best = np.argmax(log_odds, axis=0)
        chosen = np.take_along_axis(np.array(added), best[None], 0)[0]
        bad = (best > 0) & self.stars.present
        # Where most bands are bad, the star is; the parallax of a star counts on its own.
        few = bad[:, :-1].sum(1) <= 0.4 * self.stars.present[:, :-1].sum(1)
        bad &= few[:, None]
        return np.where(bad, chosen, 0.0)


class _Pairs:
    """N stars beside their K nearest pieces, for all offsets."""

    def __init__(
        self,
        whole: ClusterLikelihood,
        pieces: Sequence,
        index: NDArray[np.int64],
        brightness: Array,
        distance: float,
        spread: float,
    ) -> None:
        stars = whole.stars
        self.split = whole.split
        self.prior_mean, self.prior_sigma = whole.prior_mean, whole.prior_sigma
        self.field = whole._field
        self.field_logit = whole._field_logit
        self.bands = len(stars.bands)
        w = whole.weight[:, None, :]
        self.weight = np.broadcast_to(w, (*index.shape, w.shape[-1]))
        self.base = stars.value[:, None, :] - pieces.start[index]
        self.band_shape = pieces.band_shape[index]
        self.temperature_shape = pieces.temperature_shape[index]
        self.warm = pieces.warm[index]
        # Sherman-Morrison: C^-1 a = W a - sum_l u_l (u_l . a), for each star's own A_V, its own
        # place along the line of sight, and its own temperature.
        nearer = np.ones(stars.value.shape[1])
        nearer[-1] = -0.2 * math.log(10.0) * 1000.0 / distance
        depth = 5 / math.log(10.0) * whole.noise.depth / distance
        self.latent: list[Array] = []
        log_tight = np.zeros(index.shape)
        own = whole.noise.models * pieces.own[index]
        for width, direction in (
            (spread, pieces.dust[index]),
            (depth, nearer),
            *([(own, self.warm)] if whole.noise.models else []),
        ):
            pull = self._inverse(np.broadcast_to(direction, self.weight.shape))
            tight = 1.0 + width**2 * (pull * direction).sum(-1)
            self.latent.append(pull * np.asarray(width / np.sqrt(tight))[..., None])
            log_tight += np.log(tight)
        self.step = pieces.step[index]
        self.along = self._inverse(self.step)
        self.length = np.maximum((self.step * self.along).sum(-1), 1e-6)
        log_weight = np.log(np.where(whole.weight > 0, whole.weight, 1.0))
        height = (0.5 * log_weight - _HALF_LOG_2PI * (whole.weight > 0)).sum(1)
        self.height = (
            pieces.log_weight[index]
            + (height + whole._log_odds - brightness)[:, None]
            - 0.5 * log_tight
        )

    def _inverse(self, a: Array) -> Array:
        result = self.weight * a
        for latent in self.latent:
            result = result - latent * (latent * a).sum(-1, keepdims=True)
        return result

    def _miss(self, x: Array) -> Array:
        """Measured less modelled at the beginning of each piece, (N, K, C)."""
        zero, band_error, warmth = self.split(x)
        miss = self.base - zero
        if len(warmth):
            miss[..., : self.bands] -= self.band_shape @ band_error
            miss -= (self.temperature_shape @ warmth)[..., None] * self.warm
        return miss

    def _along(self, x: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Residual and C^-1 residual at t = 0, log density, mean and variance of t."""
        miss = self._miss(x)
        pulled = self._inverse(miss)
        forward = (miss * self.along).sum(-1)
        best = forward / self.length
        width = 1 / np.sqrt(self.length)
        low, high = -best / width, (1 - best) / width
        log_mass = _log_normal_mass(low, high)
        square = (miss * pulled).sum(-1) - forward * best
        density = self.height - 0.5 * square + log_mass + np.log(width) + _HALF_LOG_2PI
        edge_low = np.exp(-0.5 * low**2 - _HALF_LOG_2PI - log_mass)
        edge_high = np.exp(-0.5 * high**2 - _HALF_LOG_2PI - log_mass)
        mean = np.clip(best + width * (edge_low - edge_high), 0.0, 1.0)
        spread = 1 + low * edge_low - high * edge_high - (edge_low - edge_high) ** 2
        variance = np.clip(width**2 * spread, 0.0, 1 / 12)
        return miss, pulled, density, mean, variance

    def residuals(self, x: Array) -> tuple[Array, Array]:
        """Residuals (N, K, C) at the mean place on each piece, and the pieces' shares (N, K).

        What a star's own dust, place and temperature explain is no residual; 0 where nothing is
        measured.
        """
        _, pulled, density, mean, _ = self._along(x)
        share = np.exp(density - _log_sum(density)[:, None])
        left = pulled - mean[..., None] * self.along
        return left / np.where(self.weight > 0, self.weight, 1.0), share

    def at(self, x: Array) -> _State:
        _, pulled, density, mean, variance = self._along(x)
        # The share of non-members; a star's own probability, if given, shifts its logit.
        logit = x[-1] - self.prior_mean[-1] + self.field_logit
        log_in, log_out = -np.logaddexp(0.0, logit), -np.logaddexp(0.0, -logit)
        inside = log_in + _log_sum(density)
        outside = log_out + self.field
        total = np.logaddexp(inside, outside)
        member = np.exp(inside - total)
        gamma = np.exp(log_in[:, None] + density - total[:, None])
        push = (x - self.prior_mean) / self.prior_sigma
        fraction = np.exp(log_out)
        # Pieces that a star is hardly on say nothing about the shared errors.
        some = np.nonzero(gamma > _NEGLIGIBLE)
        chosen, share = _Chosen(self, some), gamma[some]
        score = chosen.extend(pulled[some] - mean[some][:, None] * self.along[some])
        score[:, -1] = -fraction[some[0]]
        flat = np.sqrt(share)[:, None] * score
        belongs = np.zeros((len(gamma), len(share)))
        belongs[some[0], np.arange(len(share))] = share
        by_star = belongs @ score
        by_star[:, -1] = (1 - member) - fraction
        gradient = by_star.sum(0) - push / self.prior_sigma
        complete = chosen.information(share, variance[some])
        complete[-1, -1] += (fraction * (1 - fraction)).sum()
        complete[np.diag_indices_from(complete)] += self.prior_sigma**-2.0
        missing = flat.T @ flat - by_star.T @ by_star
        missing[-1, -1] += ((1 - member) * (1 - fraction) ** 2).sum()
        value = float(total.sum() - 0.5 * (push**2).sum())
        return _State(value, gradient, complete, missing, member)


class _Chosen:
    """P pairs of a star and a piece, and what shared errors do to them."""

    def __init__(self, pairs: _Pairs, some: tuple[NDArray[np.int64], ...]) -> None:
        self.bands, self.size = pairs.bands, len(pairs.prior_mean)
        self.weight = pairs.weight[some]
        self.warm = pairs.warm[some]
        self.band_shape = pairs.band_shape[some]
        self.temperature_shape = pairs.temperature_shape[some]
        self.along = pairs.along[some]
        self.latent = [latent[some] for latent in pairs.latent]

    def extend(self, a: Array) -> Array:
        """From channels (P, C) to shared errors (P, D)."""
        count = len(a)
        ramps = self.band_shape[:, :, None] * a[:, None, : self.bands]
        warmth = self.temperature_shape * (self.warm * a).sum(1)[:, None]
        return np.hstack(
            [
                a,
                ramps.reshape(count, self.band_shape.shape[1] * self.bands),
                warmth,
                np.zeros((count, 1)),
            ]
        )

    def information(self, share: Array, variance: Array) -> Array:
        """Information (D, D) if each star's piece were known, the place on it not."""
        result = self._independent(share)
        for vector, amount in (
            *((latent, share) for latent in self.latent),
            (self.along, share * variance),
        ):
            scaled = self.extend(np.sqrt(amount)[:, None] * vector)
            result -= scaled.T @ scaled
        return result

    def _independent(self, share: Array) -> Array:
        """Of the channels' own errors alone: each channel's rows apart, but for temperatures'."""
        result = np.zeros((self.size, self.size))
        amount = share[:, None] * self.weight
        channels = np.arange(self.bands + 1)
        last = self.size - 1 - self.temperature_shape.shape[1]
        # Each channel's errors: its zero point, and its ramps.
        shape = np.hstack([np.ones((len(share), 1)), self.band_shape])
        moment = _moments(shape, shape, amount)
        places = [channels, *np.arange(self.bands + 1, last).reshape(-1, self.bands)]
        for r, rows in enumerate(places):
            for s, columns in enumerate(places):
                count = min(len(rows), len(columns))
                result[rows[:count], columns[:count]] = moment[r, s, :count]
        if last < self.size - 1:
            warmed = amount * self.warm
            cross = _moments(self.temperature_shape, shape, warmed)
            for r, rows in enumerate(places):
                result[last:-1, rows] = cross[:, r, : len(rows)]
                result[rows, last:-1] = cross[:, r, : len(rows)].T
            square = (warmed * self.warm).sum(1)
            result[last:-1, last:-1] = (self.temperature_shape.T * square) @ self.temperature_shape
        return result


class _State:
    """The log density of the shared errors at one place."""

    def __init__(
        self, value: float, gradient: Array, complete: Array, missing: Array, member: Array
    ) -> None:
        self.value, self.gradient, self.member = value, gradient, member
        try:
            self.factor = cho_factor(complete - missing, lower=True)
        except LinAlgError:
            # Far from the mode the mixture curves upwards; what is known of it without is safe.
            self.factor = cho_factor(complete, lower=True)

    def newton(self) -> Array:
        return np.asarray(cho_solve(self.factor, self.gradient))


def _moments(a: Array, b: Array, weight: Array) -> Array:
    """Sums over P of a (P, R) times b (P, S) times weights (P, C): (R, S, C)."""
    product = (a[:, :, None] * b[:, None, :]).reshape(len(a), a.shape[1] * b.shape[1])
    return np.asarray((product.T @ weight).reshape(a.shape[1], b.shape[1], -1))


def _log_sum(a: Array) -> Array:
    """log of the sum of exponentials along the last axis; scipy's costs more than it sums."""
    top = a.max(-1)
    return np.asarray(top + np.log(np.exp(a - top[..., None]).sum(-1)))


def _log_normal_mass(low: Array, high: Array) -> Array:
    """log(Phi(high) - Phi(low)) for low < high, also far in the tails."""
    flip = low > 0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    top, bottom = log_ndtr(b), log_ndtr(a)
    return top + np.log1p(-np.exp(np.minimum(bottom - top, -1e-12)))


def _brightness(start: Array, step: Array, weight: Array, value: Array, sigma: float) -> Array:
    """Log density (N,) per mag of members at magnitudes ``value``, measured with error ``sigma``.

    Pieces are spread evenly over their length: their share brighter than x is a broken line, whose
    slopes are summed where pieces begin and end.
    """
    length = np.maximum(np.abs(step), 1e-3)
    low = np.minimum(start, start + step)
    edge = np.concatenate([low, low + length])
    slope = np.concatenate([weight / length, -weight / length])
    order = np.argsort(edge)
    edge = edge[order]
    slope = np.cumsum(slope[order])[:-1]
    share = np.concatenate([[0.0], np.cumsum(slope * np.diff(edge))])
    width = sigma / 2
    reach = np.arange(-8, 9)
    bins = np.arange(value.min() - 6 * sigma, value.max() + 6 * sigma + width, width)
    density = np.diff(np.interp(bins, edge, share, left=0.0, right=1.0)) / width
    kernel = np.exp(-0.5 * (reach / 2.0) ** 2)
    if len(density) < len(kernel):
        kernel = kernel[8:9]
    density = np.convolve(density, kernel / kernel.sum(), "same")
    centres = 0.5 * (bins[1:] + bins[:-1])
    return np.log(np.interp(value, centres, density.clip(min=0.0)) + _EMPTY)
