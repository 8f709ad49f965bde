"""A posterior known in closed form: linear measurements of a Gaussian prior."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from astropy.table import Table
from torch import Tensor
from torch.distributions import MultivariateNormal

from maury.measurements import Measurements

CHANNELS = ("GAIA/GAIA3.G", "2MASS/2MASS.J", "parallax")
COLUMNS = ("gaia_g", "tmass_j", "parallax")
RESPONSE = torch.tensor([[1.0, 0.0], [1.0, 1.5], [-0.5, 1.0]], dtype=torch.float64)
OFFSET = torch.tensor([10.0, 9.0, 5.0], dtype=torch.float64)
PRIOR_MEAN = torch.tensor([4.0, -0.5], dtype=torch.float64)
PRIOR_SIGMA = torch.tensor([0.4, 0.3], dtype=torch.float64)


@dataclass(frozen=True)
class ConjugateGaussian:
    """The exact posterior, or one ``width`` times as wide and moved by ``bias`` of its width."""

    width: float = 1.0
    bias: float = 0.0
    parameters: tuple[str, ...] = ("logg", "mh")

    @staticmethod
    def simulate(stars: int, *, seed: int) -> tuple[Tensor, Measurements]:
        """Truth (N, 2) and its measurements, a third of them missing."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(stars, 2, generator=generator, dtype=torch.float64)
        theta = PRIOR_MEAN + PRIOR_SIGMA * noise
        sigma = 0.1 + 0.3 * torch.rand(stars, 3, generator=generator, dtype=torch.float64)
        value = OFFSET + theta @ RESPONSE.T
        value = value + sigma * torch.randn(stars, 3, generator=generator, dtype=torch.float64)
        missing = torch.rand(stars, 3, generator=generator) < 1 / 3
        missing[:, 0] = False
        value[missing] = torch.nan
        return theta.float(), Measurements.from_dense(CHANNELS, value.float(), sigma.float())

    @classmethod
    def catalog(cls, stars: int, *, seed: int) -> tuple[Table, np.ndarray]:
        """The same as a table with maury's column names, and the truth."""
        theta, obs = cls.simulate(stars, seed=seed)
        table = Table()
        value, sigma = dense(obs)
        for i, name in enumerate(COLUMNS):
            table[name], table[f"{name}_err"] = value[:, i], sigma[:, i]
        return table, theta.double().numpy()

    def sample(self, obs: Measurements, draws: int, *, seed: int = 0) -> SimpleNamespace:
        mean, root = self._moments(obs)
        # Noise keyed by the star alone, as an answer must not depend on the batch.
        keys = obs.hash().numpy().view(np.uint64).tolist()
        each = [np.random.default_rng([seed, key]).normal(size=(draws, 2)) for key in keys]
        values = mean + torch.einsum("nij,nkj->kni", root, torch.as_tensor(np.stack(each)))
        values[:, obs.count == 0] = torch.nan
        return SimpleNamespace(values=values.float())

    def log_prob(self, obs: Measurements, theta: Tensor) -> Tensor:
        mean, root = self._moments(obs)
        density = MultivariateNormal(mean, scale_tril=root, validate_args=False)
        return density.log_prob(theta.double())

    def _moments(self, obs: Measurements) -> tuple[Tensor, Tensor]:
        value, sigma = (torch.as_tensor(array).double() for array in dense(obs))
        weight = torch.where(value.isnan(), 0.0, sigma**-2)
        residual = (value - OFFSET - PRIOR_MEAN @ RESPONSE.T).nan_to_num()
        precision = torch.diag(PRIOR_SIGMA**-2) + torch.einsum(
            "ci,nc,cj->nij", RESPONSE, weight, RESPONSE
        )
        covariance = torch.linalg.inv(precision)
        shift = torch.einsum("nij,cj,nc->ni", covariance, RESPONSE, weight * residual)
        deviation = covariance.diagonal(dim1=1, dim2=2).sqrt()
        mean = PRIOR_MEAN + shift + self.bias * deviation
        return mean, self.width * torch.linalg.cholesky(covariance)


def dense(obs: Measurements) -> tuple[np.ndarray, np.ndarray]:
    """Values and errors (N, 3) in the order of CHANNELS, NaN where absent."""
    value, sigma = np.full((2, len(obs), len(CHANNELS)), np.nan, dtype=np.float32)
    for star, slot in obs.present.nonzero().tolist():
        column = CHANNELS.index(obs.channels[obs.channel[star, slot]])
        value[star, column] = obs.value[star, slot]
        sigma[star, column] = obs.sigma[star, slot]
    return value, sigma


@pytest.fixture(scope="session")
def gaussian() -> type[ConjugateGaussian]:
    """The posterior's class, which also simulates."""
    return ConjugateGaussian
