"""Stellar systems as data."""

import pytest
import torch

from maury.errors import MauryError
from maury.sky.populations.systems import Systems

SCALARS = (
    *("mass", "log_age", "mh", "teff", "logg", "log_lum", "radius", "q"),
    *("companion_teff", "companion_logg", "companion_radius", "distance", "a_v", "r_v"),
)


def systems(count: int, *, components: tuple[str, ...] = ("disc",), places: bool = True) -> Systems:
    columns = {name: torch.arange(count) + 100.0 * i for i, name in enumerate(SCALARS)}
    component = torch.zeros(count, dtype=torch.int8)
    position = torch.ones(count, 3) if places else None
    return Systems(
        **columns,
        component=component,
        components=components,
        position=position,
        velocity=position,
    )


def test_parts_and_wholes() -> None:
    whole = systems(10)
    assert len(whole) == 10
    halves = Systems.concatenate([whole[:4], whole[torch.arange(4, 10)]])
    for name in (*SCALARS, "position", "velocity", "component"):
        assert torch.equal(getattr(halves, name), getattr(whole, name))
    odd = whole[whole.mass % 2 == 1]
    assert odd.mass.tolist() == [1, 3, 5, 7, 9]
    assert odd.components == ("disc",)


def test_stars_are_columns_for_magnitude_tables() -> None:
    whole = systems(3)
    assert torch.equal(whole.star[:, 0], whole.teff)
    assert torch.equal(whole.star[:, 4], whole.r_v)
    assert torch.equal(whole.companion_star[:, 1], whole.companion_logg)
    assert torch.equal(whole.companion_star[:, 2], whole.mh)


def test_single_and_alive() -> None:
    whole = systems(3)
    whole.q[0] = 0.0
    whole.teff[1] = torch.nan
    assert whole.single.tolist() == [True, False, False]
    assert whole.alive.tolist() == [True, False, True]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MauryError, match="do not join"):
        Systems.concatenate([systems(2), systems(2, components=("halo",))])
    with pytest.raises(MauryError, match="with places do not join"):
        Systems.concatenate([systems(2), systems(2, places=False)])
    with pytest.raises(MauryError, match="at least one"):
        Systems.concatenate([])
    columns = {name: torch.zeros(3) for name in SCALARS} | {"q": torch.zeros(2)}
    with pytest.raises(MauryError, match=r"q has shape \(2,\).*should be \(3,\)"):
        Systems(**columns, component=torch.zeros(3), components=("disc",))
    with pytest.raises(TypeError, match="slice"):
        systems(3)[1]
