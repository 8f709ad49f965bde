"""A triangular affine map of each star's own: location, scale and correlation of a posterior."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maury.nets.flow import bounded

__all__ = ["TriangularMap"]

# Log of the scale of a coordinate, and the links between coordinates.
LOG_SCALE = 10.0
LINK = 10.0


class TriangularMap(nn.Module):
    """v = L (z - shift) / scale, with L unit lower triangular; all three are given per star.

    Parameters
    ----------
    features : int
        D.
    """

    below: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.sizes = [features, features, features * (features - 1) // 2]
        self.register_buffer("below", torch.tril_indices(features, features, -1), persistent=False)

    @property
    def condition_size(self) -> int:
        """How many numbers describe the map of one star."""
        return sum(self.sizes)

    def condition(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Shift (D, N), log scale (D, N) and L (D, D, N) from unconstrained numbers; 0 is none."""
        shift, scale, links = raw.split(self.sizes)
        lower = torch.diag_embed(torch.ones_like(scale).T).movedim(0, -1)
        row, column = self.below
        return (
            shift,
            bounded(scale, LOG_SCALE),
            lower.index_put((row, column), bounded(links, LINK)),
        )

    def forward(self, z: Tensor, condition: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Towards the base: v (D, ..., N) and log |det dv/dz| (N,)."""
        shift, scale, lower = condition
        v = (z - shift) * torch.exp(-scale)
        return (lower * v).sum(dim=1), -scale.sum(dim=0)

    def inverse(self, v: Tensor, condition: Sequence[Tensor]) -> Tensor:
        """The z that `forward` maps to ``v``."""
        shift, scale, lower = condition
        solved: list[Tensor] = []
        for i in range(self.features):
            solved.append(v[0])
            v = torch.addcmul(v[1:], lower[i + 1 :, i], v[0], value=-1.0)
        return torch.addcmul(shift, torch.stack(solved), torch.exp(scale))
