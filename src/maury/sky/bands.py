"""The packaged passbands, by identifier of the SVO Filter Profile Service.

Zero points are those that the surveys publish, written with their source in
``data/bands/bands.toml``. To add a band: one CSV (wavelength in Angstrom in vacuum, throughput)
and one entry of ``bands.toml``, both in ``data/bands``.
"""

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from maury.errors import MauryError
from maury.sky.band_files import read_band
from maury.sky.passband import AB_CONSTANT, SPEED_OF_LIGHT, Band

__all__ = [
    "AB_CONSTANT",
    "PAPER_BANDS",
    "SPEED_OF_LIGHT",
    "Band",
    "add_band",
    "band",
    "band_ids",
    "read_band",
]

PAPER_BANDS: tuple[str, ...] = (
    *(f"GALEX/GALEX.{b}" for b in ("FUV", "NUV")),
    *(f"SLOAN/SDSS.{b}" for b in "ugriz"),
    *(f"PAN-STARRS/PS1.{b}" for b in "grizy"),
    *(f"SkyMapper/SkyMapper.{b}" for b in "uvgriz"),
    *(f"GAIA/GAIA3.{b}" for b in ("G", "Gbp", "Grp")),
    *(f"2MASS/2MASS.{b}" for b in ("J", "H", "Ks")),
    *(f"WISE/WISE.{b}" for b in ("W1", "W2")),
)
"""The bands of the seed paper: 26, not its 25 (2 + 5 + 5 + 5 + 3 + 3 + 2), because the five that
it lists for SkyMapper (g, r, i, z, y) do not exist: the six real ones stand in their place."""


_OWN: dict[str, Band] = {}


def add_band(own: Band) -> None:
    """Let `band` know a band of the user's own, until the program ends.

    Raises
    ------
    MauryError
        If another band has its name.
    """
    if own.id in _entries():
        raise MauryError(f"There is a packaged band {own.id!r}: give your own another name.")
    if not _alike(_OWN.setdefault(own.id, own), own):
        raise MauryError(
            f"Two different curves are named {own.id!r}: give one of them another name, or use "
            "one model at a time."
        )


def band(id: str) -> Band:
    """The band of that SVO identifier: a packaged one, or one that `add_band` made known.

    Raises
    ------
    MauryError
        If there is none; the message lists those of the same facility.
    """
    if id in _OWN:
        return _OWN[id]
    entries = _entries()
    if id not in entries:
        facility = str(id).partition("/")[0].lower()
        near = [name for name in entries if name.lower().startswith(facility + "/")]
        raise MauryError(
            f"There is no band {id!r}. Known: {', '.join(near or entries)}. "
            "A config can name a curve of your own: see docs/usage.md."
        )
    return _packaged(id)


def band_ids() -> tuple[str, ...]:
    """SVO identifiers of all packaged bands, in the order of ``bands.toml``."""
    return tuple(_entries())


def _alike(one: Band, other: Band) -> bool:
    numbers = ("detector", "zero_point", "floor")
    return all(getattr(one, name) == getattr(other, name) for name in numbers) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("wave", "throughput")
    )


@cache
def _entries() -> dict[str, dict[str, Any]]:
    text = _folder().joinpath("bands.toml").read_text(encoding="utf-8")
    return {entry.pop("id"): entry for entry in tomllib.loads(text)["band"]}


@cache
def _packaged(id: str) -> Band:
    name = id.replace("/", "_") + ".csv"
    text = _folder().joinpath(name).read_text(encoding="utf-8")
    wave, throughput = np.loadtxt(text.splitlines(), delimiter=",", skiprows=1, unpack=True)
    return Band(id=id, wave=wave, throughput=throughput, **_entries()[id])


def _folder() -> Any:
    return resources.files("maury.sky") / "data" / "bands"
