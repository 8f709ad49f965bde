"""Stars beside the pieces of isochrones that they may lie on, for all shared errors at once.

The density of the shared errors x given theta, its slope and its curvature: what Laplace's method
in `likelihood` needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import log_ndtr

from maury.cluster.sequence import Sequence

if TYPE_CHECKING:
    from maury.cluster.likelihood import ClusterLikelihood

__all__ = ["Matches", "Pairs", "State"]

Array = NDArray[np.float64]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)

_NEGLIGIBLE = 1e-3
"""Share of a star below which a piece is left out where shared errors are found."""

_SHARES = (1.0, 0.9, 0.6, 0.0)
"""Of the missing information, taken off in turn."""

_POOR = 25.0
"""Log density below that of a star's best piece at which another is left out: it may still become
the best when the shared errors move."""


@dataclass(frozen=True)
class Matches:
    """Which of N stars may lie on which pieces of a cluster's isochrones.

    Parameters
    ----------
    pieces : Sequence
        With the parallax as last channel.
    star, piece : array (P,) of int
        Which star, in rising order and each at least once, and which piece.
    brightness : array (N,)
        Log density of each star's reference magnitude.
    distance, spread : float
        pc; standard deviation (mag) of the stars' A_V.
    """

    pieces: Sequence
    star: NDArray[np.int64]
    piece: NDArray[np.int64]
    brightness: Array
    distance: float
    spread: float


class Pairs:
    """P pairs of a star and a piece that it may lie on, for all shared errors.

    Parameters
    ----------
    whole : ClusterLikelihood
    matches : Matches
    """

    def __init__(self, whole: ClusterLikelihood, matches: Matches) -> None:
        pieces, star, piece = matches.pieces, matches.star, matches.piece
        stars = whole.stars
        self.split = whole.split
        self.prior_mean, self.prior_sigma = whole.prior_mean, whole.prior_sigma
        self.field = whole.field_density
        self.field_logit = whole.field_logit
        self.bands = len(stars.bands)
        self.star = star
        self.weight = whole.weight[star]
        self.base = stars.value[star] - pieces.start[piece]
        self.band_shape = pieces.band_shape[piece]
        self.temperature_shape = pieces.temperature_shape[piece]
        self.warm = pieces.warm[piece]
        # Sherman-Morrison: C^-1 a = W a - sum_l u_l (u_l . a), for each star's own A_V, place along
        # the line of sight, mass ratio within the piece's, and temperature.
        nearer = np.ones(stars.value.shape[1])
        nearer[-1] = -0.2 * math.log(10.0) * 1000.0 / matches.distance
        self.latent: list[Array] = []
        log_tight = np.zeros(len(star))
        latents: list[tuple[float | Array, Array]] = [
            (matches.spread, pieces.dust[piece]),
            (whole.depth(matches.distance), nearer),
            (1.0, pieces.blend[piece]),
        ]
        if whole.noise.models:
            latents.append((whole.noise.models * pieces.own[piece], self.warm))
        for width, direction in latents:
            pull = self._inverse(np.broadcast_to(direction, self.weight.shape))
            tight = 1.0 + width**2 * (pull * direction).sum(-1)
            self.latent.append(pull * np.asarray(width / np.sqrt(tight))[..., None])
            log_tight += np.log(tight)
        self.step = pieces.step[piece]
        self.along = self._inverse(self.step)
        self.length = np.maximum((self.step * self.along).sum(-1), 1e-6)
        log_weight = np.log(np.where(whole.weight > 0, whole.weight, 1.0))
        height = (0.5 * log_weight - _HALF_LOG_2PI * (whole.weight > 0)).sum(1)
        self.height = (
            pieces.log_weight[piece]
            + (height + whole.log_odds - matches.brightness)[star]
            - 0.5 * log_tight
        )
        self._begins()

    def _begins(self) -> None:
        self.begin = np.flatnonzero(np.diff(self.star, prepend=-1))

    def drop_poor(self, x: Array) -> None:
        """Leave out the pieces that stars are hardly on when the shared errors are ``x``."""
        density = self._along(x)[1]
        kept = density > np.maximum.reduceat(density, self.begin)[self.star] - _POOR
        for name in (
            *("star", "weight", "base", "band_shape", "temperature_shape", "warm"),
            *("step", "along", "length", "height"),
        ):
            setattr(self, name, getattr(self, name)[kept])
        self.latent = [latent[kept] for latent in self.latent]
        self._begins()

    def _inverse(self, a: Array) -> Array:
        result = self.weight * a
        for latent in self.latent:
            result = result - latent * (latent * a).sum(-1, keepdims=True)
        return result

    def _miss(self, x: Array) -> Array:
        """Measured less modelled at the beginning of each piece, (P, C)."""
        zero, band_error, warmth = self.split(x)
        miss = self.base - zero
        if len(warmth):
            miss[:, : self.bands] -= self.band_shape @ band_error
            miss -= (self.temperature_shape @ warmth)[:, None] * self.warm
        return miss

    def _along(self, x: Array) -> tuple[Array, Array, Array, Array]:
        """C^-1 residual at t = 0, log density, mean and variance of t."""
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
        return pulled, density, mean, variance

    def _log_sum(self, density: Array) -> Array:
        """Log of each star's sum (N,) over its pieces; scipy's costs more than it sums."""
        top = np.maximum.reduceat(density, self.begin)
        total = np.add.reduceat(np.exp(density - top[self.star]), self.begin)
        return np.asarray(top + np.log(total))

    def squares(self, x: Array) -> Array:
        """Expected squares (N, C) of stars' residuals, in the channels' units.

        What a star's own dust, place, mass ratio and temperature explain is no residual.
        """
        pulled, density, mean, _ = self._along(x)
        share = np.exp(density - self._log_sum(density)[self.star])
        left = pulled - mean[:, None] * self.along
        left /= np.where(self.weight > 0, self.weight, 1.0)
        return np.asarray(np.add.reduceat(share[:, None] * left**2, self.begin))

    def at(self, x: Array) -> State:
        """The log density of the shared errors ``x`` (D,), with its slope and curvature."""
        pulled, density, mean, variance = self._along(x)
        # The share of non-members; a star's own probability, if given, shifts its logit.
        logit = x[-1] - self.prior_mean[-1] + self.field_logit
        log_in, log_out = -np.logaddexp(0.0, logit), -np.logaddexp(0.0, -logit)
        inside = log_in + self._log_sum(density)
        outside = log_out + self.field
        total = np.logaddexp(inside, outside)
        member = np.exp(inside - total)
        gamma = np.exp((log_in - total)[self.star] + density)
        push = (x - self.prior_mean) / self.prior_sigma
        fraction = np.exp(log_out)
        # Pieces that a star is hardly on say nothing about the shared errors.
        some = np.flatnonzero(gamma > _NEGLIGIBLE)
        chosen, share, star = _Chosen(self, some), gamma[some], self.star[some]
        score = chosen.extend(pulled[some] - mean[some][:, None] * self.along[some])
        score[:, -1] = -fraction[star]
        flat = np.sqrt(share)[:, None] * score
        belongs = np.zeros((len(member), len(share)))
        belongs[star, np.arange(len(share))] = share
        by_star = belongs @ score
        by_star[:, -1] = (1 - member) - fraction
        gradient = by_star.sum(0) - push / self.prior_sigma
        complete = chosen.information(share, variance[some])
        complete[-1, -1] += (fraction * (1 - fraction)).sum()
        complete[np.diag_indices_from(complete)] += self.prior_sigma**-2.0
        missing = flat.T @ flat - by_star.T @ by_star
        missing[-1, -1] += ((1 - member) * (1 - fraction) ** 2).sum()
        value = float(total.sum() - 0.5 * (push**2).sum())
        return State(value, gradient, complete, missing, member)


class _Chosen:
    """P pairs of a star and a piece, and what shared errors do to them."""

    def __init__(self, pairs: Pairs, some: NDArray[np.int64]) -> None:
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


class State:
    """The log density of the shared errors at one place.

    The curvature is what would be known if each star's piece were, less what is missing of it.
    Far from the mode, or where a star wavers between two pieces, it is hardly positive; then only
    a share of what is missing is taken off. With none, a step is one of the EM algorithm.
    """

    def __init__(
        self, value: float, gradient: Array, complete: Array, missing: Array, member: Array
    ) -> None:
        self.value, self.gradient, self.member = value, gradient, member
        self._complete, self._missing = complete, missing
        self.factor, self.share = self._largest(_SHARES)

    def newton(self, most: float = 1.0) -> tuple[Array, float]:
        """Step (D,) towards the mode with no more than a share of the missing taken off; gain."""
        factor = self.factor
        if most < self.share:
            factor, _ = self._largest(tuple(s for s in _SHARES if s <= most))
        step = np.asarray(cho_solve(factor, self.gradient))
        return step, 0.5 * float(step @ self.gradient)

    def _largest(self, shares: tuple[float, ...]) -> tuple[tuple[Array, bool], float]:
        """Cholesky factor with the first of the shares that leaves the curvature positive."""
        for share in shares[:-1]:
            try:
                return cho_factor(self._complete - share * self._missing, lower=True), share
            except LinAlgError:
                continue
        return cho_factor(self._complete, lower=True), 0.0


def _moments(a: Array, b: Array, weight: Array) -> Array:
    """Sums over P of a (P, R) times b (P, S) times weights (P, C): (R, S, C)."""
    product = (a[:, :, None] * b[:, None, :]).reshape(len(a), a.shape[1] * b.shape[1])
    return np.asarray((product.T @ weight).reshape(a.shape[1], b.shape[1], -1))


def _log_normal_mass(low: Array, high: Array) -> Array:
    """log(Phi(high) - Phi(low)) for low < high, also far in the tails."""
    flip = low > 0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    top, bottom = log_ndtr(b), log_ndtr(a)
    return top + np.log1p(-np.exp(np.minimum(bottom - top, -1e-12)))
