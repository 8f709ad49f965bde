"""Which column of a table is which channel.

Names are matched as they stand, then without regard to case; `maury.column_names` lists them.
A column may also be named by the SVO id of its band. Names that several surveys share are left
alone with a note, because a wrong guess would be silent.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maury.column_names import (
    AMBIGUOUS,
    COLUMN_NAMES,
    ERROR_PATTERNS,
    GAIA_DR2,
    OVER_ERROR,
    PARALLAX_AIDS,
)
from maury.errors import MauryError
from maury.parameters import PARAMETERS

__all__ = [
    "ColumnPair",
    "ColumnWarning",
    "Recognition",
    "channel_unit",
    "read_mapping",
    "recognise",
]

PRIOR = "prior_"
RELEASE = "gaia_release"
_SVO_ID = re.compile(r"[\w+-]+/[\w+-]+\.[\w+-]+")
_COMPANION = re.compile(r"^(e|err|sigma|l)_|_(err|error|sigma|uncertainty|limit)$", re.I)


class ColumnWarning(UserWarning):
    """Something about the columns of a table that its owner should know."""


@dataclass(frozen=True)
class ColumnPair:
    """The columns that hold one channel.

    Parameters
    ----------
    value : str
    error : str, optional
        None: the table has no errors for this channel.
    limit : str, optional
        Column of text: ``<`` and ``>`` mark limits on the value.
    ratio : bool
        The error column holds value / error (for magnitudes: flux / error) instead of the error.
    by_release : bool
        A Gaia magnitude whose passband the row's ``gaia_release`` decides.
    """

    value: str
    error: str | None = None
    limit: str | None = None
    ratio: bool = False
    by_release: bool = False


@dataclass(frozen=True)
class Recognition:
    """What `recognise` found.

    Parameters
    ----------
    pairs : dict
        Channel to its columns, in the order of the table.
    release : str or None
        The column that says which Gaia release a row's photometry is from.
    aids : dict
        What helps to correct a parallax (`maury.column_names.PARALLAX_AIDS`) to its column; empty
        where there is no parallax.
    notes : tuple of str
        What the user should hear once.
    """

    pairs: dict[str, ColumnPair]
    release: str | None
    aids: dict[str, str]
    notes: tuple[str, ...]

    @property
    def columns(self) -> frozenset[str]:
        """Names of all columns that hold measurements, their errors, limits or zero points."""
        found = [name for p in self.pairs.values() for name in (p.value, p.error, p.limit)]
        return frozenset(n for n in [*found, self.aids.get("zero_point")] if n is not None)


def channel_unit(channel: str) -> str:
    """Unit of a channel's value and error, in astropy's notation."""
    if channel == "parallax":
        return "mas"
    if channel.startswith(PRIOR):
        return PARAMETERS[channel.removeprefix(PRIOR)].unit
    return "mag"


def recognise(
    names: Sequence[str],
    *,
    columns: Mapping[str, str | Sequence[str] | ColumnPair] | None = None,
) -> Recognition:
    """Find the channels among the columns of a table.

    Parameters
    ----------
    names : sequence of str
        The table's column names, in order.
    columns : mapping, optional
        The user's own choice: channel (or our short name of it, such as ``gaia_g``) to a value
        column or to (value column, error column). It overrides recognition for its channels. A
        channel given as a full SVO id is taken literally, whatever ``gaia_release`` says.

    Returns
    -------
    Recognition

    Raises
    ------
    MauryError
        If a name occurs twice, two columns claim one channel, a mapped column is not there, or
        outside knowledge comes without its error.
    """
    _refuse_duplicates(names)
    pairs, notes = _mapped(names, columns or {}), []
    taken = {n for p in pairs.values() for n in (p.value, p.error) if n is not None}
    finder = _Finder([name for name in names if name not in taken])
    mapped = frozenset(pairs)
    for name in names:
        if name in taken:
            continue
        if name in AMBIGUOUS or (name.lower() in AMBIGUOUS and name not in _EXACT):
            notes.append(
                f"column {name!r} is ignored: it could be any of "
                f"{', '.join(AMBIGUOUS[name.lower()])}; name its band in a column map"
            )
            continue
        channel = _channel_of(name)
        if channel is None:
            if name.startswith(PRIOR) and not _COMPANION.search(name):
                notes.append(
                    f"column {name!r} is ignored: outside knowledge may concern "
                    f"{', '.join(PRIOR + p for p in PARAMETERS)}"
                )
            continue
        if channel in mapped:
            continue
        if channel in pairs:
            name, loser = _better_spelt(channel, pairs[channel].value, name)
            notes.append(f"column {loser!r} is ignored: {name!r} holds {channel}")
        pairs[channel] = finder.pair(name, channel)
    for channel, pair in pairs.items():
        if pair.error is None and channel.startswith(PRIOR):
            raise MauryError(
                f"column {pair.value!r} comes without an error: add {pair.value}_err, because "
                "outside knowledge has no weight without one"
            )
    notes += _lonely_errors(names, pairs)
    release = next((name for name in names if name.lower() == RELEASE), None)
    aids = _parallax_aids(names) if "parallax" in pairs else {}
    return Recognition(pairs=pairs, release=release, aids=aids, notes=tuple(notes))


def read_mapping(path: str | Path) -> dict[str, ColumnPair]:
    """Read a column map: a TOML file of lines such as ``"GAIA/GAIA3.G" = ["my_g", "my_g_err"]``.

    Raises
    ------
    MauryError
        If the file is missing, is not TOML, or an entry has another form.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise MauryError(f"{path}: cannot read this column map as TOML: {problem}") from None
    return {channel: _as_pair(channel, entry) for channel, entry in content.items()}


def _refuse_duplicates(names: Sequence[str]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise MauryError(
            f"column {twice[0]!r} occurs {names.count(twice[0])} times: columns need distinct names"
        )


def _as_pair(channel: str, entry: object) -> ColumnPair:
    if isinstance(entry, ColumnPair):
        return entry
    if isinstance(entry, str):
        return ColumnPair(entry)
    if (
        isinstance(entry, Sequence)
        and 1 <= len(entry) <= 2
        and all(isinstance(part, str) for part in entry)
    ):
        return ColumnPair(*entry)
    raise MauryError(
        f'column map, {channel!r}: give a column or ["column", "error column"], not {entry!r}'
    )


def _mapped(
    names: Sequence[str], columns: Mapping[str, str | Sequence[str] | ColumnPair]
) -> dict[str, ColumnPair]:
    pairs: dict[str, ColumnPair] = {}
    for key, entry in columns.items():
        channel = _channel_of(key)
        if channel is None:
            known = difflib.get_close_matches(key, [*COLUMN_NAMES, *_EXACT], n=1, cutoff=0.5)
            hint = f", such as {known[0]!r}" if known else ""
            raise MauryError(
                f"column map: {key!r} is no channel; use an SVO filter id, 'parallax' or "
                f"'{PRIOR}<parameter>'{hint}"
            )
        pair = _as_pair(key, entry)
        for name in (pair.value, pair.error, pair.limit):
            if name is not None and name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise MauryError(f"column map, {key!r}: the table has no column {name!r}{hint}")
        if channel in pairs:
            raise MauryError(f"column map: {key!r} names {channel} a second time")
        pairs[channel] = ColumnPair(
            value=pair.value,
            error=pair.error,
            limit=pair.limit,
            ratio=pair.ratio,
            by_release=channel in GAIA_DR2 and key != channel,
        )
    return pairs


def _parallax_aids(names: Sequence[str]) -> dict[str, str]:
    finder = _Finder(names)
    found = {aid: finder.first(known) for aid, (known, _) in PARALLAX_AIDS.items()}
    return {aid: name for aid, name in found.items() if name is not None}


def _value_names(channel: str) -> Iterable[str]:
    return (name if isinstance(name, str) else name[0] for name in COLUMN_NAMES[channel])


_EXACT: dict[str, str] = {n: channel for channel in COLUMN_NAMES for n in _value_names(channel)}
_FOLDED: dict[str, str] = {name.lower(): channel for name, channel in _EXACT.items()}
_ERRORS: dict[str, list[str]] = {}
for _entry in (entry for entries in COLUMN_NAMES.values() for entry in entries):
    if isinstance(_entry, tuple):
        _ERRORS.setdefault(_entry[0].lower(), []).append(_entry[1])


_VALUE_OF_ERROR: dict[str, str] = {}
for _value in _EXACT:
    for _error in (*_ERRORS.get(_value.lower(), []), *(p.format(_value) for p in ERROR_PATTERNS)):
        _VALUE_OF_ERROR.setdefault(_error.lower(), _value)


def _lonely_errors(names: Sequence[str], pairs: Mapping[str, ColumnPair]) -> Iterator[str]:
    """Notes of errors without a value: one wrong letter in its name would quietly lose a band."""
    used = {pair.error for pair in pairs.values()}
    for name in names:
        value = _VALUE_OF_ERROR.get(name.lower())
        if name.endswith("_err") and _SVO_ID.fullmatch(name):
            value = name.removesuffix("_err")
        if value is None or name in used or _channel_of(name) is not None:
            continue
        if _EXACT.get(value, value) not in pairs:
            yield f"column {name!r} is ignored: it is the error of {value!r}, which is not there"


def _channel_of(name: str) -> str | None:
    """The channel that a value column holds, or None."""
    if name in _EXACT:
        return _EXACT[name]
    if _COMPANION.search(name):
        return None
    if _SVO_ID.fullmatch(name):
        return name
    folded = name.lower()
    if folded.startswith(PRIOR):
        return folded if folded.removeprefix(PRIOR) in PARAMETERS else None
    return _FOLDED.get(folded)


def _better_spelt(channel: str, one: str, other: str) -> tuple[str, str]:
    """Of two columns for a channel the one that is spelt as its archive does, then the other.

    AllWISE has both ``w1mpro``, a known name, and ``w1mag``, which only disregard for case takes
    for VizieR's ``W1mag``.
    """
    exact = [name in _EXACT or name == channel for name in (one, other)]
    if exact[0] == exact[1]:
        raise MauryError(
            f"columns {one!r} and {other!r} both hold {channel}: drop one, or choose in a column "
            "map"
        )
    return (one, other) if exact[0] else (other, one)


class _Finder:
    """Looks up the columns that go with a value column."""

    def __init__(self, names: Sequence[str]) -> None:
        self._exact = set(names)
        self._folded: dict[str, str] = {}
        for name in names:
            self._folded.setdefault(name.lower(), name)

    def pair(self, value: str, channel: str) -> ColumnPair:
        by_release = channel in GAIA_DR2 and value != channel
        error, ratio = self._error(value)
        return ColumnPair(
            value=value,
            error=error,
            limit=self.first([f"{value}_limit", f"l_{value}"]),
            ratio=ratio,
            by_release=by_release,
        )

    def _error(self, value: str) -> tuple[str | None, bool]:
        # Of an archive's own names the first that is there; each pattern is a claim by itself.
        wanted = [_ERRORS.get(value.lower(), []), *([p.format(value)] for p in ERROR_PATTERNS)]
        found = list(dict.fromkeys(n for w in wanted if (n := self.first(w)) is not None))
        if len(found) > 1:
            raise MauryError(
                f"columns {found[0]!r} and {found[1]!r} both look like the error of {value!r}: "
                "drop one, or choose in a column map"
            )
        if found:
            return found[0], False
        ratio = self.first([OVER_ERROR.get(value.lower(), "")])
        return ratio, ratio is not None

    def first(self, wanted: Sequence[str]) -> str | None:
        """The first of these names that is there, as the table spells it."""
        for name in wanted:
            if name in self._exact:
                return name
        return next((self._folded[n.lower()] for n in wanted if n.lower() in self._folded), None)
