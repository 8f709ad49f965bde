"""Masked autoregressive flow whose context reaches every layer of every block.

Papamakarios et al. 2017 (arXiv:1705.07057) on MADE (Germain et al. 2015, arXiv:1502.03509).
Where the context enters the first masked layer alone, later layers see it only through units that
survive the masks; here it is added before every non-linearity and to every output. Hidden units
of degree 0 see the context and no coordinate, so that the first coordinate, too, depends on the
context non-linearly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maury.nets.flow import Flow, bounded, log_normal, normal_quantile

__all__ = ["MaskedAutoregressiveFlow"]

# |log scale| of one block: ten blocks stay within exp(30), inside float32.
LOG_SCALE = 3.0
# What the networks see of a coordinate levels off at this value: far outliers cannot blow up the
# shifts of the coordinates after them.
INPUT_BOUND = 10.0


def _squash(x: Tensor) -> Tensor:
    return x * torch.rsqrt(1.0 + (x / INPUT_BOUND).square())


class MADE(nn.Module):
    """u_i = z_i exp(s_i) + t_i with (s_i, t_i) a network of z_1 .. z_(i-1) and the context.

    Hidden units are sorted by degree: units of degree d see the first d coordinates. The inverse
    then needs no repeated passes through the network: each coordinate found completes exactly
    the units of the next degree, and all of them together cost one pass.
    """

    mask_output: Tensor

    def __init__(self, features: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.features = features
        sizes = [features] + [hidden] * layers
        self.weights = nn.ParameterList(
            nn.init.kaiming_uniform_(torch.empty(o, i), a=5**0.5) for i, o in pairwise(sizes)
        )
        # Small outputs: the block starts near the identity.
        self.output = nn.Parameter(0.1 * torch.randn(2 * features, hidden) / hidden**0.5)
        degree = torch.arange(hidden) * features // hidden
        seen = torch.arange(features)
        masks = [degree[:, None] > seen] + [degree[:, None] >= degree] * (layers - 1)
        for i, mask in enumerate(masks):
            self.register_buffer(f"mask{i}", mask, persistent=False)
        self.register_buffer(
            "mask_output", (seen[:, None] >= degree).repeat(2, 1), persistent=False
        )
        edges = torch.searchsorted(degree, torch.arange(features + 1))
        self.edges: list[int] = edges.tolist()
        self.condition_sizes = [hidden] * layers + [2 * features]

    def masked(self) -> list[Tensor]:
        """Weights of all layers, output last, with the forbidden links at zero."""
        hidden = [w * self.get_buffer(f"mask{i}") for i, w in enumerate(self.weights)]
        return [*hidden, self.output * self.mask_output]

    def forward(self, z: Tensor, condition: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Map z (..., N, D) to u and log |det du/dz| (..., N)."""
        h = _squash(z)
        *weights, output = self.masked()
        for weight, add in zip(weights, condition[:-1], strict=True):
            h = F.relu(F.linear(h, weight) + add)
        scale, shift = (F.linear(h, output) + condition[-1]).chunk(2, dim=-1)
        scale = bounded(scale, LOG_SCALE)
        return z * scale.exp() + shift, scale.sum(dim=-1)

    def inverse(self, u: Tensor, condition: list[Tensor]) -> Tensor:
        """The z (K, N, D) that `forward` maps to ``u``; not differentiable."""
        # Units of degree 0 depend on the star alone: their share is the same for all K draws.
        first = self.edges[1]
        added = [condition[0]]
        for weight, add in zip([*self.weights[1:], self.output], condition[1:], strict=True):
            free = F.relu(added[-1][..., :first])
            added.append(add + F.linear(free, weight[:, :first]))
        shape = u.shape[:-1]
        hidden = [u.new_empty(*shape, len(w)) for w in self.weights]
        seen = torch.empty_like(u)
        z = torch.empty_like(u)
        for i in range(self.features):
            outputs = added[-1][..., i :: self.features]
            if i:
                start, stop = self.edges[i], self.edges[i + 1]
                below, known = seen[..., :i], slice(0, i)
                for layer, weight in enumerate(self.weights):
                    new = hidden[layer][..., start:stop]
                    share = F.linear(below, weight[start:stop, known])
                    torch.add(share, added[layer][..., start:stop], out=new).relu_()
                    known = slice(first, stop)
                    below = hidden[layer][..., known]
                outputs = F.linear(below, self.output[i :: self.features, known]) + outputs
            scale, shift = outputs.unbind(-1)
            z[..., i] = (u[..., i] - shift) * torch.exp(-bounded(scale, LOG_SCALE))
            seen[..., i] = _squash(z[..., i])
        return z


class GaussianMixture(nn.Module):
    """Mixture of multivariate Gaussians whose weights, means and widths follow the context.

    Component j has x = m_j + A_j^-1 e with e standard normal and A_j = W_j diag(exp(s_j)), W_j
    lower triangular with ones on the diagonal: correlations are learned, the rest depends on the
    context.
    """

    def __init__(self, features: int, components: int) -> None:
        super().__init__()
        self.features = features
        self.components = components
        self.condition_size = components * (1 + 2 * features)
        self.links = nn.Parameter(torch.zeros(components, features, features))
        self.means = nn.Parameter(torch.randn(components, features))

    def split(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights (N, J), means (N, J, D), log scales (N, J, D)."""
        j, d = self.components, self.features
        weights, means, scales = condition.split((j, j * d, j * d), dim=-1)
        return (
            torch.log_softmax(weights, dim=-1),
            means.unflatten(-1, (j, d)) + self.means,
            bounded(scales.unflatten(-1, (j, d)), LOG_SCALE),
        )

    def _triangular(self) -> Tensor:
        strict = bounded(self.links, LOG_SCALE).tril(-1)
        return strict + torch.eye(self.features, dtype=strict.dtype, device=strict.device)

    def log_prob(self, x: Tensor, condition: Tensor) -> Tensor:
        """Log density (..., N) at x (..., N, D)."""
        log_weight, mean, scale = self.split(condition)
        e = (x.unsqueeze(-2) - mean) * scale.exp()
        e = torch.einsum("jab,...jb->...ja", self._triangular(), e)
        return torch.logsumexp(log_weight + scale.sum(-1) + log_normal(e), dim=-1)

    def draw(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Noise (..., N, 1 + D) to x: the first number picks the component."""
        log_weight, mean, scale = self.split(condition)
        edges = log_weight.exp().cumsum(dim=-1)[..., :-1]
        component = (noise[..., :1] > edges).sum(dim=-1)
        inverse = torch.linalg.inv(self._triangular())
        e = normal_quantile(noise[..., 1:])
        # All components at once and then the one: cheaper than gathering a matrix for each draw.
        every = torch.einsum("jab,...b->...ja", inverse, e) * torch.exp(-scale) + mean
        index = component[..., None, None].expand(*component.shape, 1, self.features)
        return every.gather(-2, index).squeeze(-2)


class MaskedAutoregressiveFlow(Flow):
    """Stacked MADE blocks over a Gaussian mixture.

    Parameters
    ----------
    features, context : int
        D and C.
    blocks : int
        MADE blocks (10 in the paper of IrisML).
    hidden : int
        Units in each hidden layer.
    layers : int
        Hidden layers of a block.
    components : int
        Gaussians of the base (5).
    """

    orders: Tensor

    def __init__(
        self,
        features: int,
        context: int,
        *,
        blocks: int = 10,
        hidden: int = 256,
        layers: int = 2,
        components: int = 5,
    ) -> None:
        super().__init__(features, context, noise_size=features + 1)
        made = [MADE(features, hidden, layers) for _ in range(blocks)]
        self.blocks = nn.ModuleList(made)
        self.base = GaussianMixture(features, components)
        self.sizes = [size for block in made for size in block.condition_sizes]
        self.sizes.append(self.base.condition_size)
        self.conditioner = nn.Linear(context, sum(self.sizes))
        self._calm_outputs(layers + 1)
        # Each pair of blocks takes one random order and its reverse.
        generator = torch.Generator().manual_seed(0)
        orders: list[Tensor] = []
        for i in range(blocks):
            fresh = torch.randperm(features, generator=generator)
            orders.append(orders[-1].flip(0) if i % 2 else fresh)
        self.register_buffer("orders", torch.stack(orders))

    @torch.no_grad()
    def _calm_outputs(self, per_block: int) -> None:
        """Shrink the context's first say in scales and shifts: a start near the base."""
        weights = self.conditioner.weight.split(self.sizes)
        biases = self.conditioner.bias.split(self.sizes)
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            is_output = i % per_block == per_block - 1 or i == len(self.sizes) - 1
            if is_output:
                weight.mul_(0.1)
                bias.zero_()

    def _made(self) -> list[MADE]:
        return cast(list[MADE], list(self.blocks))

    def _condition(self, context: Tensor) -> tuple[Tensor, ...]:
        return self.conditioner(context).split(self.sizes, dim=-1)

    def _encode(self, z: Tensor, condition: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        log_det = z.new_zeros(z.shape[:-1])
        parts = list(condition)
        for block, order in zip(self._made(), self.orders, strict=True):
            n = len(block.condition_sizes)
            z, change = block(z[..., order], parts[:n])
            log_det = log_det + change
            parts = parts[n:]
        return z, log_det

    def encode(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        return self._encode(z, self._condition(context))

    def log_prob(self, z: Tensor, context: Tensor) -> Tensor:
        condition = self._condition(context)
        u, log_det = self._encode(z, condition)
        return self.base.log_prob(u, condition[-1]) + log_det

    def _decode(self, noise: Tensor, condition: tuple[Tensor, ...]) -> Tensor:
        z = self.base.draw(noise, condition[-1])
        parts = list(condition[:-1])
        for block, order in zip(self._made()[::-1], self.orders.flip(0), strict=True):
            n = len(block.condition_sizes)
            z = block.inverse(z, parts[-n:])[..., torch.argsort(order)]
            parts = parts[:-n]
        return z
