"""Configs: what a checkpoint takes for its own, and what is refused."""

import tomllib
from pathlib import Path

import pytest
import tomli_w

from maury.errors import MauryError
from maury.training.config import fingerprint, read_config, write_config

BEFORE = Path(__file__).parent / "data" / "config_of_2026_november.toml"
"""A config with all entries of its day, spelled out; `isochrones` came later."""


def galaxy(**entries: object) -> dict[str, object]:
    return {
        "prior": "galaxy",
        "bands": ["GAIA/GAIA3.G", "2MASS/2MASS.J", "2MASS/2MASS.Ks"],
    } | entries


def test_checkpoints_of_earlier_configs_stay_theirs() -> None:
    """The number is what maury gave before any entry had joined: it must never change."""
    config = read_config(BEFORE)
    assert fingerprint(config) == "da069da0f386e0b3a9b33e888f602cf8a19ac1af427fe81fd0243e51e9e7218e"
    assert config.simulator.isochrones == "mist"


def test_entries_that_joined_count_where_they_say_something_new() -> None:
    config = read_config(BEFORE)
    parsec = config.simulator.model_copy(update={"isochrones": "parsec"})
    assert fingerprint(config.model_copy(update={"simulator": parsec})) != fingerprint(config)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    config = read_config(BEFORE)
    changes = {"isochrones": "parsec", "library": ("phoenix-kurucz", "ck04")}
    parsec = config.simulator.model_copy(update=changes)
    for one in (config, config.model_copy(update={"simulator": parsec})):
        write_config(one, tmp_path / "config.toml")
        assert read_config(tmp_path / "config.toml") == one
    assert 'isochrones = "parsec"' in (tmp_path / "config.toml").read_text()


@pytest.mark.parametrize(
    ("simulator", "message"),
    [
        (galaxy(isochrones="padova"), "simulator.isochrones': Input should be 'mist' or 'parsec'"),
        ({"prior": "field", "isochrones": "parsec"}, "'parsec' need prior 'galaxy'"),
    ],
)
def test_isochrones_that_serve_no_prior_are_refused(
    simulator: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    content = tomllib.loads(BEFORE.read_text()) | {"simulator": simulator}
    path.write_text(tomli_w.dumps(content))
    with pytest.raises(MauryError, match=message):
        read_config(path)
