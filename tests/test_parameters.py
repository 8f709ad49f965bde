"""Parameters: bounds, the map to the real line and its Jacobian."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maury.parameters import PARAMETERS, Parameter

ALL = list(PARAMETERS.values())


@pytest.fixture(params=ALL, ids=lambda parameter: parameter.name)
def parameter(request: pytest.FixtureRequest) -> Parameter:
    return request.param


def inner(parameter: Parameter, count: int = 201, margin: float = 1e-3) -> torch.Tensor:
    """Values between the bounds, evenly spaced on the parameter's own scale."""
    fraction = torch.linspace(margin, 1 - margin, count, dtype=torch.float64)
    if parameter.scale == "log":
        return parameter.lower * (parameter.upper / parameter.lower) ** fraction
    return parameter.lower + (parameter.upper - parameter.lower) * fraction


def test_the_five_come_in_their_order() -> None:
    assert list(PARAMETERS)[:5] == ["teff", "logg", "mh", "a_v", "r_v"]
    assert all(p.lower < p.upper and (p.scale == "linear" or p.lower > 0) for p in ALL)


@given(parameter=st.sampled_from(ALL), fraction=st.floats(1e-6, 1 - 1e-6))
def test_there_and_back(parameter: Parameter, fraction: float) -> None:
    z = torch.tensor([math.log(fraction / (1 - fraction))], dtype=torch.float64)
    x = parameter.to_physical(z)
    assert parameter.lower < x.item() < parameter.upper
    assert parameter.to_real(x).item() == pytest.approx(z.item(), abs=1e-6)
    assert parameter.to_physical(parameter.to_real(x)).item() == pytest.approx(x.item(), rel=1e-9)


@given(
    parameter=st.sampled_from(ALL),
    z=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False),
)
def test_no_number_leaves_the_open_bounds(parameter: Parameter, z: float) -> None:
    """A density is zero on a bound, so a draw must not be rounded onto it."""
    lower, upper = torch.tensor([parameter.lower, parameter.upper])
    x = parameter.to_physical(torch.tensor([z]))
    assert lower < x < upper
    assert torch.isfinite(parameter.to_real(x)).all()
    assert torch.isfinite(parameter.log_abs_det(x)).all()


def test_single_precision_keeps_five_digits(parameter: Parameter) -> None:
    x = inner(parameter).float()
    back = parameter.to_physical(parameter.to_real(x))
    span = parameter.upper - parameter.lower
    assert back.dtype == torch.float32
    assert torch.allclose(back, x, rtol=1e-5, atol=1e-6 * span)


def test_the_map_rises(parameter: Parameter) -> None:
    assert (parameter.to_real(inner(parameter)).diff() > 0).all()


def test_jacobian_is_that_of_autograd(parameter: Parameter) -> None:
    x = inner(parameter).requires_grad_()
    (slope,) = torch.autograd.grad(parameter.to_real(x).sum(), x)
    torch.testing.assert_close(parameter.log_abs_det(x.detach()), slope.log(), atol=1e-9, rtol=0)


def test_closed_form_of_the_logit() -> None:
    p = Parameter("x", "", "", "", lower=2.0, upper=6.0)
    x = torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64)
    expected = torch.tensor([-math.log(3), 0.0, math.log(3)], dtype=torch.float64)
    torch.testing.assert_close(p.to_real(x), expected)
    # d/dx logit(f) = 1 / (f (1 - f) span): at the middle 1 / (1/4 * 4) = 1.
    assert p.log_abs_det(x)[1].item() == pytest.approx(0.0, abs=1e-12)


def test_a_density_on_the_real_line_keeps_its_mass(parameter: Parameter) -> None:
    """exp(-z^2/2)/sqrt(2 pi) |dz/dx|, integrated over x, is one."""
    x = inner(parameter, 200_001, margin=1e-8)
    z = parameter.to_real(x)
    density = torch.exp(-0.5 * z**2 + parameter.log_abs_det(x)) / math.sqrt(2 * math.pi)
    assert torch.trapezoid(density, x).item() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("shape", [(), (0,), (3, 4)])
def test_any_shape(parameter: Parameter, shape: tuple[int, ...]) -> None:
    z = torch.zeros(shape)
    x = parameter.to_physical(z)
    assert x.shape == parameter.to_real(x).shape == parameter.log_abs_det(x).shape == shape
