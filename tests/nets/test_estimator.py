"""The posterior as a network: its density in physical units and its draws."""

import math

import pytest
import torch

from maury.measurements import Measurements
from maury.nets.config import NetworkConfig
from maury.nets.estimator import Estimator
from maury.parameters import PARAMETERS
from maury.sky.populations import STAR

BANDS = ("GAIA/GAIA3.G", "2MASS/2MASS.J", "2MASS/2MASS.Ks")
ENCODERS = [
    {"kind": "deep_set", "width": 16, "layers": 1, "feedforward": 16},
    {"kind": "set_transformer", "width": 16, "layers": 1, "heads": 2, "feedforward": 16},
]
FLOWS = [
    {"kind": "spline", "transforms": 2, "hidden": 16},
    {"kind": "maf", "blocks": 2, "hidden": 16, "components": 2},
]
FIVE = STAR


def observations(count: int) -> Measurements:
    generator = torch.Generator().manual_seed(1)
    value = 10 + 4 * torch.rand(count, 3, generator=generator)
    return Measurements.from_dense(BANDS, value, torch.full_like(value, 0.03))


def truth(count: int, names: tuple[str, ...]) -> torch.Tensor:
    z = torch.randn(count, len(names), generator=torch.Generator().manual_seed(2))
    return torch.stack([PARAMETERS[n].to_physical(0.7 * z[:, i]) for i, n in enumerate(names)], -1)


def estimator(
    names: tuple[str, ...], encoder: dict[str, object], flow: dict[str, object]
) -> Estimator:
    torch.manual_seed(0)
    config = NetworkConfig.model_validate({"encoder": encoder, "flow": flow})
    network = Estimator(names, BANDS, config)
    network.fit_scales(truth(500, names), observations(500))
    with torch.no_grad():
        # Fresh flows are near the identity: let this one bend.
        for weight in network.flow.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return network.eval()


@pytest.mark.parametrize("flow", FLOWS, ids=lambda f: f["kind"])
@pytest.mark.parametrize("names", [("logg", "mh"), ("teff", "a_v")])
def test_density_integrates_to_one_between_the_bounds(
    names: tuple[str, ...], flow: dict[str, object]
) -> None:
    """On a grid in physical units, evenly spaced on each parameter's own scale."""
    network = estimator(names, ENCODERS[0], flow)
    axes, weights = [], []
    for name in names:
        p = PARAMETERS[name]
        fraction = (torch.arange(300, dtype=torch.float64) + 0.5) / 300
        if p.scale == "log":
            x = p.lower * (p.upper / p.lower) ** fraction
            weights.append(x * math.log(p.upper / p.lower) / 300)
        else:
            x = p.lower + (p.upper - p.lower) * fraction
            weights.append(torch.full_like(x, (p.upper - p.lower) / 300))
        axes.append(x)
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 1, 2)
    cell = (weights[0][:, None] * weights[1]).reshape(-1)
    with torch.no_grad():
        context = network.context(observations(3))
        density = network.log_prob(grid.float().expand(-1, 3, -1), context).double().exp()
    total = (density * cell[:, None]).sum(0)
    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64), atol=0.01, rtol=0)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda f: f["kind"])
def test_draws_are_bounded_and_have_a_density(flow: dict[str, object]) -> None:
    network = estimator(FIVE, ENCODERS[1], flow)
    noise = torch.rand(300, 4, network.noise_size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        context = network.context(observations(4))
        draws = network.draw(noise, context)
        assert torch.isfinite(network.log_prob(draws, context)).all()
    for i, name in enumerate(FIVE):
        assert draws[..., i].min() > torch.tensor(PARAMETERS[name].lower)
        assert draws[..., i].max() < torch.tensor(PARAMETERS[name].upper)


def test_loss_is_the_density_of_the_truth_but_for_a_constant() -> None:
    network = estimator(FIVE, ENCODERS[0], FLOWS[0])
    theta, obs = truth(50, FIVE), observations(50)
    with torch.no_grad():
        log_p = network.log_prob(theta, network.context(obs))
        z = torch.stack([PARAMETERS[n].to_real(theta[:, i]) for i, n in enumerate(FIVE)], -1)
        jacobian = sum(PARAMETERS[n].log_abs_det(theta[:, i]) for i, n in enumerate(FIVE))
        whitened = log_p - jacobian + network.scale.log().sum()
        torch.testing.assert_close(-whitened.mean(), network.loss(theta, obs))
    torch.testing.assert_close((z - network.centre) / network.scale, network.whitened(theta, None))


def test_scales_whiten_what_they_were_fitted_to() -> None:
    network = estimator(FIVE, ENCODERS[0], FLOWS[0])
    white = network.whitened(truth(500, FIVE), None)
    torch.testing.assert_close(white.median(0).values, torch.zeros(5), atol=1e-4, rtol=0)
    low, high = torch.quantile(white, torch.tensor([0.16, 0.84]), dim=0)
    torch.testing.assert_close((high - low) / 2, torch.ones(5), atol=1e-4, rtol=0)


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: e["kind"])
@pytest.mark.parametrize("flow", FLOWS, ids=lambda f: f["kind"])
def test_gradients_reach_the_encoder_and_the_flow(
    encoder: dict[str, object], flow: dict[str, object]
) -> None:
    network = estimator(FIVE, encoder, flow).train()
    network.loss(truth(64, FIVE), observations(64)).backward()
    for part in (network.encoder, network.flow):
        size = sum(w.grad.abs().sum() for w in part.parameters() if w.grad is not None)
        assert torch.isfinite(size)
        assert size > 0


@pytest.mark.parametrize("flow", FLOWS, ids=lambda f: f["kind"])
def test_context_reaches_every_coordinate(flow: dict[str, object]) -> None:
    """A predecessor's flow let the context into its first layer only: coordinate 0 was blind."""
    network = estimator(FIVE, ENCODERS[0], flow)
    noise = torch.rand(50, 1, network.noise_size, generator=torch.Generator().manual_seed(4))
    obs = observations(2)
    with torch.no_grad():
        one, other = (network.draw(noise, network.context(obs[i : i + 1])) for i in (0, 1))
    assert ((one != other).float().mean((0, 1)) > 0.9).all()
