"""Measurements: the one type between catalogues, simulators and networks.

A star owns a set of slots; each slot says which channel was measured, what came out, how well,
and whether it is a value or a limit. Stars with different sets share one padded batch. Nothing
may depend on the order of the slots, on the amount of padding, or on how an object happens to
number its channels.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import ArrayLike
from torch import Tensor

from maury.cells import dense_from_table
from maury.columns import ColumnPair, ColumnWarning, channel_unit
from maury.errors import MauryError
from maury.hashing import mix
from maury.instruments.photometric_zero_point import CATALOGUE_OFFSETS

__all__ = ["Kind", "Measurements"]


class Kind(IntEnum):
    """What a slot holds. Limits bound the stored number itself.

    A star too faint to be detected in a band has a magnitude *larger* than the stated depth:
    that is a ``LOWER_LIMIT`` of the magnitude.
    """

    ABSENT = 0
    MEASURED = 1
    UPPER_LIMIT = 2
    LOWER_LIMIT = 3


_LIMIT_SIGNS = {"<": Kind.UPPER_LIMIT, ">": Kind.LOWER_LIMIT}


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured of N stars, in S slots each.

    Parameters
    ----------
    channels : tuple of str
        The vocabulary of this object: SVO ids of bands (magnitudes in the band's own system),
        ``"parallax"`` (mas, without zero point), and ``"prior_<parameter>"`` for outside knowledge.
    channel : Tensor (N, S) int64
        Index of each slot into ``channels``; 0 in padding.
    value : Tensor (N, S) float32
        0 in padding, so that masked arithmetic stays finite.
    sigma : Tensor (N, S) float32
        Standard error, positive; 1 in padding, so that logarithms and ratios stay finite.
    kind : Tensor (N, S) int8
        A `Kind`; 0 marks padding.
    rejected : Tensor (N,) bool
        Whether an unusable value or error of this star was left out.

    Raises
    ------
    MauryError
        If shapes disagree or a channel is named twice.
    """

    channels: tuple[str, ...]
    channel: Tensor
    value: Tensor
    sigma: Tensor
    kind: Tensor
    rejected: Tensor

    def __post_init__(self) -> None:
        shape = self.channel.shape
        if len(shape) != 2:
            raise MauryError(f"'channel' should be (stars, slots), not {tuple(shape)}")
        for name in ("value", "sigma", "kind"):
            found = getattr(self, name).shape
            if found != shape:
                raise MauryError(f"'{name}' should be {tuple(shape)} as 'channel', not {found}")
        if self.rejected.shape != shape[:1]:
            raise MauryError(f"'rejected' should be ({shape[0]},), not {self.rejected.shape}")
        if len(set(self.channels)) != len(self.channels):
            raise MauryError(f"a channel is named twice in {self.channels}")

    # -- looking ---------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.channel.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.value.device

    @property
    def present(self) -> Tensor:
        """(N, S) bool: slots that hold something, be it a value or a limit."""
        return self.kind != Kind.ABSENT

    @property
    def measured(self) -> Tensor:
        """(N, S) bool: slots that hold a value, not a limit."""
        return self.kind == Kind.MEASURED

    @property
    def count(self) -> Tensor:
        """(N,) int64: number of slots that hold something."""
        return self.present.sum(dim=1)

    def __getitem__(self, index: slice | ArrayLike | Tensor) -> Measurements:
        """Some of the stars: by slice, integer indices or a boolean mask, never one integer."""
        rows: Any = index
        if not isinstance(index, slice):
            rows = torch.as_tensor(index, device=self.device)
            if rows.ndim != 1:
                raise MauryError("stars are chosen by a slice or a 1-d index: write obs[3:4]")
            if rows.numel() == 0:
                rows = rows.long()
        return replace(
            self,
            channel=self.channel[rows],
            value=self.value[rows],
            sigma=self.sigma[rows],
            kind=self.kind[rows],
            rejected=self.rejected[rows],
        )

    def to(self, device: torch.device | str) -> Measurements:
        """The same measurements on another device."""
        return replace(
            self,
            channel=self.channel.to(device),
            value=self.value.to(device),
            sigma=self.sigma.to(device),
            kind=self.kind.to(device),
            rejected=self.rejected.to(device),
        )

    # -- making ----------------------------------------------------------------------------

    @classmethod
    def from_dense(
        cls,
        channels: Sequence[str],
        value: ArrayLike | Tensor,
        sigma: ArrayLike | Tensor,
        *,
        kind: ArrayLike | Tensor | None = None,
        rejected: ArrayLike | Tensor | None = None,
    ) -> Measurements:
        """One column for each channel: NaN means absent.

        Parameters
        ----------
        channels : sequence of str, length C
        value, sigma : array_like (N, C)
            A slot is present where both are finite and sigma is positive.
        kind : array_like (N, C), optional
            A `Kind` each; all ``MEASURED`` by default.
        rejected : array_like (N,), optional
        """
        values = torch.as_tensor(value).to(torch.float32)
        errors = torch.as_tensor(sigma, device=values.device).to(torch.float32)
        if values.ndim != 2 or values.shape[1] != len(channels) or errors.shape != values.shape:
            raise MauryError(
                f"'value' and 'sigma' should both be (stars, {len(channels)}), not "
                f"{tuple(values.shape)} and {tuple(errors.shape)}"
            )
        stars, device = values.shape[0], values.device
        usable = torch.isfinite(values) & torch.isfinite(errors) & (errors > 0)
        kinds = torch.full_like(values, int(Kind.MEASURED), dtype=torch.int8)
        if kind is not None:
            kinds = torch.as_tensor(kind, device=device).to(torch.int8)
        index = torch.arange(len(channels), device=device).expand(stars, -1)
        return cls(
            channels=tuple(channels),
            channel=index.masked_fill(~usable, 0),
            value=values.masked_fill(~usable, 0.0),
            sigma=errors.masked_fill(~usable, 1.0),
            kind=kinds.masked_fill(~usable, int(Kind.ABSENT)),
            rejected=(
                torch.zeros(stars, dtype=torch.bool, device=device)
                if rejected is None
                else torch.as_tensor(rejected, device=device).to(torch.bool)
            ),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Measurements]) -> Measurements:
        """The stars of all parts in order; vocabularies are united and slots padded."""
        if not parts:
            raise MauryError("nothing to concatenate: give at least one Measurements")
        channels = tuple(dict.fromkeys(name for part in parts for name in part.channels))
        slots = max(part.channel.shape[1] for part in parts)
        padded = [part._renumbered(channels).with_slots(slots) for part in parts]
        return cls(
            channels=channels,
            channel=torch.cat([part.channel for part in padded]),
            value=torch.cat([part.value for part in padded]),
            sigma=torch.cat([part.sigma for part in padded]),
            kind=torch.cat([part.kind for part in padded]),
            rejected=torch.cat([part.rejected for part in padded]),
        )

    # -- changing --------------------------------------------------------------------------

    def select(self, channels: Sequence[str]) -> tuple[Measurements, tuple[str, ...]]:
        """Keep only what a model knows.

        Returns
        -------
        Measurements
            With the vocabulary ``channels`` in that order; other slots become padding.
        tuple of str
            The channels left out that held anything, so that the caller can warn once.
        """
        known = set(channels)
        unknown = [i for i, name in enumerate(self.channels) if name not in known]
        if not unknown:
            return self._renumbered(tuple(channels)), ()
        lost = torch.isin(self.channel, torch.tensor(unknown, device=self.device)) & self.present
        used = set(torch.unique(self.channel[lost]).tolist())
        dropped = tuple(self.channels[i] for i in unknown if i in used)
        return self.without(lost)._renumbered(tuple(channels)), dropped

    def without(self, where: Tensor) -> Measurements:
        """Leave out the slots ``where`` (N, S) is true: they become padding."""
        return replace(
            self,
            channel=self.channel.masked_fill(where, 0),
            value=self.value.masked_fill(where, 0.0),
            sigma=self.sigma.masked_fill(where, 1.0),
            kind=self.kind.masked_fill(where, int(Kind.ABSENT)),
        )

    def compact(self) -> Measurements:
        """Move padding to the end and trim it: as many slots as the richest star fills."""
        order = torch.argsort((~self.present).to(torch.int8), dim=1, stable=True)
        slots = int(self.count.max()) if len(self) else 0
        order = order[:, :slots]
        return replace(
            self,
            channel=self.channel.gather(1, order),
            value=self.value.gather(1, order),
            sigma=self.sigma.gather(1, order),
            kind=self.kind.gather(1, order),
        )

    def with_slots(self, slots: int) -> Measurements:
        """With exactly this many slots: padding is added, or the last slots are cut off."""
        cut = replace(
            self,
            channel=self.channel[:, :slots],
            value=self.value[:, :slots],
            sigma=self.sigma[:, :slots],
            kind=self.kind[:, :slots],
        )
        extra = (len(self), slots - cut.channel.shape[1])
        return replace(
            cut,
            channel=torch.cat([cut.channel, cut.channel.new_zeros(extra)], dim=1),
            value=torch.cat([cut.value, cut.value.new_zeros(extra)], dim=1),
            sigma=torch.cat([cut.sigma, cut.sigma.new_ones(extra)], dim=1),
            kind=torch.cat([cut.kind, cut.kind.new_zeros(extra)], dim=1),
        )

    def _renumbered(self, channels: tuple[str, ...]) -> Measurements:
        """Express the slots in another vocabulary; padding stays at index 0."""
        place = {name: i for i, name in enumerate(channels)}
        if not self.channels:
            return replace(self, channels=channels)
        lookup = torch.tensor([place.get(name, 0) for name in self.channels], device=self.device)
        return replace(
            self, channels=channels, channel=lookup[self.channel].masked_fill(~self.present, 0)
        )

    # -- identity --------------------------------------------------------------------------

    def hash(self) -> Tensor:
        """(N,) int64: a fingerprint of each star's measurements.

        It depends on the names of the channels, the float32 values, errors and kinds that are
        present, and on nothing else: not on the order of slots, padding, the numbering of the
        vocabulary, the device or the batch. Each slot is mixed by splitmix64 (Steele, Lea &
        Flood 2014, OOPSLA) and the slots are added with wrap-around.
        """
        if not self.channels:
            return torch.zeros(len(self), dtype=torch.int64, device=self.device)
        names = torch.tensor([_name_hash(n) for n in self.channels], device=self.device)
        mixed = mix(names[self.channel] + self.kind.long())
        mixed = mix(mixed ^ _float_bits(self.value))
        mixed = mix(mixed ^ _float_bits(self.sigma))
        return mix(mixed.masked_fill(~self.present, 0).sum(dim=1))

    # -- tables ----------------------------------------------------------------------------

    @classmethod
    def from_table(
        cls,
        table: Any,
        *,
        columns: Mapping[str, str | Sequence[str] | ColumnPair] | None = None,
        refuse_text: bool = True,
    ) -> Measurements:
        """Read every recognised column of a table.

        Parameters
        ----------
        table : astropy Table, pandas DataFrame or pyarrow Table
        columns : mapping, optional
            Channel to (value column, error column), for columns with names of the user's own;
            it overrides recognition for those channels. See `maury.columns.recognise`.
        refuse_text : bool
            Whether a recognised column without any number is an error, or all its cells are bad:
            a piece of a larger table may hold such a column.

        Returns
        -------
        Measurements
            One entry for each row, in order; a row without any usable cell is kept, empty.
            Magnitudes and parallaxes are freed of what is known of their zero points
            (`maury.instruments.photometric_zero_point`, `maury.parallaxes`).

        Raises
        ------
        MauryError
            If a recognised column holds no numbers, has a wrong unit, or two columns claim the
            same channel.

        Warns
        -----
        ColumnWarning
            Once for each thing a user should know, such as bands without an error column.
        """
        dense = dense_from_table(table, columns=columns, refuse_text=refuse_text)
        for note in dense.notes:
            warnings.warn(note, ColumnWarning, stacklevel=2)
        kind = np.full(dense.value.shape, int(Kind.MEASURED), dtype=np.int8)
        for sign, limit in _LIMIT_SIGNS.items():
            kind[dense.limit == sign] = int(limit)
        return cls.from_dense(
            dense.channels, dense.value, dense.sigma, kind=kind, rejected=dense.rejected
        )

    def to_table(self) -> Table:
        """One column ``<channel>`` and one ``<channel>_err`` for each channel; absent is NaN.

        Where a channel holds limits, ``<channel>_limit`` says ``<`` or ``>``. Beside a parallax,
        ``parallax_zero_point`` is 0: none is left to correct. Magnitudes are put back onto the
        catalogues' scale. `from_table` reads all of it back.

        Raises
        ------
        MauryError
            If a star holds the same channel twice, which a table cannot say.
        """
        table = Table()
        for index, name in enumerate(self.channels):
            here = self.present & (self.channel == index)
            if bool((here.sum(dim=1) > 1).any()):
                raise MauryError(f"a star holds {name!r} twice: a table has one column for it")
            # In double precision, so that reading the table gives the same number again.
            as_catalogued = self.value.double() + CATALOGUE_OFFSETS.get(name, 0.0)
            value = as_catalogued if name in CATALOGUE_OFFSETS else self.value
            for column, filled in ((name, value), (f"{name}_err", self.sigma)):
                cells = torch.where(here, filled, 0.0).sum(dim=1)
                cells[~here.any(dim=1)] = torch.nan
                table[column] = cells.cpu().numpy()
                table[column].unit = channel_unit(name)
            kinds = torch.where(here, self.kind, 0).sum(dim=1).cpu().numpy()
            if np.any(kinds > Kind.MEASURED):
                signs = np.full(len(self), "", dtype="U1")
                for sign, limit in _LIMIT_SIGNS.items():
                    signs[kinds == limit] = sign
                table[f"{name}_limit"] = signs
            if name == "parallax":
                table["parallax_zero_point"] = np.zeros(len(self), dtype=np.float32)
                table["parallax_zero_point"].unit = channel_unit(name)
        return table


def _name_hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _float_bits(x: Tensor) -> Tensor:
    # Adding 0 turns -0.0 into 0.0: equal numbers must have equal bits.
    return (x + 0.0).contiguous().view(torch.int32).long()
