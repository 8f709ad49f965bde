"""Isochrones in files, and finding them by name."""

from pathlib import Path

import pytest
import torch

from maury.errors import MauryError
from maury.sky import isochrones as room
from maury.sky.isochrones import Isochrones, load_isochrones
from maury.sky.isochrones.storage import read_isochrones, write_isochrones


@pytest.fixture
def mist() -> Isochrones:
    whole = load_isochrones()
    columns = {
        name: getattr(whole, name)[10:13, 80:84].clone()
        for name in ("mass", "log_teff", "logg", "log_lum", "phase")
    }
    return Isochrones(
        name="part", mh=whole.mh[10:13], log_age=whole.log_age[80:84], eep=whole.eep, **columns
    )


def test_what_is_written_is_read(mist: Isochrones, tmp_path: Path) -> None:
    write_isochrones(mist, tmp_path / "part.npz")
    again = read_isochrones(tmp_path / "part.npz")
    assert again.name == "part"
    for name, tolerance in (("mass", 0), ("log_teff", 3e-5), ("logg", 1.1e-4), ("log_lum", 1.3e-4)):
        torch.testing.assert_close(
            getattr(again, name), getattr(mist, name), rtol=0, atol=tolerance, equal_nan=True
        )
    assert torch.equal(again.phase, mist.phase)


def test_values_that_do_not_fit_are_refused(mist: Isochrones, tmp_path: Path) -> None:
    mist.log_lum[0, 0, 200] = 40.0
    with pytest.raises(MauryError, match="log_lum is beyond"):
        write_isochrones(mist, tmp_path / "part.npz")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(MauryError, match=r"bad\.npz: not a file of isochrones"):
        read_isochrones(tmp_path / "bad.npz")


def test_names() -> None:
    assert load_isochrones() is load_isochrones("mist")
    assert room.isochrone_names()[0] == "mist"
    with pytest.raises(MauryError, match="no isochrones 'padova': there are mist"):
        load_isochrones("padova")


def test_what_is_not_built_says_how(
    mist: Isochrones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAURY_CACHE", str(tmp_path))
    room._load.cache_clear()
    with pytest.raises(MauryError, match=r"scripts/build_isochrones\.py parsec"):
        load_isochrones("parsec")
    room.built_folder().mkdir()
    write_isochrones(mist, room.built_folder() / "parsec.npz")
    assert load_isochrones("parsec").mass.shape == mist.mass.shape
    room._load.cache_clear()
