"""Sequential spline flow: one coordinate after another, each given those before it.

The density is a product of one-dimensional conditionals p(v_i | v_1 .. v_(i-1), context), each an
affine map and a rational-quadratic spline (Durkan et al. 2019, arXiv:1906.04032) of a standard
normal, with a network of its own (autoregressive flows: Papamakarios et al. 2017,
arXiv:1705.07057). A single such layer can take any shape in a few dimensions, and a draw costs D
small networks. Nearest the data a triangular affine map that follows from the context alone takes
out location, scale and correlation, so that the conditionals see numbers of order one.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.nets.flow import Flow, beside, bounded, log_normal, normal_quantile
from maury.nets.splines import knots, parameters_per_spline, spline_forward, spline_inverse
from maury.nets.triangular import TriangularMap

__all__ = ["SequentialSplineFlow"]

# Log of the scale of a conditional's affine map.
LOG_SCALE = 6.0
# What the networks see of a coordinate levels off at this value.
INPUT_BOUND = 10.0


class SequentialSplineFlow(Flow):
    """One autoregressive layer of splines behind a triangular affine map.

    Parameters
    ----------
    features, context : int
        D and C.
    hidden, layers : int
        Width and number of the hidden layers of each coordinate's network.
    bins : int
        Bins of each spline.
    bound : float
        Splines act within +-bound, in the units of the affine map.
    """

    earlier: Tensor

    def __init__(
        self,
        features: int,
        context: int,
        *,
        hidden: int = 96,
        layers: int = 2,
        bins: int = 12,
        bound: float = 6.0,
    ) -> None:
        super().__init__(features, context, noise_size=features)
        self.bins, self.bound, self.hidden = bins, bound, hidden
        out = 2 + parameters_per_spline(bins)
        self.map = TriangularMap(features)
        self.first = nn.Parameter(_uniform(features, features, hidden, fan_in=features))
        self.weights = nn.ParameterList(
            _uniform(features, hidden, hidden, fan_in=hidden) for _ in range(layers - 1)
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(features, 1, hidden)) for _ in range(layers - 1)
        )
        # Small, so that the flow starts near the affine map from the context.
        self.last = nn.Parameter(0.1 * _uniform(features, hidden, out, fan_in=hidden))
        self.sizes = [features * hidden, features * out, self.map.condition_size]
        self.conditioner = nn.Linear(context, sum(self.sizes))
        with torch.no_grad():
            quiet = sum(self.sizes[1:])
            self.conditioner.weight[-quiet:].mul_(0.1)
            self.conditioner.bias[-quiet:].zero_()
        earlier = torch.ones(features, features).tril(-1).unsqueeze(-1)
        self.register_buffer("earlier", earlier, persistent=False)

    def _condition(self, context: Tensor) -> tuple[Tensor, ...]:
        steer, raw, affine = self.conditioner(context).split(self.sizes, dim=-1)
        return (
            steer.unflatten(-1, (self.features, self.hidden)),
            raw.unflatten(-1, (self.features, -1)),
            *self.map.condition(affine.T),
        )

    def _raw(self, seen: Tensor, steer: Tensor, raw: Tensor, which: slice) -> Tensor:
        """Numbers (out, d, R) of the conditionals ``which`` (d of them), all networks at once.

        ``seen`` is (R, D), ``steer`` (R, d, hidden), ``raw`` (R, d, out).
        """
        weight = (self.first * self.earlier)[which]
        h = F.silu(torch.matmul(seen, weight) + steer.transpose(0, 1))
        for w, b in zip(self.weights, self.biases, strict=True):
            h = F.silu(torch.baddbmm(b[which], h, w[which]))
        return torch.baddbmm(raw.transpose(0, 1), h, self.last[which]).movedim(-1, 0)

    def encode(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        steer, raw, *affine = self._condition(context)
        v, log_det = self.map(z.movedim(-1, 0), [beside(x, z.dim() - 1) for x in affine])
        rows = v.shape[1:]
        flat = v.flatten(1)
        steer = steer.expand(*rows, -1, -1).reshape(-1, *steer.shape[-2:])
        raw = raw.expand(*rows, -1, -1).reshape(-1, *raw.shape[-2:])
        numbers = self._raw(_squash(flat).T, steer, raw, slice(None))
        shift, scale = numbers[0], bounded(numbers[1], LOG_SCALE)
        table = knots(numbers[2:], self.bins)
        u, log_slope = spline_forward((flat - shift) * torch.exp(-scale), table, self.bound)
        change = (log_slope - scale).sum(0).reshape(rows)
        return u.view_as(v).movedim(0, -1), log_det + change

    def log_prob(self, z: Tensor, context: Tensor) -> Tensor:
        u, log_det = self.encode(z, context)
        return log_normal(u) + log_det

    def _decode(self, noise: Tensor, condition: tuple[Tensor, ...]) -> Tensor:
        steer, raw, *affine = condition
        rows = noise.shape[:-1]
        u = normal_quantile(noise).flatten(0, -2).T
        v = torch.zeros_like(u)
        for i in range(self.features):
            which = slice(i, i + 1)
            steered = steer[:, which].expand(*rows, -1, -1).reshape(-1, 1, self.hidden)
            added = raw[:, which].expand(*rows, -1, -1).reshape(u.shape[1], 1, -1)
            numbers = self._raw(_squash(v).T, steered, added, which)[:, 0]
            scale = bounded(numbers[1], LOG_SCALE)
            moved = spline_inverse(u[i], knots(numbers[2:], self.bins), self.bound)
            v[i] = moved * torch.exp(scale) + numbers[0]
        v = v.unflatten(1, rows)
        return self.map.inverse(v, [beside(x, len(rows)) for x in affine]).movedim(0, -1)


def _squash(x: Tensor) -> Tensor:
    return x * torch.rsqrt(1.0 + (x / INPUT_BOUND).square())


def _uniform(*shape: int, fan_in: int) -> nn.Parameter:
    bound = 1.0 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))
