"""Initial mass functions against closed forms, quadrature and published numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from maury.errors import MauryError
from maury.sky.populations.imf import Chabrier, InitialMassFunction, Kroupa, initial_mass_function

ALL = ("kroupa", "chabrier", "chabrier-systems")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quadrature(imf: InitialMassFunction, power: int) -> tuple[np.ndarray, np.ndarray]:
    """Masses and the running integral of m**power times the density."""
    mass = torch.logspace(math.log10(imf.lower), math.log10(imf.upper), 40_001, dtype=torch.float64)
    mass = mass.clamp(imf.lower, imf.upper)
    value = torch.exp(imf.log_prob(mass)) * mass**power
    return mass.numpy()[1:], torch.cumulative_trapezoid(value, mass).numpy()


@settings(max_examples=25)
@given(name=st.sampled_from(ALL), lower=st.floats(0.01, 1.5), factor=st.floats(1.5, 200.0))
def test_numbers_and_masses_integrate(name: str, lower: float, factor: float) -> None:
    imf = initial_mass_function(name, lower, lower * factor)
    assert quadrature(imf, 0)[1][-1] == pytest.approx(1.0, abs=2e-4)
    assert quadrature(imf, 1)[1][-1] == pytest.approx(imf.mean_mass, rel=2e-4)
    assert imf.number_fraction(0.0, math.inf) == pytest.approx(1.0)
    assert imf.mass_fraction(0.0, math.inf) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("bounds", [(0.01, 150.0), (0.08, 120.0), (0.6, 0.9)])
def test_samples_follow_the_density(name: str, bounds: tuple[float, float]) -> None:
    imf = initial_mass_function(name, *bounds)
    drawn = imf.sample(100_000, generator())
    assert torch.isfinite(imf.log_prob(drawn)).all()
    assert torch.isfinite(imf.log_prob(drawn.float())).all()
    mass, cumulative = quadrature(imf, 0)
    result = stats.kstest(drawn.numpy(), lambda x: np.interp(x, mass, cumulative))
    assert result.pvalue > 1e-3


def test_kroupa_breaks_where_he_says() -> None:
    imf = Kroupa(0.01, 150.0)
    for low, high, slope in ((0.02, 0.07, 0.3), (0.1, 0.4, 1.3), (0.6, 100.0, 2.3)):
        pair = imf.log_prob(torch.tensor([low, high], dtype=torch.float64))
        assert ((pair[0] - pair[1]) / math.log(high / low)).item() == pytest.approx(slope)
    for edge in (0.08, 0.5):
        beside = torch.tensor([edge * (1 - 1e-6), edge * (1 + 1e-6)], dtype=torch.float64)
        below, above = imf.log_prob(beside)
        assert below.item() == pytest.approx(above.item(), abs=1e-5)


def test_kroupa_numbers_as_he_states_them() -> None:
    """Kroupa 2001, section 6.2, table 2: shares of 0.01 to 50 Msun."""
    imf = Kroupa(0.01, 50.0)
    assert imf.mean_mass == pytest.approx(0.36, abs=0.01)
    assert imf.number_fraction(0.01, 0.08) == pytest.approx(0.372, abs=0.01)
    assert imf.number_fraction(0.08, 0.5) == pytest.approx(0.478, abs=0.01)
    assert imf.mass_fraction(0.01, 0.08) == pytest.approx(0.041, abs=0.005)
    assert imf.mass_fraction(8.0, 50.0) == pytest.approx(0.157, abs=0.01)


def test_chabrier_is_his_table() -> None:
    """Chabrier 2003, table 1: 0.158 and 4.43e-2 (stars), 0.086 (systems) per log10 m and pc3."""
    for imf, height, centre, sigma in (
        (Chabrier(0.01, 100.0), 0.158, 0.079, 0.69),
        (Chabrier(0.01, 100.0, systems=True), 0.086, 0.22, 0.57),
    ):
        mass = torch.tensor([0.05, 0.3, 0.9, 1.5, 20.0], dtype=torch.float64)
        log_normal = height * np.exp(-(np.log10(mass / centre) ** 2) / (2 * sigma**2))
        power_law = 4.43e-2 * mass**-1.3
        per_dex = torch.where(mass < 1, log_normal, power_law)
        ours = torch.exp(imf.log_prob(mass)) * mass
        ratio = ours / per_dex
        np.testing.assert_allclose((ratio / ratio[0]).numpy(), 1.0, atol=0.01)


def test_outside_is_nothing() -> None:
    imf = Kroupa()
    assert torch.isneginf(imf.log_prob(torch.tensor([0.0, 0.0799, 151.0, math.nan]))).all()


def test_wrong_names_and_ranges_are_refused() -> None:
    with pytest.raises(MauryError, match="no initial mass function 'salpeter': there are kroupa"):
        initial_mass_function("salpeter")
    for lower, upper in ((0.0, 1.0), (2.0, 1.0), (0.1, math.inf)):
        with pytest.raises(MauryError, match="positive and ascending"):
            Kroupa(lower, upper)
