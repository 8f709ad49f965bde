"""Passbands of the user's own: a file of two columns, or a VOTable of the SVO's form."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io.votable import parse
from astropy.io.votable.tree import VOTableFile

from maury.errors import MauryError
from maury.sky.passband import Band, FloatArray

__all__ = ["read_band"]

_AB_JANSKY = 3631.0
"""Zero-magnitude flux density of the AB system in Jy, as the SVO and the surveys round it."""

_DETECTORS = {"0": "energy", "1": "photon"}
"""The SVO's parameter DetectorType (Rodrigo & Solano 2020; IVOA PhotDM 1.1)."""


def read_band(
    path: str | Path,
    *,
    id: str | None = None,
    system: str | None = None,
    detector: str | None = None,
    zero_point: float | None = None,
    floor: float = 0.02,
) -> Band:
    """Read a passband from a file.

    Parameters
    ----------
    path : path
        Text of two columns (wavelength in Angstrom in vacuum, throughput; separated by blanks or
        a comma, ``#`` begins a comment, one line of column names may come first), or a VOTable
        as the SVO Filter Profile Service gives it, in any unit of length.
    id : str, optional
        Its name; a VOTable may give it (filterID).
    system : {"AB", "Vega"}, optional
        A VOTable may give it (MagSys).
    detector : {"photon", "energy"}, optional
        A VOTable may give it (DetectorType).
    zero_point : float, optional
        In mag, ``m = m_AB - zero_point``; 0 where it is not given and the system is AB, and the
        VOTable's ZeroPoint of a Vega system.
    floor : float
        Systematic error, mag.

    Returns
    -------
    Band

    Raises
    ------
    MauryError
        If the file cannot be read, the curve is not a curve, or something needed is given by
        neither the file nor the caller.
    """
    path = Path(path)
    try:
        start = path.read_bytes()[:2048]
    except OSError as error:
        raise MauryError(f"Cannot read {path}: {error.strerror}.") from None
    found = _read_votable(path) if b"<VOTABLE" in start.upper() else _read_text(path)
    given = {
        "id": id or found.id,
        "system": system or found.system,
        "detector": detector or found.detector,
    }
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise MauryError(f"{path} does not say its {' and '.join(missing)}: give it.")
    if zero_point is None:
        zero_point, source = _zero_point(path, str(given["system"]), found)
    else:
        source = "given by the user"
    fields: dict[str, Any] = {**given, "floor": floor, "description": f"from {path.name}"}
    return Band(
        **fields,
        zero_point=zero_point,
        zero_point_source=source,
        wave=found.wave,
        throughput=found.throughput,
    )


@dataclass(frozen=True)
class _Found:
    """What a file says; None where it does not. `jansky` is the flux density at magnitude 0."""

    wave: FloatArray
    throughput: FloatArray
    id: str | None = None
    system: str | None = None
    detector: str | None = None
    jansky: float | None = None


def _zero_point(path: Path, system: str, found: _Found) -> tuple[float, str]:
    if system == "AB":
        return 0.0, "AB"
    # The file's ZeroPoint is that of the file's system: it says nothing of another one.
    if found.jansky is None or found.system != system:
        raise MauryError(
            f"{path} has no zero point in the {system} system: give zero_point "
            "(m = m_AB - zero_point, in mag)."
        )
    return 2.5 * float(np.log10(_AB_JANSKY / found.jansky)), f"{path.name}: {found.jansky:g} Jy"


def _read_text(path: Path) -> _Found:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise MauryError(f"{path} is not text: a curve is two columns of numbers.") from None
    rows: list[tuple[float, float]] = []
    named = False
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            wave, throughput = (float(word) for word in words)
        except ValueError:
            if not rows and not named and not _any_number(words):
                named = True  # the line of column names
                continue
            raise MauryError(
                f"{path}, line {number}: {line.strip()!r} is not two numbers "
                "(wavelength in Angstrom, throughput)."
            ) from None
        rows.append((wave, throughput))
    curve = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return _Found(wave=curve[:, 0], throughput=curve[:, 1])


def _any_number(words: list[str]) -> bool:
    for word in words:
        try:
            float(word)
        except ValueError:
            continue
        return True
    return False


def _read_votable(path: Path) -> _Found:
    try:
        with warnings.catch_warnings():
            # The SVO's files deviate from the VOTable schema in ways that change no value.
            warnings.simplefilter("ignore")
            document = parse(path)
            table = document.get_first_table().to_table(use_names_over_ids=True)
    except Exception as error:
        # Any error of the parser means the same to the user: this file is not a VOTable.
        raise MauryError(f"{path} is not a VOTable that can be read: {error}") from None
    names = {name.lower(): name for name in table.colnames}
    if "wavelength" not in names or "transmission" not in names:
        raise MauryError(
            f"{path} has the columns {', '.join(table.colnames)}: a filter of the SVO has "
            "Wavelength and Transmission."
        )
    column = table[names["wavelength"]]
    try:
        scale = (column.unit or units.AA).to(units.AA)
    except units.UnitConversionError:
        raise MauryError(f"{path}: Wavelength in {column.unit}, which is not a length.") from None
    said = _parameters(document)
    return _Found(
        wave=np.asarray(column, dtype=np.float64) * scale,
        throughput=np.asarray(table[names["transmission"]], dtype=np.float64),
        id=said.get("filterid"),
        system=said.get("magsys"),
        detector=_DETECTORS.get(said.get("detectortype", "")),
        jansky=_jansky(path, said),
    )


def _parameters(document: VOTableFile) -> dict[str, str]:
    """The PARAMs of a VOTable by name in lower case, wherever they stand."""
    params = []
    for resource in document.resources:
        params += list(resource.params)
        for table in resource.tables:
            params += list(table.params)
            params += [p for group in table.groups for p in group.entries if hasattr(p, "value")]
    return {p.name.lower(): str(p.value).strip() for p in params if p.name}


def _jansky(path: Path, said: dict[str, str]) -> float | None:
    if "zeropoint" not in said or said.get("zeropointunit", "Jy") != "Jy":
        return None
    try:
        value = float(said["zeropoint"])
    except ValueError:
        value = -1.0
    if not value > 0:
        raise MauryError(f"{path}: ZeroPoint {said['zeropoint']!r}: must be a positive number.")
    return value
