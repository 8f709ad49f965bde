"""A trained model, ready to answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from maury.columns import PRIOR
from maury.device import pick_device
from maury.errors import MauryError
from maury.flags import Flag
from maury.inference.by_flow import FlowAnswers
from maury.inference.by_joint import JointAnswers
from maury.inference.completion import complete, completed
from maury.inference.draws import Draws
from maury.inference.edges import at_edge
from maury.inference.fit import poor_fit
from maury.inference.gaia import gaia_counterparts, translate_gaia
from maury.inference.knowledge import Given, blunt_knowledge, given_exactly, with_knowledge
from maury.inference.noise import keyed_uniform
from maury.inference.predictions import Predictions
from maury.inference.sharpening import (
    OVERSAMPLING,
    effective,
    log_mean,
    log_weights,
    resampled,
    told_bluntly,
)
from maury.measurements import Measurements
from maury.nets.joint.estimator import JointEstimator
from maury.parameters import PARAMETERS
from maury.simulator import Simulator
from maury.sky.skies import POPULATIONS
from maury.training.config import ModelConfig, fingerprint
from maury.training.folder import find_model, load_model
from maury.training.network import Network
from maury.training.seals import hash_of_tensors

__all__ = ["Posterior"]

STARS_AT_ONCE, SHARP_AT_ONCE = 4096, 256
"""Bounds on memory; stars of which something is known sharply take several times as much."""

WEIGHED = 1024
"""Draws by which densities given sharp knowledge are normalised, to about a tenth."""

USUAL_ERROR = 0.02
"""Error, in mag or mas, of measurements that are predicted."""


class Posterior:
    """Posterior densities of stellar parameters, given what was measured.

    Examples
    --------
    >>> post = Posterior.load("iris-base")
    >>> draws = post.sample(Measurements.from_table(table), 64, seed=0)
    >>> draws.summary()
    """

    def __init__(
        self, config: ModelConfig, network: Network, device: torch.device | str = "cpu"
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self._answers = (
            JointAnswers(network) if isinstance(network, JointEstimator) else FlowAnswers(network)
        )

    @classmethod
    def load(cls, name: str | Path, device: str = "auto") -> Posterior:
        """Load a model by its shipped name or from a folder.

        Raises
        ------
        MauryError
            If there is no such model, or its files are damaged or do not fit together.
        """
        return cls(*load_model(find_model(name)), device=pick_device(device))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.config.name

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that densities are over; draws may hold more that follow."""
        return tuple(p.name for p in self.network.parameters_of_star)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that the model reads."""
        return self.network.features.channels

    @property
    def fingerprint(self) -> str:
        """Hash of config and weights, by which answers of one model are told from another's."""
        weights = {key: value.cpu() for key, value in self.network.state_dict().items()}
        return f"{fingerprint(self.config)[:16]}-{hash_of_tensors(weights)[:16]}"

    def simulate(self, count: int, *, seed: int = 0) -> tuple[Tensor, Measurements]:
        """Fresh stars of the sky that the model was trained on: theta (N, D), measurements."""
        generator = torch.Generator().manual_seed(seed)
        stars = Simulator(self.config.simulator).draw(count, generator)
        return stars.theta, stars.measurements

    @torch.no_grad()
    def sample(
        self, observations: Measurements, draws: int, *, seed: int = 0, given: Given | None = None
    ) -> Draws:
        """Draw from the posterior of each star.

        The draws depend on the seed and on the star's own measurements, on nothing else. Of stars
        of which parameters are known more sharply than the network takes in (`told_bluntly`) they
        are chosen by weights among 4 or 16 times as many.

        Parameters
        ----------
        observations : Measurements
            N stars; channels that the model does not know are ignored.
        draws : int
            Number K for each star.
        seed : int
            From 0 to 2^63 - 1.
        given : mapping, optional
            What else is known of parameters, for all stars: ``{"logg": (4.4, 0.02)}`` is a value
            and its error; a joint model also takes ``{"logg": 4.4}``, exact.

        Returns
        -------
        Draws
            NaN for a star without any usable measurement. With a mass among the parameters,
            radius and luminosity are added.

        Raises
        ------
        MauryError
            If ``draws`` or ``seed`` is out of range, or what is given makes no sense.
        """
        _check(draws, seed)
        # Limits do not count: the network reads measured values only.
        known = self.known(observations)
        stars = _answerable(known)
        exact = given_exactly(given or {}, self.parameters, len(known))
        known = self.known(with_knowledge(observations, given or {}))
        values = torch.full((draws, len(known), len(self.parameters)), torch.nan)
        told, sharp = told_bluntly(known, self.config.simulator.knowledge)
        for rows in stars:
            plain = rows[~sharp[rows]]
            if len(plain):
                values[:, plain] = self._drawn(known[plain], draws, seed, exact[plain])
            for some in rows[sharp[rows]].split(SHARP_AT_ONCE):
                values[:, some] = self._sharpened(known[some], told[some], draws, seed, exact[some])
        return Draws(*complete(values, self.parameters))

    def _sharpened(
        self, known: Measurements, told: Measurements, draws: int, seed: int, exact: Tensor
    ) -> Tensor:
        """Draws (K, N, D) of N stars of which more is known than the network is told."""
        result = torch.empty(draws, *exact.shape)
        rows = torch.arange(len(known))
        for times in OVERSAMPLING:
            proposed = self._drawn(told[rows], times * draws, seed, exact[rows])
            weight = log_weights(proposed, known[rows], told[rows], self.parameters)
            label = keyed_uniform(known[rows].hash(), 1, 1, seed=seed, first=len(proposed))
            result[:, rows] = resampled(proposed, weight, draws, label[0, :, 0])
            rows = rows[effective(weight) < draws]
            if not len(rows):
                break
        return result

    def _drawn(self, known: Measurements, draws: int, seed: int, exact: Tensor) -> Tensor:
        """Draws (K, N, D) of N stars as the network answers."""
        return self._answers.sample(
            known.to(self.device), draws, seed=seed, exact=exact.to(self.device)
        ).cpu()

    @torch.no_grad()
    def predict(
        self,
        observations: Measurements,
        channels: Sequence[str],
        draws: int = 64,
        *,
        sigma: float = USUAL_ERROR,
        seed: int = 0,
        given: Given | None = None,
    ) -> Predictions:
        """Draw what surveys would measure on channels that nobody, or not yet, observed.

        Parameters
        ----------
        observations : Measurements
            N stars; what they hold on these channels is not read.
        channels : sequence of str
            Bands and ``parallax``, C of them.
        draws : int
            Number K for each star.
        sigma : float
            Error of the measurements, mag or mas; predictions scatter by it, too.
        seed : int
        given : mapping, optional
            As in `sample`. With all parameters exact, draws follow the likelihood.

        Raises
        ------
        MauryError
            If the model is no joint model, does not know a channel, or an argument is out of range.
        """
        _check(draws, seed)
        if not isinstance(self._answers, JointAnswers):
            raise MauryError(f"{self.name!r} does not predict measurements: ask a joint model")
        if not sigma > 0:
            raise MauryError(f"sigma is {sigma}: give an error above zero")
        numbers = torch.tensor([self._predictable(name) for name in channels]).to(self.device)
        known = self.known(with_knowledge(observations, given or {}))
        exact = given_exactly(given or {}, self.parameters, len(known))
        values = torch.empty(draws, len(known), len(channels))
        for rows in torch.arange(len(known)).split(STARS_AT_ONCE):
            values[:, rows] = self._answers.predict(
                known[rows].to(self.device),
                numbers,
                torch.full(numbers.shape, sigma, device=self.device),
                draws,
                seed=seed,
                exact=exact[rows].to(self.device),
            ).cpu()
        return Predictions(values, tuple(channels))

    @torch.no_grad()
    def log_prob(self, observations: Measurements, theta: Tensor) -> Tensor:
        """Log of the posterior density.

        Parameters
        ----------
        observations : Measurements
            N stars.
        theta : Tensor (N, D) or (K, N, D)
            Physical units. Columns that follow from the others (`Draws.values` has them) may come
            behind and are not read.

        Returns
        -------
        Tensor (N,) or (K, N)
            Per unit of each of the D parameters; -inf outside their bounds.

        Raises
        ------
        MauryError
            If theta's shape does not fit the stars and the parameters.
        """
        theta = torch.as_tensor(theta, dtype=torch.float32)
        if theta.shape[-1:] == (len(completed(self.parameters)),):
            theta = theta[..., : len(self.parameters)]
        expected = (len(observations), len(self.parameters))
        if theta.ndim not in (2, 3) or theta.shape[-2:] != expected:
            raise MauryError(
                f"theta should be {expected} or (K, *{expected}), not {tuple(theta.shape)}"
            )
        many = theta if theta.ndim == 3 else theta[None]
        known = self.known(observations)
        told, sharp = told_bluntly(known, self.config.simulator.knowledge)
        result = torch.empty(many.shape[:2])
        for rows in torch.arange(len(known)).split(STARS_AT_ONCE):
            result[:, rows] = self._answers.log_prob(
                told[rows].to(self.device), many[:, rows].to(self.device)
            ).cpu()
        for rows in sharp.nonzero().squeeze(-1).split(SHARP_AT_ONCE):
            free = many.new_full((len(rows), many.shape[-1]), torch.nan)
            proposed = self._drawn(told[rows], WEIGHED, 0, free)
            at_theta, at_draws = (
                log_weights(x, known[rows], told[rows], self.parameters)
                for x in (many[:, rows], proposed)
            )
            result[:, rows] += (at_theta - log_mean(at_draws)).float()
        result = result.masked_fill(~_within_bounds(many, self.parameters), -torch.inf)
        return result if theta.ndim == 3 else result[0]

    @torch.no_grad()
    def populations(self, observations: Measurements) -> dict[str, Tensor]:
        """Probability (N,) of each kind of star; empty where the model tells none apart.

        NaN for a star without any usable measurement.
        """
        if self.network.populations is None:
            return {}
        known = self.known(observations)
        chances = torch.full((len(known), len(POPULATIONS)), torch.nan)
        for rows in _answerable(known):
            logits = self._answers.populations(known[rows].to(self.device))
            chances[rows] = logits.softmax(-1).cpu()
        return dict(zip(POPULATIONS, chances.unbind(-1), strict=True))

    def known(self, observations: Measurements) -> Measurements:
        """What the model reads of the observations, in its own vocabulary."""
        known = translate_gaia(observations, self.channels).select(self.channels)[0].compact()
        # Networks extrapolate badly beyond the sharpest knowledge of their training: told log g =
        # 2.5 +- 0.001, one that had learned with 0.01 and more answered 2.38 +- 0.02.
        sigma = self.config.simulator.knowledge.sigma
        return blunt_knowledge(known, {name: low for name, (low, _) in sigma.items()})

    def usable(self, channels: Sequence[str]) -> tuple[str, ...]:
        """Those of a catalogue's channels that the model reads, directly or translated."""
        translations = gaia_counterparts(channels)
        return tuple(
            name
            for name in channels
            if name in self.channels or translations.get(name) in self.channels
        )

    def flags(self, observations: Measurements, draws: Draws) -> Tensor:
        """Flags (N,) int64, see `maury.flags.Flag`."""
        known = self.known(observations)
        is_band = self.network.features.is_band.cpu()
        bands = (known.measured & is_band[known.channel]).sum(dim=1)
        needed = min(self.config.simulator.photometry.minimum_bands, int(is_band.sum()))
        flags = torch.zeros(len(known), dtype=torch.int64)
        for raised, flag in (
            (bands < needed, Flag.TOO_FEW),
            (observations.rejected, Flag.REJECTED_VALUE),
            (at_edge(draws, self.config.simulator.prior), Flag.PRIOR_EDGE),
            (self._poor_fit(known, draws), Flag.POOR_FIT),
        ):
            flags |= raised.long() * int(flag)
        return flags

    @cached_property
    def _simulator(self) -> Simulator:
        return Simulator(self.config.simulator)

    def _poor_fit(self, known: Measurements, draws: Draws) -> Tensor:
        theta = draws.values[..., : len(self.parameters)].cpu()
        disc = self.populations(known).get(POPULATIONS[2], torch.zeros(len(known)))
        return poor_fit(self._simulator, known.to("cpu"), theta, disc)

    def _predictable(self, name: str) -> int:
        if name not in self.channels or name.startswith(PRIOR):
            raise MauryError(
                f"{self.name!r} cannot predict {name!r}: it knows "
                f"{', '.join(c for c in self.channels if not c.startswith(PRIOR))}"
            )
        return self.channels.index(name)


def _answerable(known: Measurements) -> Sequence[Tensor]:
    """Rows with anything measured, a few at a time."""
    rows = known.measured.any(1).nonzero().squeeze(-1)
    return rows.split(STARS_AT_ONCE) if len(rows) else ()


def _check(draws: int, seed: int) -> None:
    if draws < 1:
        raise MauryError(f"draws is {draws}: ask for one or more")
    if not 0 <= seed < 2**63:
        raise MauryError(f"seed is {seed}: give a number from 0 to 2^63 - 1")


def _within_bounds(theta: Tensor, parameters: tuple[str, ...]) -> Tensor:
    lower = torch.tensor([PARAMETERS[name].lower for name in parameters])
    upper = torch.tensor([PARAMETERS[name].upper for name in parameters])
    return ((theta > lower) & (theta < upper)).all(dim=-1)
