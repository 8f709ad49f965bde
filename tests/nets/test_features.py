"""From measurements to numbers of order one."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from maury.errors import MauryError
from maury.measurements import Kind, Measurements
from maury.nets.features import DUST_SOFTENING, Features, Standardised

BANDS = ("GAIA/GAIA3.G", "2MASS/2MASS.J", "2MASS/2MASS.H", "2MASS/2MASS.Ks")
CHANNELS = (*BANDS, "prior_teff", "prior_a_v")


def stars(count: int = 4000, seed: int = 0) -> Measurements:
    """Stars of all brightnesses with about a third of the slots empty."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.rand(count, 1, generator=generator) * torch.tensor([[0.0, -1.0, -1.4, -1.5]])
    bands = 4 + 16 * torch.rand(count, 1, generator=generator) + colour
    teff = 3000 * 10 ** torch.rand(count, 1, generator=generator)
    a_v = 3 * torch.rand(count, 1, generator=generator)
    value = torch.cat([bands, teff, a_v], dim=1)
    value[torch.rand(value.shape, generator=generator) < 0.3] = torch.nan
    sigma = torch.tensor([0.02, 0.03, 0.04, 0.03, 100.0, 0.1]).expand(count, -1)
    return Measurements.from_dense(CHANNELS, value, sigma)


@pytest.fixture(scope="module")
def features() -> Features:
    made = Features(CHANNELS)
    made.fit(stars())
    return made


def one(**values: tuple[float, float]) -> Measurements:
    names = [{"g": BANDS[0], "j": BANDS[1], "h": BANDS[2], "k": BANDS[3]}.get(n, n) for n in values]
    value, sigma = zip(*values.values(), strict=True)
    return Measurements.from_dense(names, [list(value)], [list(sigma)])


def by_channel(x: Standardised) -> Tensor:
    """Value and error (N, channels, 2), NaN where absent."""
    table = torch.full((len(x.value), len(CHANNELS), 2), torch.nan)
    rows = torch.arange(len(x.value))[:, None].expand_as(x.channel)[x.present]
    table[rows, x.channel[x.present]] = torch.stack([x.value, x.error], dim=-1)[x.present]
    return table


def test_numbers_are_of_order_one(features: Features) -> None:
    table = by_channel(features(stars(seed=1)))[..., 0]
    for column in table.T:
        column = column[torch.isfinite(column)]
        assert column.median().abs() < 0.2
        assert 0.05 < column.std() < 2


@given(shift=st.floats(-5, 5))
def test_a_constant_added_to_all_magnitudes_changes_nothing(shift: float) -> None:
    features = Features(CHANNELS)
    one_star = one(g=(14.0, 0.02), j=(12.5, 0.03), k=(11.9, 0.03), prior_a_v=(0.3, 0.1))
    moved = one(
        g=(14.0 + shift, 0.02),
        j=(12.5 + shift, 0.03),
        k=(11.9 + shift, 0.03),
        prior_a_v=(0.3, 0.1),
    )
    torch.testing.assert_close(
        by_channel(features(one_star)),
        by_channel(features(moved)),
        atol=5e-6,
        rtol=0,
        equal_nan=True,
    )


def test_a_bands_usual_colour_is_taken_off(features: Features) -> None:
    """So that the median does not depend on which bands happen to be there."""
    usual = one(
        **{k: (10.0 + features.centre[i].item(), 0.03) for i, k in enumerate(("g", "j", "h", "k"))}
    )
    assert features(usual).value.abs().max() < 1e-5


def test_order_and_padding_change_nothing(features: Features) -> None:
    some = stars(300, seed=2)
    turned = Measurements(
        some.channels,
        some.channel.flip(1),
        some.value.flip(1),
        some.sigma.flip(1),
        some.kind.flip(1),
        some.rejected,
    ).with_slots(11)
    assert torch.equal(
        torch.nan_to_num(by_channel(features(turned)), nan=-99.0),
        torch.nan_to_num(by_channel(features(some)), nan=-99.0),
    )


def test_limits_and_unknown_channels_are_left_out(features: Features) -> None:
    plain = one(g=(14.0, 0.02), j=(12.5, 0.03))
    more = Measurements.from_dense(
        [*BANDS[:3], "SLOAN/SDSS.u", "parallax"],
        [[14.0, 12.5, 11.0, 15.0, 3.0]],
        [[0.02, 0.03, 0.02, 0.02, 0.1]],
        kind=[[1, 1, int(Kind.LOWER_LIMIT), 1, 1]],
    )
    torch.testing.assert_close(
        by_channel(features(more)), by_channel(features(plain)), equal_nan=True
    )


def test_smaller_errors_are_smaller_numbers_down_to_the_floor(features: Features) -> None:
    errors = [1e-4, 5e-4, 0.005, 0.03, 0.1, 0.5]
    found = [by_channel(features(one(g=(14.0, e), j=(13.0, 0.03))))[0, 0, 1] for e in errors]
    assert found == sorted(found)
    assert found[1] - found[0] < 0.01  # what calibration forbids to tell apart
    assert found[3].item() == pytest.approx(0.0, abs=0.02)
    assert found[5].item() == pytest.approx(math.log(0.5 / 0.03), abs=0.01)


@pytest.mark.parametrize("teff", [3000.0, 5772.0, 30_000.0])
def test_a_known_temperature_is_a_logarithm(features: Features, teff: float) -> None:
    index = CHANNELS.index("prior_teff")
    low, high = (
        by_channel(features(one(g=(14.0, 0.02), prior_teff=(t, 50.0))))[0, index]
        for t in (teff, 2 * teff)
    )
    scale = features.scale[index]
    torch.testing.assert_close(high[0] - low[0], math.log(2) / scale)
    torch.testing.assert_close(low[1], torch.log(50.0 / teff / scale))


@pytest.mark.parametrize("a_v", [-0.2, 0.0, 0.05, 1.0, 10.0])
def test_error_of_a_known_extinction_follows_its_map(features: Features, a_v: float) -> None:
    """The slope of asinh(A / s) is 1 / sqrt(A^2 + s^2); checked by difference."""
    index = CHANNELS.index("prior_a_v")
    step, sigma = 0.01, 0.1
    below, middle, above = (
        by_channel(features(one(g=(14.0, 0.02), prior_a_v=(a, sigma))))[0, index]
        for a in (a_v - step, a_v, a_v + step)
    )
    slope = (above[0] - below[0]) / (2 * step)
    torch.testing.assert_close(middle[1], torch.log(slope * sigma), atol=5e-3, rtol=0)
    assert torch.log(torch.tensor(sigma / math.hypot(a_v, DUST_SOFTENING))) < 10


def test_a_channel_that_is_never_measured_is_named() -> None:
    with pytest.raises(MauryError, match=r"2MASS/2MASS\.H"):
        Features((BANDS[0], BANDS[2])).fit(stars(10).select([BANDS[0]])[0])


def test_no_stars_and_a_star_without_data(features: Features) -> None:
    assert features(stars(3)[:0]).value.shape[0] == 0
    empty = features(one(g=(math.nan, 0.02)))
    assert not empty.present.any()


def test_scales_travel_with_the_weights(features: Features) -> None:
    copy = Features(CHANNELS)
    copy.load_state_dict(features.state_dict())
    some = stars(50, seed=3)
    assert torch.equal(copy(some).value, features(some).value)


# -- stars that have a distance ------------------------------------------------------------

PLACED = (*BANDS, "parallax", "prior_distance")


def placed_stars(
    factor: float = 1.0, *, count: int = 500, seed: int = 0, bands: bool = True
) -> Measurements:
    """Stars with a parallax, moved ``factor`` times as far away; errors of the parallax too."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.rand(count, 1, generator=generator) * torch.tensor([[0.0, -1.0, -1.4, -1.5]])
    distance = 10 ** (1 + 3 * torch.rand(count, 1, generator=generator))
    absolute = -1 + 12 * torch.rand(count, 1, generator=generator)
    magnitudes = absolute + colour + 5 * torch.log10(distance / 10) + 5 * math.log10(factor)
    error = 0.03 * 10 ** torch.rand(count, 1, generator=generator)
    noise = error * torch.randn(count, 1, generator=generator)
    lost = torch.rand(magnitudes.shape, generator=generator) < (0.3 if bands else 2.0)
    lost[:, 0] = not bands
    value = torch.cat(
        [magnitudes.masked_fill(lost, math.nan), (1000 / distance + noise) / factor, distance], 1
    )
    sigma = torch.cat([torch.full_like(magnitudes, 0.03), error / factor, 0.1 * distance], 1)
    return Measurements.from_dense(PLACED, value, sigma)


@pytest.fixture(scope="module")
def placed_features() -> Features:
    made = Features(PLACED)
    made.fit(placed_stars(count=4000))
    return made


def test_a_parallax_brings_brightness_with_it(placed_features: Features) -> None:
    assert placed_features.placed
    assert placed_features.count == len(PLACED) + 1
    assert Features(CHANNELS).count == len(CHANNELS)
    assert not Features(CHANNELS).placed
    bright, faint = (
        placed_features(placed_stars(factor)).value[:, -1] for factor in (1.0, 10**0.8)
    )
    torch.testing.assert_close(faint - bright, torch.ones_like(bright), atol=1e-4, rtol=0)
    x = placed_features(placed_stars())
    assert (x.channel[:, -1] == len(PLACED)).all()
    assert (x.error[:, -1] == 0).all()


@given(factor=st.floats(0.5, 4))
def test_a_scaled_parallax_does_not_change_when_its_star_is_moved(factor: float) -> None:
    """p 10^(0.2 m) and its error: only the slot of brightness knows of the distance."""
    features = Features(PLACED)
    here, there = features(placed_stars(count=50)), features(placed_stars(factor, count=50))
    assert torch.equal(here.present, there.present)
    torch.testing.assert_close(there.value[:, :-1], here.value[:, :-1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(there.error[:, :-1], here.error[:, :-1], atol=1e-4, rtol=1e-4)


def test_error_of_a_parallax_follows_its_map(placed_features: Features) -> None:
    index = PLACED.index("parallax")
    for parallax in (-0.5, 0.0, 0.1, 2.0, 50.0):
        names = ["GAIA/GAIA3.G", "parallax"]
        below, middle, above = (
            placed_features(Measurements.from_dense(names, [[13.0, p]], [[0.03, 0.1]]))
            for p in (parallax - 0.01, parallax, parallax + 0.01)
        )
        assert middle.channel[0, 1] == index
        slope = (above.value[0, 1] - below.value[0, 1]) / 0.02
        torch.testing.assert_close(middle.error[0, 1], torch.log(0.1 * slope), atol=5e-3, rtol=0)


def test_scaled_parallaxes_are_of_order_one_and_grow_with_absolute_magnitude(
    placed_features: Features,
) -> None:
    stars_here = placed_stars(seed=1, count=2000)
    x = placed_features(stars_here)
    value = x.value[x.channel == PLACED.index("parallax")]
    assert value.median().abs() < 0.2
    assert 0.5 < value.std() < 1.5
    names = ["GAIA/GAIA3.G", "parallax"]
    bright = placed_features(Measurements.from_dense(names, [[13.0, 0.1]], [[0.03, 0.01]]))
    faint = placed_features(Measurements.from_dense(names, [[13.0, 10.0]], [[0.03, 0.01]]))
    assert bright.value[0, 1] < faint.value[0, 1]


def test_without_a_band_there_is_no_brightness(placed_features: Features) -> None:
    x = placed_features(placed_stars(bands=False))
    assert not x.present[:, -1].any()
    assert (x.value[:, -1] == 0).all()
    assert torch.isfinite(x.value).all()
    assert torch.isfinite(x.error).all()


def test_a_known_distance_is_a_logarithm(placed_features: Features) -> None:
    index = PLACED.index("prior_distance")
    near, far = (
        placed_features(Measurements.from_dense(["prior_distance"], [[d]], [[0.2 * d]]))
        for d in (30.0, 300.0)
    )
    scale = placed_features.scale[index]
    torch.testing.assert_close((far.value - near.value)[0, 0], math.log(10) / scale)
    torch.testing.assert_close(near.error[0, 0], torch.log(0.2 / scale))
