"""Priors on the dust before a star: A_V and R_V, independent of the star and of each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maury.sky.populations.densities import TruncatedExponentials, TruncatedNormals, float32_bounds

__all__ = ["FIELD_DUST", "PAPER_DUST", "DustPrior"]


@dataclass(frozen=True, kw_only=True)
class DustPrior:
    """Independent densities of A_V (mag) and R_V, the latter a truncated normal.

    Parameters
    ----------
    a_v : TruncatedExponentials
        Density of A_V, mag.
    r_v_mean, r_v_sigma, r_v_lower, r_v_upper : float
        Normal density of R_V and where it is truncated.
    """

    a_v: TruncatedExponentials
    r_v_mean: float
    r_v_sigma: float
    r_v_lower: float
    r_v_upper: float

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw ``count`` pairs: A_V (n,) in mag and R_V (n,), float64."""
        r_v = self._r_v.sample(*self._r_v_bounds(generator.device), count, generator)
        return self.a_v.sample(count, generator), r_v

    def log_prob(self, a_v: Tensor, r_v: Tensor) -> Tensor:
        """Log density per mag and per unit of R_V, of equal shape (n,)."""
        return self.a_v.log_prob(a_v) + self.log_prob_r_v(r_v)

    def log_prob_r_v(self, r_v: Tensor) -> Tensor:
        """Log density per unit of R_V (n,)."""
        return self._r_v.log_prob(r_v, *self._r_v_bounds(r_v.device))

    @property
    def _r_v(self) -> TruncatedNormals:
        return TruncatedNormals([1.0], [self.r_v_mean], [self.r_v_sigma])

    def _r_v_bounds(self, device: torch.device) -> tuple[Tensor, Tensor]:
        bounds = float32_bounds(self.r_v_lower, self.r_v_upper)
        lower, upper = torch.tensor(bounds, dtype=torch.float64, device=device)
        return lower, upper


# Scales from nearby stars (0.08 mag) to the inner disc (3 mag), median 0.12 mag. Colours cannot
# tell dust from temperature, so more dust makes unreddened stars hotter by hundreds of kelvin.
# Chosen after seeing that on development stars: docs/experiments/what-moved-real-stars.md.
FIELD_DUST = DustPrior(
    a_v=TruncatedExponentials(
        [0.50, 0.30, 0.17, 0.03], [0.08, 0.3, 1.0, 3.0], lower=1e-4, upper=20.0
    ),
    r_v_mean=3.15,
    r_v_sigma=0.25,
    r_v_lower=2.3,
    r_v_upper=5.6,
)
"""Dust of the field prior."""

PAPER_DUST = DustPrior(
    a_v=TruncatedExponentials([1.0], [1.5], lower=0.003, upper=20.0, start=0.003),
    r_v_mean=3.13,
    r_v_sigma=0.18,
    r_v_lower=2.5,
    r_v_upper=4.5,
)
"""Dust of IrisML's training set, as its authors coded it."""
