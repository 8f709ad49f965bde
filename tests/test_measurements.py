"""Measurements: the same star whatever its order, padding, numbering or batch."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from maury.errors import MauryError
from maury.measurements import Kind, Measurements

CHANNELS = ("GAIA/GAIA3.G", "2MASS/2MASS.J", "WISE/WISE.W1", "parallax", "prior_a_v")
USUAL = {"field_stars": 14, "metal_poor": 22, "m67": 21, "open_clusters": 27}


def sky(stars: int = 40, seed: int = 0) -> Measurements:
    """Random stars with a third of their measurements missing."""
    rng = np.random.default_rng(seed)
    value = rng.uniform(5.0, 18.0, (stars, len(CHANNELS)))
    value[:, -1] = rng.uniform(0.0, 3.0, stars)
    value[rng.random(value.shape) < 0.3] = np.nan
    sigma = rng.uniform(0.01, 0.3, value.shape)
    kind = rng.choice([1, 1, 1, 2, 3], value.shape)
    return Measurements.from_dense(
        CHANNELS, value, sigma, kind=kind, rejected=rng.random(stars) < 0.2
    )


def shuffled(obs: Measurements, seed: int = 1) -> Measurements:
    """Every star's slots in an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(obs.channel.shape, generator=generator).argsort(dim=1)
    return Measurements(
        channels=obs.channels,
        channel=obs.channel.gather(1, order),
        value=obs.value.gather(1, order),
        sigma=obs.sigma.gather(1, order),
        kind=obs.kind.gather(1, order),
        rejected=obs.rejected,
    )


def test_dense_arrays_become_slots() -> None:
    obs = Measurements.from_dense(
        ("a/a.x", "a/a.y"), [[1.0, np.nan], [2.0, 3.0]], [[0.1, 0.1], [0.2, np.nan]]
    )
    assert len(obs) == 2
    assert obs.present.tolist() == [[True, False], [True, False]]
    assert obs.count.tolist() == [1, 1]
    assert obs.value.dtype == obs.sigma.dtype == torch.float32
    assert obs.channel.dtype == torch.int64
    assert obs.kind.dtype == torch.int8
    assert not obs.rejected.any()
    # Padding must stay harmless under logarithms, ratios and products.
    assert obs.value[~obs.present].tolist() == [0.0, 0.0]
    assert obs.sigma[~obs.present].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("sigma", [0.0, -0.1, np.inf, np.nan])
def test_an_impossible_error_is_absent(sigma: float) -> None:
    obs = Measurements.from_dense(("a/a.x",), [[1.0]], [[sigma]])
    assert obs.count.tolist() == [0]


def test_limits_are_present_but_not_measured() -> None:
    obs = Measurements.from_dense(("a/a.x",), [[21.0]], [[0.1]], kind=[[Kind.LOWER_LIMIT]])
    assert obs.present.all()
    assert not obs.measured.any()


def test_shapes_that_disagree_are_told() -> None:
    with pytest.raises(MauryError, match="'value'"):
        Measurements.from_dense(("a/a.x",), [[1.0, 2.0]], [[0.1, 0.1]])
    with pytest.raises(MauryError, match="'rejected'"):
        Measurements.from_dense(("a/a.x",), [[1.0]], [[0.1]], rejected=[True, False])
    with pytest.raises(MauryError, match="twice"):
        Measurements.from_dense(("a/a.x", "a/a.x"), [[1.0, 2.0]], [[0.1, 0.1]])


def test_stars_are_chosen_by_slice_index_or_mask() -> None:
    obs = sky(10)
    mask = np.zeros(10, dtype=bool)
    mask[[2, 5]] = True
    for part in (obs[[2, 5]], obs[torch.tensor([2, 5])], obs[mask], obs[2:6:3]):
        assert torch.equal(part.hash(), obs.hash()[[2, 5]])
    assert len(obs[[]]) == len(obs[:0]) == 0
    with pytest.raises(MauryError, match="slice"):
        obs[3]


@settings(deadline=None, max_examples=50)
@given(
    value=npst.arrays(
        np.float32,
        st.tuples(st.integers(0, 5), st.just(3)),
        # Below a billionth of a magnitude the catalogues' offsets leave rounding behind.
        elements=st.floats(-4, 39, width=32).filter(lambda x: abs(x) > 1e-9) | st.just(np.nan),
    ),
    data=st.data(),
)
def test_tables_and_back(value: np.ndarray, data: st.DataObject) -> None:
    sigma = data.draw(
        npst.arrays(np.float32, value.shape, elements=st.floats(0.0078125, 0.5, width=32))
    )
    kind = data.draw(npst.arrays(np.int8, value.shape, elements=st.integers(1, 3)))
    obs = Measurements.from_dense(CHANNELS[:3], value, sigma, kind=kind)
    again = Measurements.from_table(obs.to_table())
    assert again.channels == obs.channels
    for name in ("channel", "value", "sigma", "kind"):
        assert torch.equal(getattr(again, name), getattr(obs, name)), name


def test_tables_carry_units() -> None:
    table = sky().to_table()
    assert str(table["parallax"].unit) == "mas"
    assert str(table["WISE/WISE.W1_err"].unit) == "mag"
    assert Measurements.from_table(table).channels == CHANNELS


def test_a_channel_twice_does_not_fit_a_table() -> None:
    obs = Measurements.from_dense(("a/a.x", "a/a.y"), [[1.0, 2.0]], [[0.1, 0.1]])
    twice = Measurements(
        obs.channels, torch.zeros_like(obs.channel), obs.value, obs.sigma, obs.kind, obs.rejected
    )
    with pytest.raises(MauryError, match="twice"):
        twice.to_table()


def test_selection_keeps_what_is_asked_and_names_the_rest() -> None:
    obs = sky()
    wanted = ("WISE/WISE.W1", "LSST/LSST.g", "GAIA/GAIA3.G")
    some, dropped = obs.select(wanted)
    assert some.channels == wanted
    assert dropped == ("2MASS/2MASS.J", "parallax", "prior_a_v")
    table, full = some.to_table(), obs.to_table()
    assert np.isnan(table["LSST/LSST.g"]).all()
    np.testing.assert_array_equal(table["GAIA/GAIA3.G"], full["GAIA/GAIA3.G"])
    assert torch.equal(some.rejected, obs.rejected)
    assert obs.select(CHANNELS)[1] == ()
    # A channel that nobody has is not worth a warning.
    empty = Measurements.from_dense(("a/a.x", "a/a.y"), [[1.0, np.nan]], [[0.1, 0.1]])
    assert empty.select(("a/a.x",))[1] == ()
    nothing, dropped = obs.select(())
    assert nothing.count.sum() == 0
    assert set(dropped) == set(CHANNELS)


def test_compaction_only_trims_padding() -> None:
    obs = sky()
    small = obs.compact()
    assert small.channel.shape[1] == int(obs.count.max())
    assert torch.equal(small.hash(), obs.hash())
    assert torch.equal(small.count, obs.count)
    assert not small.present[:, 1:][~small.present[:, :-1]].any()
    assert obs[:0].compact().channel.shape == (0, 0)


def test_parts_join_across_vocabularies_and_widths() -> None:
    obs = sky()
    left = obs[:15].select(("GAIA/GAIA3.G", "parallax"))[0].compact()
    right = obs[15:].select(("WISE/WISE.W1", "GAIA/GAIA3.G"))[0]
    both = Measurements.concatenate([left, right])
    assert both.channels == ("GAIA/GAIA3.G", "parallax", "WISE/WISE.W1")
    assert torch.equal(both.hash(), torch.cat([left.hash(), right.hash()]))
    assert torch.equal(both.rejected, obs.rejected)
    with pytest.raises(MauryError, match="at least one"):
        Measurements.concatenate([])


def test_the_hash_sees_the_star_and_nothing_else() -> None:
    obs = sky()
    key = obs.hash()
    assert torch.equal(shuffled(obs).hash(), key)
    assert torch.equal(obs.with_slots(12).hash(), key)
    assert torch.equal(obs.select(CHANNELS[::-1])[0].hash(), key)
    assert torch.equal(obs[torch.arange(39, -1, -1)].hash().flip(0), key)
    assert torch.equal(torch.cat([obs[i : i + 1].hash() for i in range(len(obs))]), key)
    assert len(set(key.tolist())) == len({tuple(map(str, row)) for row in obs.to_table()})


def test_the_hash_sees_every_change() -> None:
    base = Measurements.from_dense(CHANNELS[:2], [[12.0, 11.0]], [[0.02, 0.03]])
    others = [
        Measurements.from_dense(CHANNELS[:2], [[12.000001, 11.0]], [[0.02, 0.03]]),
        Measurements.from_dense(CHANNELS[:2], [[12.0, 11.0]], [[0.03, 0.02]]),
        Measurements.from_dense(CHANNELS[:2], [[11.0, 12.0]], [[0.03, 0.02]]),
        Measurements.from_dense(CHANNELS[:2], [[12.0, np.nan]], [[0.02, 0.03]]),
        Measurements.from_dense(CHANNELS[1:3], [[12.0, 11.0]], [[0.02, 0.03]]),
        Measurements.from_dense(CHANNELS[:2], [[12.0, 11.0]], [[0.02, 0.03]], kind=[[1, 3]]),
    ]
    keys = [int(obs.hash()) for obs in (base, *others)]
    assert len(set(keys)) == len(keys)
    zeros = [Measurements.from_dense(("parallax",), [[z]], [[0.1]]).hash() for z in (0.0, -0.0)]
    assert torch.equal(*zeros)


def test_the_hash_is_evenly_spread() -> None:
    value = torch.linspace(10.0, 11.0, 4096)[:, None]
    key = Measurements.from_dense(("parallax",), value, torch.full_like(value, 0.1)).hash()
    bits = ((key[:, None] >> torch.arange(64)) & 1).double().mean(dim=0)
    # Each bit is set in half of the stars: 5.5 standard errors over 64 bits.
    assert (bits - 0.5).abs().max() < 5.5 * 0.5 / 4096**0.5


def test_an_object_without_channels_works() -> None:
    obs = Measurements.from_table(pd.DataFrame({"id": [1, 2, 3]}))
    assert len(obs) == 3
    assert obs.channels == ()
    assert obs.count.tolist() == [0, 0, 0]
    assert len(obs.compact()) == 3
    assert obs.hash().shape == (3,)
    some, dropped = obs.select(CHANNELS)
    assert some.count.tolist() == [0, 0, 0]
    assert dropped == ()
    assert len(Measurements.concatenate([obs, sky(4)])) == 7


@pytest.mark.parametrize("name", USUAL)
def test_real_catalogues_are_understood(shared: Path, name: str) -> None:
    frame = pd.read_parquet(shared / "observed" / f"{name}.parquet")
    obs = Measurements.from_table(frame)
    assert len(obs) == len(frame)
    assert len(obs.channels) == USUAL[name]
    again = Measurements.from_table(obs.to_table())
    assert torch.equal(again.hash(), obs.hash())
