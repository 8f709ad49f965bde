"""The residual of distance: near zero for plain stars, exact as a change of coordinate."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from maury.measurements import Kind, Measurements
from maury.nets.distance import UNSEEN, DistanceScale, Seen
from maury.simulator import Simulator, SimulatorConfig

COUNT = 200
BLANK = math.nan


@pytest.fixture(scope="module")
def simulator(placed: dict[str, Any]) -> Simulator:
    return Simulator(SimulatorConfig.model_validate(placed["simulator"]))


@pytest.fixture(scope="module")
def scale(simulator: Simulator) -> DistanceScale:
    return DistanceScale(simulator.table, simulator.parameters, simulator.channels)


@pytest.fixture(scope="module")
def theta(simulator: Simulator) -> Tensor:
    """Single dwarfs (N, 9) at all distances."""
    u = torch.rand(COUNT, 9, generator=torch.Generator().manual_seed(0))
    low = {"teff": 4000, "logg": 4.0, "mh": -1, "a_v": 0.01, "r_v": 2.8, "mass": 0.6}
    high = {"teff": 9000, "logg": 4.8, "mh": 0.3, "a_v": 2, "r_v": 3.8, "mass": 1.5}
    low |= {"log_age": 8.0, "q": 0.0, "distance": 1.0}
    high |= {"log_age": 10.0, "q": 0.1, "distance": 4.0}
    ends = [torch.tensor([side[n] for n in simulator.parameters]) for side in (low, high)]
    drawn = torch.lerp(*ends, u)
    drawn[:, -1] = 10 ** drawn[:, -1]
    return drawn


@pytest.fixture(scope="module")
def magnitudes(simulator: Simulator, theta: Tensor) -> Tensor:
    """What they show, free of noise."""
    logg, mass, distance = theta[:, 1], theta[:, 5], theta[:, 8]
    radius = torch.sqrt(mass) * 10 ** (0.5 * (4.438 - logg))
    bare, inside = simulator.table(theta[:, :5])
    assert inside.all()
    return bare + 5 * torch.log10(distance / 10)[:, None] - 5 * torch.log10(radius)[:, None]


def seen(scale: DistanceScale, simulator: Simulator, magnitudes: Tensor) -> Seen:
    sigma = torch.full_like(magnitudes, 0.02)
    bands = simulator.config.bands
    return scale.seen(Measurements.from_dense(bands, magnitudes, sigma))


def with_parallax(
    scale: DistanceScale, simulator: Simulator, magnitudes: Tensor, parallax: Tensor, signal: float
) -> Seen:
    """The same with parallaxes (N,) in mas of this ratio of signal to noise."""
    sigma = torch.cat([torch.full_like(magnitudes, 0.02), parallax[:, None] / signal], 1)
    values = torch.cat([magnitudes, parallax[:, None]], 1)
    channels = (*simulator.config.bands, "parallax")
    return scale.seen(Measurements.from_dense(channels, values, sigma))


def at(theta: Tensor, distance: Tensor) -> Tensor:
    return torch.cat([theta[..., :8], distance[..., None]], -1)


def test_plain_stars_leave_no_residual(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    assert scale.column == simulator.parameters.index("distance") == 8
    residual = scale.to_real(theta, seen(scale, simulator, magnitudes))
    assert residual.abs().max() < 0.05


def test_width_is_the_error_of_the_mean(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    width = scale.estimate(theta, seen(scale, simulator, magnitudes))[1]
    assert (width < 0.03).all()
    one = magnitudes.clone()
    one[:, 1:] = BLANK
    alone = scale.estimate(theta, seen(scale, simulator, one))[1]
    assert (alone > width).all()
    floor = scale._floor[0].item()
    assert alone[0].item() == pytest.approx(math.hypot(0.02, floor, 0.03), rel=1e-4)


@settings(max_examples=20)
@given(noise=st.floats(-1.5, 1.5), stretch=st.floats(-3, 3))
def test_there_and_back(
    scale: DistanceScale,
    simulator: Simulator,
    theta: Tensor,
    magnitudes: Tensor,
    noise: float,
    stretch: float,
) -> None:
    shifted = magnitudes + noise * torch.linspace(-1, 1, magnitudes.shape[1])
    what = seen(scale, simulator, shifted)
    wanted = theta[:, 8] * 10**stretch
    residual = scale.to_real(at(theta, wanted), what)
    # The column of distance itself is not read on the way back.
    back = scale.to_physical(at(theta, torch.full_like(wanted, 77.0)), residual, what)
    torch.testing.assert_close(back, wanted, rtol=2e-5, atol=0)


def test_the_slope_is_that_of_the_residual(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    what = seen(scale, simulator, magnitudes)
    step = 1.02
    far, near = (scale.to_real(at(theta, theta[:, 8] * f), what) for f in (step, 1 / step))
    slope = (far - near) / (theta[:, 8] * (step - 1 / step))
    # d(ln x) over a step of 2% on each side, to second order.
    torch.testing.assert_close(scale.log_abs_det(theta, what), torch.log(slope), atol=2e-3, rtol=0)


@settings(max_examples=20)
@given(factor=st.floats(0.02, 50))
def test_moving_a_star_leaves_its_residual(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor, factor: float
) -> None:
    tilted = magnitudes + 0.1 * torch.linspace(-1, 1, magnitudes.shape[1])
    before = scale.to_real(theta, seen(scale, simulator, tilted))
    what = seen(scale, simulator, tilted + 5 * math.log10(factor))
    after = scale.to_real(at(theta, theta[:, 8] * factor), what)
    torch.testing.assert_close(after, before, atol=2e-3, rtol=1e-3)


def test_a_twin_is_taken_to_be_twice_as_bright(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    what = seen(scale, simulator, magnitudes)
    alone, twin = theta.clone(), theta.clone()
    alone[:, 7], twin[:, 7] = 0.0, 1.0
    alone[:, 1] = twin[:, 1] = 4.5
    farther = scale.estimate(twin, what)[0] - scale.estimate(alone, what)[0]
    torch.testing.assert_close(
        farther, torch.full_like(farther, 2.5 * math.log10(2)), atol=1e-3, rtol=0
    )
    alone[:, 1] = twin[:, 1] = 2.5
    giant = scale.estimate(twin, what)[0] - scale.estimate(alone, what)[0]
    assert giant.abs().max() < 1e-3


def test_one_wild_band_does_not_decide(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    wild = magnitudes.clone()
    wild[:, 3] += 3.0
    right = scale.estimate(theta, seen(scale, simulator, magnitudes))[0]
    found = scale.estimate(theta, seen(scale, simulator, wild))[0]
    assert (found - right).abs().max() < 0.15


def test_where_discs_show_counts_only_without_other_bands(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    assert simulator.config.bands[-1] == "WISE/WISE.W4"
    disc = magnitudes.clone()
    disc[:, -1] -= 4.0
    one, other = (scale.to_real(theta, seen(scale, simulator, m)) for m in (magnitudes, disc))
    assert torch.equal(one, other)
    alone = torch.full_like(magnitudes, BLANK)
    alone[:, -1] = magnitudes[:, -1]
    assert scale.to_real(theta, seen(scale, simulator, alone)).abs().max() < 0.05


def test_blind_stars_get_a_wide_guess(
    scale: DistanceScale, simulator: Simulator, theta: Tensor
) -> None:
    blind = [
        Measurements.from_dense(["parallax"], -torch.ones(COUNT, 1), torch.ones(COUNT, 1)),
        Measurements.from_dense(
            simulator.config.bands[:1],
            torch.full((COUNT, 1), 15.0),
            torch.ones(COUNT, 1),
            kind=torch.full((COUNT, 1), int(Kind.LOWER_LIMIT)),
        ),
    ]
    for measurements in blind:
        what = scale.seen(measurements)
        expected, width = scale.estimate(theta, what)
        assert torch.equal(expected, torch.full_like(expected, UNSEEN[0]))
        assert torch.equal(width, torch.full_like(width, UNSEEN[1]))
        residual = scale.to_real(theta, what)
        torch.testing.assert_close(
            scale.to_physical(theta, residual, what), theta[:, 8], rtol=2e-5, atol=0
        )
    assert len(scale.seen(blind[0][:0]).magnitude) == 0


def test_order_of_slots_and_padding_change_nothing(
    scale: DistanceScale, simulator: Simulator, magnitudes: Tensor
) -> None:
    holes = magnitudes.masked_fill(magnitudes.argsort(1) == 2, BLANK)
    bands = simulator.config.bands
    plain = Measurements.from_dense(bands, holes, torch.full_like(holes, 0.02))
    turned = Measurements.from_dense(
        ["SLOAN/SDSS.u", *bands[::-1]],
        torch.cat([torch.full((COUNT, 1), 9.0), holes.flip(1)], 1),
        torch.full((COUNT, len(bands) + 1), 0.02),
    ).with_slots(12)
    one, other = scale.seen(plain), scale.seen(turned)
    assert torch.equal(one.magnitude, other.magnitude)
    assert torch.equal(one.weight, other.weight)


def test_draws_of_many_at_once(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    what = seen(scale, simulator, magnitudes)
    many = scale.to_real(theta.expand(3, -1, -1), what)
    torch.testing.assert_close(many, scale.to_real(theta, what).expand(3, -1))
    torch.testing.assert_close(scale.to_real(theta[5:9], what[5:9]), many[0, 5:9])


def test_stars_outside_the_library_have_a_plausible_distance(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    """A flow's tails reach where no model is: not at ten parsec, but as bright as its light."""
    what = seen(scale, simulator, magnitudes)
    strange = theta.clone()
    strange[:, 2] = -4.5
    assert not simulator.table(strange[:, :5])[1].any()
    modulus = 5 * torch.log10(theta[:, 8]) - 5
    expected = scale.estimate(strange, what)[0]
    assert (expected - modulus).abs().max() < 4.0


def test_working_elsewhere_leaves_the_table_where_it_is(
    simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    """The simulator goes on drawing with it on the CPU while a network learns on a GPU."""
    own = DistanceScale(simulator.table, simulator.parameters, simulator.channels)
    what = seen(own, simulator, magnitudes)
    names = ("magnitude", "weight", "modulus", "modulus_weight")
    there = replace(what, **{name: getattr(what, name).to("meta") for name in names})
    assert own.estimate(theta.to("meta"), there)[0].device.type == "meta"
    assert simulator.table.table.device.type == "cpu"
    assert own.estimate(theta, what)[0].device.type == "cpu"


@settings(max_examples=10)
@given(signal=st.floats(0.3, 3000), wrong=st.floats(0.5, 2))
def test_there_and_back_with_a_parallax(
    scale: DistanceScale,
    simulator: Simulator,
    theta: Tensor,
    magnitudes: Tensor,
    signal: float,
    wrong: float,
) -> None:
    what = with_parallax(scale, simulator, magnitudes, wrong * 1000 / theta[:, 8], signal)
    residual = scale.to_real(theta, what)
    back = scale.to_physical(theta, residual, what)
    torch.testing.assert_close(back, theta[:, 8], rtol=2e-5, atol=0)
    near, far = (scale.to_real(at(theta, theta[:, 8] * f), what) for f in (0.999, 1.001))
    slope = scale.log_abs_det(theta, what)
    width = scale.estimate(theta, what)[1]
    expected = torch.log((far - near) / (0.002 * theta[:, 8]))
    # The difference of two numbers of float32, in units of a width that may be tiny.
    assert ((slope - expected).abs() < 2e-3 + 1e-4 * residual.abs() + 1e-4 / width).all()


def test_an_excellent_parallax_decides_and_a_poor_one_does_not(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    parallax = 1000 / theta[:, 8]
    alone, alone_width = scale.estimate(theta, seen(scale, simulator, magnitudes))
    faint = theta.clone()
    faint[:, 1] += 0.004  # a hundredth of a magnitude
    modulus, width = scale.estimate(
        faint, with_parallax(scale, simulator, magnitudes, parallax, 1000.0)
    )
    torch.testing.assert_close(modulus, alone, atol=1e-3, rtol=0)
    assert (width < 0.0022).all()
    poor, poor_width = scale.estimate(
        theta, with_parallax(scale, simulator, magnitudes, 1.5 * parallax, 1.0)
    )
    assert (poor - alone).abs().max() < 1e-3
    torch.testing.assert_close(poor_width, alone_width, rtol=1e-3, atol=0)


def test_a_wild_parallax_does_not_decide(
    scale: DistanceScale, simulator: Simulator, theta: Tensor, magnitudes: Tensor
) -> None:
    alone, _ = scale.estimate(theta, seen(scale, simulator, magnitudes))
    wild = with_parallax(scale, simulator, magnitudes, 2 * 1000 / theta[:, 8], 30.0)
    assert (scale.estimate(theta, wild)[0] - alone).abs().max() < 0.1
