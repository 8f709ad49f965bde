"""Spline coupling flow: density and draws each in one pass.

Couplings (Dinh et al. 2017, arXiv:1605.08803) with rational-quadratic splines (Durkan et al.
2019, arXiv:1906.04032) shape a standard normal; then, nearest the data, a spline of each
coordinate and a triangular affine map follow from the context alone. Those two cost one small
matrix product for each star, not each draw, and carry location, scale, correlation and skewness;
the couplings are left with the rest.
"""

from __future__ import annotations

from itertools import combinations
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.nets.flow import Flow, beside, bounded, log_normal, normal_quantile
from maury.nets.splines import Knots, knots, parameters_per_spline, spline_forward, spline_inverse
from maury.nets.triangular import TriangularMap

__all__ = ["Conditions", "SplineCouplingFlow", "splits"]

Conditions = tuple[list[Tensor], Knots, tuple[Tensor, Tensor, Tensor]]

# Where the activation of the couplings' networks, silu, is one.
BEFORE_ONE = 1.2784645427610738

# Log of the scale that a coupling gives to a coordinate.
STEERED_LOG_SCALE = 3.0


def splits(features: int, count: int) -> list[tuple[list[int], list[int]]]:
    """Which coordinates steer and which are steered, for each of ``count`` couplings.

    Couplings come in pairs of opposite roles. Each pair parts as many coordinates from one
    another as possible that no earlier pair has parted, so that with few couplings every
    coordinate steers every other.

    Returns
    -------
    list of (steering, steered), each a list of coordinates
    """
    halves = list(combinations(range(features), (features + 1) // 2))
    apart = dict.fromkeys(combinations(range(features), 2), 0)
    chosen: list[tuple[list[int], list[int]]] = []
    while len(chosen) < count:
        best = max(
            halves,
            key=lambda half: sum(
                2.0**-times for (a, b), times in apart.items() if (a in half) != (b in half)
            ),
        )
        rest = [i for i in range(features) if i not in best]
        for a, b in apart:
            apart[a, b] += (a in best) != (b in best)
        chosen += [(list(best), rest), (rest, list(best))]
    return chosen[:count]


class Coupling(nn.Module):
    """Affine maps, then splines, of some coordinates, steered by the others and the context.

    The affine part bends the density by shifting whole conditionals, which a spline within its
    bounds could only imitate, and reaches the tails, where splines are the identity.
    """

    steering: Tensor
    steered: Tensor
    outputs: Tensor

    def __init__(
        self,
        steering: list[int],
        steered: list[int],
        *,
        hidden: int,
        layers: int,
        bins: int,
        bound: float,
    ) -> None:
        super().__init__()
        self.bins, self.bound = bins, bound
        order = torch.tensor(steering + steered)
        self.register_buffer("steering", order[: len(steering)], persistent=False)
        self.register_buffer("steered", order[len(steering) :], persistent=False)
        # The context and its bias join after this product: see SplineCouplingFlow.conditioner.
        self.first = nn.Linear(len(steering), hidden, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.last = nn.Linear(hidden, len(steered) * (2 + parameters_per_spline(bins)))
        # The layer's outputs lie coordinate after coordinate; wanted is kind after kind.
        outputs = torch.arange(self.last.out_features).view(len(steered), -1).T.flatten()
        self.register_buffer("outputs", outputs, persistent=False)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            self.last.bias.zero_()

    def _steer(self, steering: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Knots]:
        """Shift and log scale of the affine maps, and knots of the splines."""
        rows = steering.shape[1:]
        one = torch.full_like(condition[:1], BEFORE_ONE)
        h = F.pad(self.first.weight, (0, 0, 0, 1)) @ steering.flatten(1)
        h = F.silu(h.unflatten(1, rows) + torch.cat((condition, one))).flatten(1)
        for layer in cast(list[nn.Linear], list(self.hidden)):
            h = F.silu(_passing_one_on(_with_bias(layer)) @ h)
        kinds = 2 + parameters_per_spline(self.bins)
        raw = (_with_bias(self.last)[self.outputs] @ h).view(kinds, len(self.steered), *rows)
        shift, scale = raw[0], bounded(raw[1], STEERED_LOG_SCALE)
        return shift, scale, knots(raw[2:], self.bins)

    def forward(self, z: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Towards the base: u (D, ..., N), and log |du/dz| coordinate by coordinate."""
        kept = z.index_select(0, self.steering)
        shift, scale, table = self._steer(kept, condition)
        moved = (z.index_select(0, self.steered) - shift) * torch.exp(-scale)
        moved, log_slope = spline_forward(moved, table, self.bound)
        slopes = torch.zeros_like(z).index_copy(0, self.steered, log_slope - scale)
        return z.index_copy(0, self.steered, moved), slopes

    def inverse(self, u: Tensor, condition: Tensor) -> Tensor:
        """The z that `forward` maps to ``u``."""
        kept = u.index_select(0, self.steering)
        shift, scale, table = self._steer(kept, condition)
        moved = spline_inverse(u.index_select(0, self.steered), table, self.bound)
        moved = torch.addcmul(shift, moved, torch.exp(scale))
        return u.index_copy(0, self.steered, moved)


def _with_bias(layer: nn.Linear) -> Tensor:
    """A layer's weights, and its bias as one more column for a unit that is always one: to add a
    bias to a product takes another pass through memory."""
    return torch.cat((layer.weight, layer.bias[:, None]), dim=1)


def _passing_one_on(weight: Tensor) -> Tensor:
    """A layer whose last unit is one again if what it reads ends in a one."""
    row = F.pad(weight.new_full((1, 1), BEFORE_ONE), (weight.shape[1] - 1, 0))
    return torch.cat((weight, row))


class SplineCouplingFlow(Flow):
    """Couplings, then a spline of each coordinate and a triangular affine map from the context.

    Parameters
    ----------
    features, context : int
        D and C.
    transforms : int
        Couplings; six let every one of up to eight coordinates steer every other.
    hidden, layers : int
        Width and number of the hidden layers of each coupling's network.
    bins : int
        Bins of each spline.
    bound : float
        Splines act within +-bound, in the units of the affine map.
    """

    def __init__(
        self,
        features: int,
        context: int,
        *,
        transforms: int = 6,
        hidden: int = 64,
        layers: int = 2,
        bins: int = 8,
        bound: float = 6.0,
    ) -> None:
        super().__init__(features, context, noise_size=features)
        self.bins, self.bound = bins, bound
        pairs = splits(features, transforms) if features > 1 else []
        self.couplings = nn.ModuleList(
            Coupling(a, b, hidden=hidden, layers=layers, bins=bins, bound=bound) for a, b in pairs
        )
        self.map = TriangularMap(features)
        own = features * parameters_per_spline(bins)
        self.sizes = [hidden] * len(pairs) + [own, self.map.condition_size]
        self.conditioner = nn.Linear(context, sum(self.sizes))
        with torch.no_grad():
            quiet = sum(self.sizes[len(pairs) :])
            self.conditioner.weight[-quiet:].mul_(0.1)
            self.conditioner.bias[-quiet:].zero_()

    def _couplings(self) -> list[Coupling]:
        return cast(list[Coupling], list(self.couplings))

    def _condition(self, context: Tensor) -> tuple[Tensor, ...]:
        raw = torch.addmm(self.conditioner.bias[:, None], self.conditioner.weight, context.T)
        *steer, own, affine = raw.split(self.sizes)
        own = own.unflatten(0, (self.features, -1)).transpose(0, 1)
        return (*steer, *knots(own, self.bins), *self.map.condition(affine))

    def _among(self, rows: int, condition: tuple[Tensor, ...]) -> Conditions:
        """Conditions of the couplings, of the spline and of the map, broadcasting among draws."""
        *steer, edges, slope, shift, scale, lower = (beside(x, rows) for x in condition)
        return steer, (edges, slope), (shift, scale, lower)

    def encode(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        steer, table, affine = self._among(z.dim() - 1, self._condition(context))
        v, log_det = self.map(z.movedim(-1, 0), affine)
        u, log_slope = spline_forward(v, table, self.bound)
        log_det = log_det + log_slope.sum(dim=0)
        for coupling, add in zip(self._couplings()[::-1], steer[::-1], strict=True):
            u, change = coupling(u, add)
            log_det = log_det + change.sum(dim=0)
        return u.movedim(0, -1), log_det

    def log_prob(self, z: Tensor, context: Tensor) -> Tensor:
        u, log_det = self.encode(z, context)
        return log_normal(u) + log_det

    def _decode(self, noise: Tensor, condition: tuple[Tensor, ...]) -> Tensor:
        steer, table, affine = self._among(noise.dim() - 1, condition)
        u = normal_quantile(noise.movedim(-1, 0).contiguous())
        for coupling, add in zip(self._couplings(), steer, strict=True):
            u = coupling.inverse(u, add)
        v = spline_inverse(u, table, self.bound)
        return self.map.inverse(v, affine).movedim(0, -1)
