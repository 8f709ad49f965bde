"""Bands of the user's own: named by a config, carried along by a model."""

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from maury.errors import MauryError
from maury.simulator import Simulator
from maury.sky import bands
from maury.sky.bands import add_band, band, read_band
from maury.training.config import ModelConfig, fingerprint, read_config, write_config

MINE = "MyScope/MyCam.g"
CURVE = "wave,response\n4000,0\n4500,0.8\n5200,0.9\n5500,0\n"
BEFORE = Path(__file__).parents[1] / "training/data/config_of_2026_november.toml"


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "_OWN", {})


def config_file(folder: Path, *, curve: str = CURVE, name: str = MINE, **entry: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "g.csv").write_text(curve)
    content = tomllib.loads(BEFORE.read_text())
    entry = {"file": "g.csv", "system": "AB", "detector": "energy"} | entry
    content["simulator"] = {
        "prior": "field",
        "bands": ["GAIA/GAIA3.G", "2MASS/2MASS.J", MINE],
        "passbands": {name: entry},
    }
    (folder / "config.toml").write_text(tomli_w.dumps(content))
    return folder / "config.toml"


def test_a_model_carries_the_curve_along(tmp_path: Path) -> None:
    config = read_config(config_file(tmp_path / "there", floor=0.05, zero_point=0.1))
    (tmp_path / "model").mkdir()
    write_config(config, tmp_path / "model/config.toml")
    shutil.rmtree(tmp_path / "there")
    again = read_config(tmp_path / "model/config.toml")
    assert again == config
    assert fingerprint(again) == fingerprint(config)
    simulator = Simulator(again.simulator)
    assert MINE in simulator.channels
    known = band(MINE)
    np.testing.assert_array_equal(known.wave, [4000, 4500, 5200, 5500])
    np.testing.assert_array_equal(known.throughput, [0, 0.8, 0.9, 0])
    assert (known.detector, known.zero_point, known.floor) == ("energy", 0.1, 0.05)


def test_the_curve_counts_for_a_checkpoint(tmp_path: Path) -> None:
    other = CURVE.replace("0.9", "0.7")
    one, two = (
        read_config(config_file(tmp_path / str(i), curve=curve))
        for i, curve in enumerate((CURVE, other))
    )
    assert fingerprint(one) != fingerprint(two)
    Simulator(one.simulator)
    Simulator(one.simulator)
    with pytest.raises(MauryError, match="Two different curves"):
        Simulator(two.simulator)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file": "nowhere.csv"}, r"Cannot read .*nowhere\.csv"),
        ({"detector": "eye"}, "detector 'eye'"),
        ({"colour": "green"}, "colour is no entry"),
        ({"system": "Vega"}, "zero_point"),
        ({"name": "MyScope/MyCam.r"}, "passband 'MyScope/MyCam.r' is not among the bands"),
    ],
)
def test_mistakes_are_told(change: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(MauryError, match=message):
        read_config(config_file(tmp_path / "there", **change))


def test_packaged_names_are_taken(tmp_path: Path) -> None:
    (tmp_path / "j.csv").write_text(CURVE)
    with pytest.raises(MauryError, match=r"packaged band '2MASS/2MASS\.J'"):
        add_band(read_band(tmp_path / "j.csv", id="2MASS/2MASS.J", system="AB", detector="photon"))


def test_configs_without_say_nothing_of_it(tmp_path: Path) -> None:
    config: ModelConfig = read_config(BEFORE)
    write_config(config, tmp_path / "config.toml")
    assert "passbands" not in (tmp_path / "config.toml").read_text()
