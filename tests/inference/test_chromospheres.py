"""Ultraviolet bands are read of hot stars and left out of cool ones."""

from types import SimpleNamespace

import pytest
import torch

from maury.inference.chromospheres import COOL, leave_out_chromospheres
from maury.measurements import Measurements

FUV, NUV = COOL
BP, RP = "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp"
NAN = float("nan")


class Colour:
    """Knows a temperature from BP - RP and nothing else; has no answer without that."""

    parameters = ("logg", "teff")

    def sample(self, obs: Measurements, draws: int, *, seed: int = 0) -> SimpleNamespace:
        bands = {name: self._column(obs, name) for name in (*COOL, BP, RP)}
        assert all(bands[name].isnan().all() for name in COOL), "the ultraviolet was looked at"
        teff = 9600.0 - 4000.0 * (bands[BP] - bands[RP])
        return SimpleNamespace(values=torch.stack([0 * teff, teff], -1).expand(draws, -1, -1))

    @staticmethod
    def _column(obs: Measurements, name: str) -> torch.Tensor:
        if name not in obs.channels:
            return torch.full((len(obs),), NAN)
        here = obs.present & (obs.channel == obs.channels.index(name))
        return (
            torch.where(here, obs.value, NAN).nan_to_num(nan=-1e9).amax(1).where(here.any(1), NAN)
        )


def stars(channels: tuple[str, ...], *rows: tuple[float, ...]) -> Measurements:
    value = torch.tensor(rows)
    return Measurements.from_dense(channels, value, torch.full_like(value, 0.03))


def held(obs: Measurements, name: str) -> list[bool]:
    here = obs.present & (obs.channel == obs.channels.index(name))
    return here.any(1).tolist()


@pytest.mark.parametrize("order", [(FUV, NUV, BP, RP), (RP, BP, NUV, FUV)])
def test_each_band_down_to_its_own_temperature(order: tuple[str, ...]) -> None:
    rows = [
        {FUV: 15.0, NUV: 15.0, BP: 15.0, RP: 15.0},  # 9600 K
        {FUV: 20.0, NUV: 19.0, BP: 15.0, RP: 14.0},  # 5600 K
        {FUV: 20.0, NUV: 19.0, BP: 15.0, RP: 13.4},  # 3200 K
        {FUV: NAN, NUV: NAN, BP: 15.0, RP: 13.4},
        {FUV: 20.0, NUV: 19.0, BP: NAN, RP: NAN},  # nothing else to tell
    ]
    obs = stars(order, *(tuple(row[name] for name in order) for row in rows))
    found = leave_out_chromospheres(Colour(), obs)
    assert held(found, FUV) == [True, False, False, False, True]
    assert held(found, NUV) == [True, True, False, False, True]
    assert held(found, BP) == held(obs, BP)
    assert found.channels == obs.channels
    again = leave_out_chromospheres(Colour(), found)
    assert torch.equal(again.kind, found.kind)


def test_stars_without_ultraviolet_cost_nothing() -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    silent = SimpleNamespace(parameters=("teff",), sample=refuse)
    for obs in (
        stars((BP, RP), (15.0, 14.0)),
        stars((FUV, BP), (NAN, 14.0)),
        stars((FUV, BP), (15.0, 14.0))[:0],
    ):
        assert leave_out_chromospheres(silent, obs) is obs
    other = SimpleNamespace(parameters=("logg",), sample=refuse)
    both = stars((FUV, BP), (15.0, 14.0))
    assert leave_out_chromospheres(other, both) is both
