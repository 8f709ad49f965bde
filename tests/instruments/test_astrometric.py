"""Parallaxes: errors as published, noise as stated, gaps that say nothing."""

from itertools import pairwise
from math import log, pi

import pytest
import torch
from pydantic import ValidationError

from maury.instruments.astrometric import AstrometricConfig, AstrometricInstrument, typical_error
from maury.instruments.parallax_zero_point import DR2_UNCERTAINTY, DR3_UNCERTAINTY

PLAIN = AstrometricConfig(dr2_fraction=0, poor_fraction=0, outlier_fraction=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("g", "low", "high"),
    # Medians of EDR3, mas: Gaia Collaboration, Brown et al. 2021 (A&A 649, A1), table 3.
    [(10.0, 0.01, 0.03), (14.5, 0.02, 0.03), (17.0, 0.06, 0.08), (20.0, 0.45, 0.6)],
)
def test_typical_errors_are_those_published(g: float, low: float, high: float) -> None:
    assert low < float(typical_error(torch.tensor(g))) < high


def test_typical_errors_grow_to_both_ends() -> None:
    g = torch.linspace(2, 21, 500, dtype=torch.float64)
    error = typical_error(g)
    assert (error.diff()[g[1:] < 8] < 0).all()
    assert (error.diff() >= 0)[g[:-1] >= 8].all()
    assert (error.diff().abs() < 0.1 * error[1:]).all()


def test_errors_scatter_about_the_typical_one() -> None:
    g = torch.full((40_000,), 16.0)
    measured, sigma = AstrometricInstrument(PLAIN).run(g, seeded())
    typical = torch.hypot(typical_error(g[0]), torch.tensor(DR3_UNCERTAINTY))
    assert float(sigma.median()) == pytest.approx(float(typical), rel=0.02)
    assert float(measured.float().mean()) == pytest.approx(PLAIN.measured_fraction, abs=0.01)
    # A gap says nothing: errors are the same where nothing was measured.
    assert float(sigma[measured].mean()) == pytest.approx(float(sigma[~measured].mean()), rel=0.02)


def test_some_errors_are_those_of_dr2_and_some_poor() -> None:
    g = torch.full((40_000,), 14.0)
    new = AstrometricInstrument(PLAIN).run(g, seeded())[1]
    old = AstrometricInstrument(PLAIN.model_copy(update={"dr2_fraction": 1.0})).run(g, seeded())[1]
    old, new = ((s**2 - u**2).sqrt() for s, u in ((old, DR2_UNCERTAINTY), (new, DR3_UNCERTAINTY)))
    ratio = old / new
    assert 1.29 < float(ratio.min()) < 1.35
    assert 1.9 < float(ratio.max()) < 2.01
    poor = AstrometricInstrument(PLAIN.model_copy(update={"poor_fraction": 0.2})).run(g, seeded())
    worse = (poor[1] > new.max()).float().mean()
    assert 0.05 < float(worse) < 0.2
    assert float(poor[1].max()) < 11 * float(new.max())


def test_beyond_gaias_limit_nothing_is_measured() -> None:
    measured, sigma = AstrometricInstrument(AstrometricConfig()).run(
        torch.full((100,), 21.5), seeded()
    )
    assert not measured.any()
    assert torch.isfinite(sigma).all()


def test_a_seed_is_an_answer() -> None:
    instrument = AstrometricInstrument(AstrometricConfig())
    distance, g = torch.full((50,), 500.0), torch.full((50,), 15.0)
    runs = []
    for _ in range(2):
        generator = seeded(3)
        measured, sigma = instrument.run(g, generator)
        runs.append((measured, sigma, instrument.observe(distance, sigma, generator)))
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


@pytest.mark.parametrize("sigma", [0.02, 0.5])
def test_the_likelihood_integrates_to_one(sigma: float) -> None:
    instrument = AstrometricInstrument(AstrometricConfig())
    parallax = torch.linspace(-40, 44, 200_001, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    density = instrument.log_likelihood(parallax, one * sigma, one * 500).exp()
    assert float(torch.trapezoid(density, parallax)) == pytest.approx(1, abs=1e-6)
    mean = torch.trapezoid(density * parallax, parallax)
    assert float(mean) == pytest.approx(2.0, abs=1e-4)  # 500 pc, zero point 0


@pytest.mark.parametrize("sigma", [0.015, 0.3])
def test_the_likelihood_is_that_of_the_noise(sigma: float) -> None:
    instrument = AstrometricInstrument(AstrometricConfig(outlier_fraction=0.1))
    count = 400_000
    drawn = instrument.observe(torch.full((count,), 1000.0), torch.full((count,), sigma), seeded())
    edges = 1 + sigma * torch.tensor([-20.0, -5, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 5, 20])
    for low, high in pairwise(edges.tolist()):
        grid = torch.linspace(low, high, 2001, dtype=torch.float64)
        density = instrument.log_likelihood(
            grid, torch.tensor(sigma).double(), torch.tensor(1000.0).double()
        ).exp()
        expected = float(torch.trapezoid(density, grid))
        found = float(((drawn >= low) & (drawn < high)).float().mean())
        assert found == pytest.approx(expected, abs=4 * (expected / count) ** 0.5 + 1e-5)


def test_the_likelihood_broadcasts_and_has_a_gradient() -> None:
    instrument = AstrometricInstrument(AstrometricConfig())
    distance = torch.tensor([[100.0], [1000.0]], requires_grad=True)
    found = instrument.log_likelihood(torch.tensor([9.0, 10.0, 11.0]), torch.tensor(0.5), distance)
    assert found.shape == (2, 3)
    assert found[0].argmax() == 1
    found.sum().backward()
    assert torch.isfinite(distance.grad).all()


def test_tails_are_heavier_than_a_gaussians() -> None:
    instrument = AstrometricInstrument(AstrometricConfig())
    sigma = torch.full((100_000,), 0.02)
    pull = (instrument.observe(torch.full_like(sigma, 1000.0), sigma, seeded()) - 1) / sigma
    assert 0.005 < float((pull.abs() > 4).float().mean()) < 0.03
    # Robustly the errors are underestimated by about a tenth, as Gaia's are.
    assert 1.05 < float(pull.abs().median()) / 0.6745 < 1.2


def test_without_tails_the_noise_is_gaussian() -> None:
    plain = AstrometricInstrument(AstrometricConfig(outlier_fraction=0, underestimated_fraction=0))
    found = plain.log_likelihood(torch.tensor(1.3), torch.tensor(0.2), torch.tensor(1000.0))
    assert float(found) == pytest.approx(-0.5 * (1.5**2 + log(2 * pi * 0.2**2)), rel=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"measured_fraction": 1.2}, {"outlier_fraction": 0.6}, {"no_such": 1}]
)
def test_impossible_configurations_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AstrometricConfig(**wrong)
