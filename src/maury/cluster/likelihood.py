"""The marginal likelihood of a cluster: every star summed over where it may be on the isochrone.

A network's posterior of each star could be multiplied with the others', but a product of hundreds
of approximate densities amplifies whatever bias they share; so none is used here. For a cluster of
given age, metallicity, distance and dust, the density of one star's measurements is

    L_n = (1 - f) sum_j w_j int_0^1 dt N(y_n; M_j + t D_j + G_j x, C_nj) / p(G_n) + f F_n / p_F(G_n)

over pieces j of the isochrones of single stars and pairs (`sequence`). C is diagonal (errors and
each star's own floor) but for four normal latents of each star: its A_V (differential reddening),
its place along the line of sight, its mass ratio within the interval that a piece stands for, and
its own temperature. The parallax is one more channel. F is the density of non-members (`field`).

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
from scipy.linalg import cho_solve

from maury.cluster.candidates import Candidates
from maury.cluster.field import FieldModel
from maury.cluster.model_errors import BAND_RAMPS, TEMPERATURE_ERRORS
from maury.cluster.pairs import Matches, Pairs
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


_FAR, _MOST = 50.0, 600
"""Log density below its best piece's at which a piece is not tried for a star, and how many are at
most. With fewer the likelihood jumps where one takes another's place."""

_STEPS, _GAIN = 12, 0.1
"""Newton's steps towards the shared errors: how many at most, and the gain in log density below
which the next is the last."""

_TAKEN_OFF, _FARTHEST = (1.0, 0.6, 0.0), 1.0
"""Shares of the missing information that steps are tried with, and how far, in units of the shared
errors' prior widths, a step may go but for the last, which is safe."""

_BLURS = (1.0, 0.3, 0.1, 0.03, 0.0)
"""Errors (mag) that are added while outliers are looked for: less and less."""

_EMPTY = 1e-3
"""Density of model stars per mag below which a magnitude counts as empty of members."""


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
        self.field_logit = np.log((1 - given) / given)
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
        self.log_odds = flagged.sum(1) * math.log(self.noise.outlier_fraction)
        # A non-member needs no outliers to be explained, though it may have them.
        self.field_density = np.logaddexp(
            self.field.log_density(self.stars, honest),
            self.field.log_density(self.stars, self.variance) + self.log_odds,
        )

    # -- one theta ------------------------------------------------------------------------

    def __call__(
        self, log_age: float, mh: float, distance: float, a_v: float, spread: float
    ) -> Evaluation | None:
        """The evaluation, or None where there are no models."""
        found = self._prepare(log_age, mh, distance, a_v, spread)
        return None if found is None else self._marginalise(self._pairs(found))

    def depth(self, distance: float) -> float:
        """Standard deviation (mag) of the stars' distance moduli about the cluster's."""
        return 5 / math.log(10.0) * self.noise.depth / distance

    def _pairs(self, matches: Matches) -> Pairs:
        pairs = Pairs(self, matches)
        pairs.drop_poor(self._begin)
        return pairs

    def _prepare(
        self, log_age: float, mh: float, distance: float, a_v: float, spread: float
    ) -> Matches | None:
        """Pieces of the isochrones and the stars that may lie on them; None without models."""
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
        if not near.any():
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
            blend=np.hstack([pieces.blend, nothing]),
            band_shape=pieces.band_shape[:, : self.ramps],
            temperature_shape=pieces.temperature_shape[:, : self.temperatures],
        )
        star, piece = self._nearest(pieces, distance, spread)
        return Matches(pieces, star, piece, brightness, distance, spread)

    def _nearest(
        self, pieces: Sequence, distance: float, spread: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Stars (P,) and pieces (P,) that are not far apart.

        Stars' own dust and place are taken for errors of each band, which makes pieces look nearer
        than they are.
        """
        # Relative to the middle of all, so that squares of large magnitudes do not cancel.
        centre = pieces.start.mean(0)
        zero, band_error, warmth = self.split(self._begin)
        start = pieces.start - centre + (pieces.temperature_shape @ warmth)[:, None] * pieces.warm
        start[:, :-1] += pieces.band_shape @ band_error
        own = self.depth(distance) ** 2 + spread**2
        # Single precision is enough to rank, and twice as fast.
        y = (self.stars.value - zero - centre).astype(np.float32)
        start, step = start.astype(np.float32), pieces.step.astype(np.float32)
        w = np.where(self.weight > 0, 1.0 / (self.variance + own), 0.0).astype(np.float32)
        square = -2 * (w * y) @ start.T + w @ (start**2).T
        along = (w * y) @ step.T - w @ (start * step).T
        length = np.maximum(w @ (step**2).T, 1e-9)
        if self.noise.models:
            warm = (self.noise.models * pieces.own[:, None] * pieces.warm).astype(np.float32)
            tight = 1.0 + w @ (warm**2).T
            pull = (w * y) @ warm.T - w @ (start * warm).T
            cross = w @ (step * warm).T
            square = square - pull**2 / tight
            along = along - cross * pull / tight
            length = np.maximum(length - cross**2 / tight, 1e-9)
        t = np.clip(along / length, 0.0, 1.0)
        score = pieces.log_weight.astype(np.float32) - 0.5 * (square - t * (2 * along - t * length))
        far = np.partition(score, -min(_MOST, score.shape[1]), axis=1)
        limit = np.maximum(score.max(1) - _FAR, far[:, -min(_MOST, score.shape[1])])
        star, piece = np.nonzero(score >= limit[:, None])
        return star, piece

    def split(self, x: Array) -> tuple[Array, Array, Array]:
        """Shared errors as zero points (C,), errors of bands (R, B) and in ln Teff (T,)."""
        channels, bands = len(self.stars.channels), len(self.stars.bands)
        last = channels + self.ramps * bands
        return x[:channels], x[channels:last].reshape(self.ramps, bands), x[last:-1]

    def _marginalise(self, pairs: Pairs) -> Evaluation:
        x = self._begin.copy()
        state = pairs.at(x)
        for _ in range(_STEPS):
            step, gain = state.newton()
            if gain < _GAIN:
                # The last step's gain is known without evaluating it.
                x = x + step
                break
            gain = 0.0
            for most in _TAKEN_OFF:
                step, _ = state.newton(most)
                if most and np.abs(step / self.prior_sigma).max() > _FARTHEST:
                    continue
                trial = pairs.at(x + step)
                if trial.value > state.value:
                    break
            else:
                break
            x, state = x + step, trial
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

        First with much added to all errors, so that one bad band does not make others look bad.
        Shared errors are those ``known`` or, without, those that fit best.
        """
        for blur in _BLURS:
            self._blur = blur
            self._set_variance()
            found = self._prepare(log_age, mh, distance, a_v, spread)
            if found is None:
                break
            pairs = self._pairs(found)
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
        found = self._prepare(*theta)
        if found is None:
            return np.full(len(self.stars), np.nan)
        return self._pairs(found).at(offset).member

    def _outliers(self, pairs: Pairs, x: Array) -> Array:
        """Variance (N, C) that outliers add, 0 for good measurements."""
        expected = pairs.squares(x)
        noise = self.noise
        honest = np.where(self.stars.present, self.variance - self.outlier, 1.0)
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
