"""Stars as nodes of a joint density: parameters, magnitudes, parallax and outside knowledge.

Measured nodes carry their errors, given or asked: a magnitude that nobody took is predicted as a
survey of the stated error would have measured it. Numbers refer to the brightness that the given
bands tell, and a latent distance to what they and the given parallax imply (`DistanceScale`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.columns import PRIOR
from maury.errors import MauryError
from maury.measurements import Measurements
from maury.nets.config import JointConfig
from maury.nets.deep_set import DeepSet
from maury.nets.distance import DistanceScale, Seen
from maury.nets.estimator import Estimator
from maury.nets.flow import normal_quantile
from maury.nets.joint.density import Condition, JointDensity
from maury.nets.joint.flowing import ParameterFlow
from maury.nets.joint.log_density import log_density
from maury.nets.joint.masks import Conditions, draw_conditions, graph_edges
from maury.nets.joint.nodes import Nodes
from maury.nets.joint.samplers import angles, multistep
from maury.nets.stars import StarNetwork

__all__ = ["JointEstimator", "Question"]

TAIL = 4.0
"""Whitened value about which coordinates turn from linear to logarithmic."""

CALLS = 10
"""Calls of the network for one draw."""

CONDITIONS = Conditions(
    posterior=0.4, likelihood=0.08, joint=0.07, sparse=0.1, dense=0.35, left_out=0.2
)
"""How often each kind of question is asked in training. Posteriors start as those of a flow
network; a band from its neighbours, which is sharp, too, is learned from nothing, and asked by
sparse and dense questions alone."""

PREDICTIVE = 0.7
"""Share of the rows asked for measurements that are not asked for parameters as well: what
`prediction` asks."""

LOSING = 0.5
"""Share of training rows that lose measurements, each by one chance drawn evenly from 0 to 1: after
the gaps of surveys, which leave about half of all nodes empty as it is."""

GRAPHS = 0.2
"""Share of training rows whose attention follows the simulator's graph instead of joining all."""


@dataclass(frozen=True)
class Question:
    """What is asked about N stars, as rows of T nodes: parameters, slots, and the brightness.

    Parameters
    ----------
    identity, value, error : Tensor (N, T)
    given, latent : Tensor (N, T) bool
    edges : Tensor (N, T, T) bool, optional
    """

    identity: Tensor
    value: Tensor
    error: Tensor
    given: Tensor
    latent: Tensor
    edges: Tensor | None = None

    def __getitem__(self, rows: Tensor) -> Question:
        columns = (self.identity, self.value, self.error, self.given, self.latent)
        identity, value, error, given, latent = (column[rows] for column in columns)
        edges = None if self.edges is None else self.edges[rows]
        return Question(identity, value, error, given, latent, edges)

    def split(self) -> tuple[Nodes, Tensor]:
        """As given and latent nodes, and the latent ones' values (N, L)."""
        columns = (self.identity, self.value, self.error, self.given, self.latent)
        return Nodes.split(*columns, self.edges)


class JointEstimator(StarNetwork):
    """Any conditional of stars' parameters and measurements.

    Parameters
    ----------
    parameters, channels, distance
        See `StarNetwork`.
    config : JointConfig
    populations : int
        Kinds of stars that are told apart; with less than two there is nothing to tell.
    """

    plain_centre: Tensor
    plain_scale: Tensor

    def __init__(
        self,
        parameters: tuple[str, ...],
        channels: tuple[str, ...],
        config: JointConfig,
        *,
        distance: DistanceScale | None = None,
        populations: int = 0,
    ) -> None:
        super().__init__(parameters, channels, distance=distance)
        inner = config.summary.width
        flow = None
        if config.flow is not None:
            flow = ParameterFlow(len(parameters), inner, config.flow, tail=TAIL)
        self.density = JointDensity(len(parameters) + self.features.count, config, flow)
        # Parameters that are given are told by their own scales: the residual of a distance means
        # nothing while the rest is asked for.
        self.register_buffer("plain_centre", torch.zeros(len(parameters)))
        self.register_buffer("plain_scale", torch.ones(len(parameters)))
        self.populations = nn.Linear(inner, populations) if populations > 1 else None
        self.velocity_share = config.velocity_share

    @torch.no_grad()
    def fit_scales(self, theta: Tensor, measurements: Measurements) -> None:
        """Set the constants of the standardisation from simulated stars."""
        super().fit_scales(theta, measurements)
        z = self._real(theta)
        self.plain_centre.copy_(z.median(0).values)
        self.plain_scale.copy_(z.std(0))

    @torch.no_grad()
    def start_from(self, other: StarNetwork) -> list[nn.Parameter]:
        """Take over what a network of posteriors has learned: its scales, its deep set, as what
        sums up given measurements, and its flow, if this one has one of the same make. Given
        parameters start by saying nothing.

        Returns
        -------
        list of Parameter
            The weights that were taken over.

        Raises
        ------
        MauryError
            If the other one has other parameters or channels, or parts of another size.
        """
        summary = self.density.base.summary
        assert isinstance(summary, DeepSet)  # Of stars no graph is known.
        if not isinstance(other, Estimator) or not isinstance(other.encoder, DeepSet):
            raise MauryError("a joint network can start from the deep set of a flow network only")
        same = (
            other.parameters_of_star == self.parameters_of_star
            and other.features.channels == self.features.channels
            and torch.equal(other.encoder.frequencies, summary.frequencies)
        )
        if not same:
            raise MauryError(
                "a joint network can start from one of its parameters, channels and frequencies"
            )
        weights = other.encoder.state_dict()
        silent = summary.maps.in_features - other.encoder.maps.in_features
        weights["maps.weight"] = F.pad(weights["maps.weight"], (silent, 0))
        flow, learned = self.density.base.flow, other.flow.state_dict()
        try:
            summary.load_state_dict(weights)
            if flow is not None:
                flow.load_state_dict(flow.state_dict() | learned)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise MauryError(f"the networks' parts are of different sizes: {reason}") from None
        self.features.load_state_dict(other.features.state_dict())
        self.centre.copy_(other.centre)
        self.scale.copy_(other.scale)
        if self.populations is not None and other.populations is not None:
            self.populations.load_state_dict(other.populations.state_dict())
        flowing = [] if flow is None else list(flow.named_parameters())
        return [*summary.parameters(), *(weight for name, weight in flowing if name in learned)]

    @property
    def noise_size(self) -> int:
        """Number of uniform numbers that one draw of all parameters uses up."""
        return len(self.parameters_of_star)

    def known(self, measurements: Measurements) -> Measurements:
        """The measurements on the network's channels, without padding between them."""
        return measurements.select(self.features.channels)[0].compact()

    # -- coordinates -----------------------------------------------------------------------

    def whitened(self, theta: Tensor, seen: Seen | None) -> Tensor:
        """As for all networks of stars, and logarithmic far out: a wild residual of a distance must
        not outweigh all else in a squared error."""
        return TAIL * torch.asinh(super().whitened(theta, seen) / TAIL)

    def log_abs_det(self, theta: Tensor, seen: Seen | None) -> Tensor:
        """Log of the derivative (..., N) of the whitened coordinates by the physical ones."""
        steepness = (super().whitened(theta, seen) / TAIL).square().log1p().sum(-1)
        return super().log_abs_det(theta, seen) - 0.5 * steepness

    def physical(self, whitened: Tensor, seen: Seen | None, known: Tensor | None = None) -> Tensor:
        """The inverse of `whitened`; see `StarNetwork.physical`."""
        return super().physical(TAIL * torch.sinh(whitened / TAIL), seen, known)

    # -- asking ----------------------------------------------------------------------------

    def question(
        self,
        known: Measurements,
        given: Tensor,
        latent: Tensor,
        *,
        theta: Tensor,
        truth: Tensor | None = None,
    ) -> Question:
        """What is asked of N stars, in the network's numbers.

        Parameters
        ----------
        known : Measurements
            As `known` returns them, S slots.
        given, latent : Tensor (N, D + S) bool
            Of parameters, then slots.
        theta : Tensor (N, D)
            Physical; read where a parameter is given.
        truth : Tensor (N, D), optional
            Physical; in training, the latent parameters' values.
        """
        parameters = theta.shape[1]
        slots = given[:, parameters:]
        features = self.features(known, slots)
        told = (self._real(theta) - self.plain_centre) / self.plain_scale
        if truth is not None:
            asked = self.whitened(truth, self.seen(known.without(~slots)))
            told = torch.where(given[:, :parameters], told, asked)
        told = told.masked_fill(~(given | latent)[:, :parameters], 0.0)
        star = torch.arange(parameters, device=told.device).expand(len(told), -1)
        extra = features.present.shape[1] - slots.shape[1]
        return Question(
            identity=torch.cat([star, parameters + features.channel], 1),
            value=torch.cat([told, features.value], 1),
            error=torch.cat([torch.zeros_like(told), features.error], 1),
            given=torch.cat([given, features.present[:, slots.shape[1] :]], 1),
            latent=F.pad(latent, (0, extra)),
        )

    def posterior(self, known: Measurements, theta: Tensor) -> Condition:
        """All measurements given; parameters too, where theta (N, D) is not NaN."""
        return self.density.condition(self._for_parameters(known, theta))

    def summary(self, known: Measurements) -> Tensor:
        """Summary (N, V) of all measurements."""
        theta = known.value.new_full((len(known), self.noise_size), torch.nan)
        return self.density.units(self._for_parameters(known, theta))[1]

    def _for_parameters(self, known: Measurements, theta: Tensor) -> Nodes:
        latent = torch.cat([theta.isnan(), torch.zeros_like(known.measured)], 1)
        given = torch.cat([~theta.isnan(), known.measured], 1)
        return self.question(known, given, latent, theta=theta).split()[0]

    def prediction(self, known: Measurements, asked: Tensor, theta: Tensor) -> Condition:
        """The slots ``asked`` (N, S) for, all others given; theta (N, D) where it is not NaN."""
        free = torch.zeros_like(theta, dtype=torch.bool)
        latent = torch.cat([free, asked], 1)
        given = torch.cat([~theta.isnan(), known.measured & ~asked], 1)
        return self.density.condition(self.question(known, given, latent, theta=theta).split()[0])

    def draw(self, noise: Tensor, condition: Condition, seen: Seen | None, theta: Tensor) -> Tensor:
        """Parameters (K, N, D), physical, from uniform noise (K, N, D).

        Those that theta (N, D) gives stay; the others must be the same ones for all stars.
        """
        free = theta.isnan().any(0)
        z = noise.new_zeros(noise.shape)
        z[..., free] = self.latent_values(noise[..., free], condition)
        return self.physical(z, seen, theta)

    @torch.no_grad()
    def latent_values(self, noise: Tensor, condition: Condition) -> Tensor:
        """Whitened values (K, N, L) of the latent nodes from uniform noise (K, N, L)."""
        y = normal_quantile(noise).transpose(0, 1)

        def field(y: Tensor, phi: float) -> Tensor:
            return self.density.field(condition, y, y.new_full((1,), phi))

        y = multistep(field, y, angles(self.density.path.first, CALLS))
        return self.density.to_values(condition, y).transpose(0, 1)

    def log_prob(self, theta: Tensor, condition: Condition, seen: Seen | None) -> Tensor:
        """Log posterior density (K, N), per unit of each parameter, at physical theta (K, N, D)."""
        z = self.whitened(theta, seen).transpose(0, 1)
        return log_density(self.density, condition, z).T + self.log_abs_det(theta, seen)

    # -- training --------------------------------------------------------------------------

    def summed_loss(
        self, theta: Tensor, measurements: Measurements, population: Tensor | None = None
    ) -> tuple[Tensor, int]:
        """Loss of the joint density, by questions drawn anew for each star, and of populations.

        Latent nodes are counted. Random numbers come from torch's global stream, which the training
        seeds for each slice of a batch.
        """
        question = self._drawn_question(theta, self.known(measurements))
        taught = math.ceil(self.velocity_share * len(theta))
        total, count = theta.new_zeros(()), 0
        for rows in self._alike(question):
            for some, learns_velocity in (
                (rows[rows < taught], True),
                (rows[rows >= taught], False),
            ):
                if not len(some):
                    continue
                nodes, asked = question[some].split()
                latent = int(nodes.latent.present.sum())
                if learns_velocity:
                    condition = self.density.condition(nodes)
                    total = total + latent * self.density.loss(condition, asked)
                    summary = condition.summary
                else:
                    base, summary = self.density.units(nodes)
                    total = total + (base.cost(asked) * nodes.latent.present).sum()
                count += latent
                if self.populations is not None and population is not None:
                    logits = self.populations(summary)
                    chance = F.cross_entropy(logits, population[some], reduction="sum")
                    total = total + len(self.parameters_of_star) * chance
        return total, max(count, 1)

    def _alike(self, question: Question) -> list[Tensor]:
        """Rows of similar questions, answered together: most ask for parameters alone; of those
        that do not, the nodes to reckon with are many."""
        measurements = question.latent[:, len(self.parameters_of_star) :].any(1)
        rows = torch.arange(len(measurements), device=measurements.device)
        return [rows[~measurements], rows[measurements]]

    def _drawn_question(self, theta: Tensor, known: Measurements) -> Question:
        n, parameters = theta.shape
        knowledge = known.measured & self._is_knowledge(known)
        losing = (torch.rand(n, 1) < LOSING).to(theta.device)
        chance = torch.rand(n, 1).to(theta.device) * losing
        kept = known.measured & (torch.rand(known.measured.shape).to(theta.device) >= chance)
        here = torch.cat([torch.ones_like(theta, dtype=torch.bool), kept & ~knowledge], 1)
        given, latent = draw_conditions(parameters, here, CONDITIONS)
        given[:, parameters:] |= kept & knowledge  # which is never asked for
        predictive = latent[:, parameters:].any(1) & (torch.rand(n) < PREDICTIVE).to(theta.device)
        latent[:, :parameters] &= ~predictive[:, None]
        question = self.question(known, given, latent, theta=theta, truth=theta)
        return self._on_graphs(question)

    def _on_graphs(self, question: Question) -> Question:
        """Let the attention of some rows follow the graph of the simulator.

        Parameters depend on one another, each measurement on them and on the brightness, which its
        number refers to. Where measurements are given, parameters must attend to them: the edges go
        both ways. A parameter that is left out would tie the measurements to one another: there all
        nodes stay joined.
        """
        parameters, nodes = len(self.parameters_of_star), question.given.shape[1]
        place = torch.arange(nodes, device=question.given.device)
        parent = place < parameters
        if self.features.placed:
            parent |= place == nodes - 1
        parents = parent.expand(nodes, nodes)
        graphs = [graph_edges(parents, undirected=undirected) for undirected in (False, True)]
        kinds = torch.stack([torch.ones_like(graphs[0]), *graphs])
        told = question.given[:, parameters:].any(1).long()
        graph = torch.rand(len(question.given)).to(told.device) < GRAPHS
        graph &= (question.given | question.latent)[:, :parameters].all(1)
        edges = kinds[torch.where(graph, 1 + told, 0)]
        return replace(question, edges=edges)

    def _is_knowledge(self, known: Measurements) -> Tensor:
        names = [name.startswith(PRIOR) for name in known.channels]
        return torch.tensor(names, device=known.device)[known.channel]
