"""Bands of the user's own in a model's config: read from a file once, then carried along.

A config names a file for each such band:

    [simulator.passbands."MyScope/MyCam.g"]
    file = "my_g.csv"       # beside the config
    system = "AB"
    detector = "photon"

A model's own config has the curve in the file's place, so that its folder needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from maury.errors import MauryError
from maury.sky.bands import Band, read_band

__all__ = ["OwnBand", "read_curves"]

_SAID = ("system", "detector", "zero_point", "floor")


class OwnBand(BaseModel):
    """A passband as a model's config holds it; see `maury.sky.bands.Band` for the entries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: Literal["AB", "Vega"]
    detector: Literal["photon", "energy"]
    zero_point: float
    floor: float = Field(0.02, ge=0)
    wave: tuple[float, ...]
    throughput: tuple[float, ...]

    def band(self, name: str) -> Band:
        """The passband.

        Raises
        ------
        MauryError
            If the curve is not a curve.
        """
        return Band(id=name, zero_point_source="the model's config", **self.model_dump())


def read_curves(entries: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The entries of a config with curves in the place of files, which are sought in ``folder``.

    Raises
    ------
    MauryError
        If a file cannot be read, or does not say what the entry leaves out.
    """
    return {name: _with_curve(name, entry, folder) for name, entry in entries.items()}


def _with_curve(name: str, entry: Any, folder: Path) -> Any:
    if not isinstance(entry, Mapping) or "file" not in entry:
        return entry
    said = {key: value for key, value in entry.items() if key != "file"}
    if unknown := sorted(set(said) - set(_SAID)):
        raise MauryError(
            f"passband {name!r}: {', '.join(unknown)} is no entry beside a file; there are "
            f"{', '.join(_SAID)}"
        )
    curve = read_band(folder / str(entry["file"]), id=name, **said)
    return {
        "system": curve.system,
        "detector": curve.detector,
        "zero_point": curve.zero_point,
        "floor": curve.floor,
        "wave": curve.wave.tolist(),
        "throughput": curve.throughput.tolist(),
    }
