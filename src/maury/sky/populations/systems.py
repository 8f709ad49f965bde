"""Stellar systems: what populations of stars with a mass, an age and a place produce."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from maury.errors import MauryError

__all__ = ["Systems"]


@dataclass(frozen=True, kw_only=True)
class Systems:
    """N stellar systems, single or binary: tensors (N,) float32 unless said otherwise.

    Parameters
    ----------
    mass : Tensor
        Initial mass of the primary, Msun.
    log_age : Tensor
        log10 of the age in years.
    mh : Tensor
        [Fe/H], dex.
    teff, logg, log_lum, radius : Tensor
        The primary's: K, dex(cgs), log10 Lsun, Rsun. NaN where the isochrones have no such star.
    q : Tensor
        Companion's over primary's initial mass; 0 where there is no companion.
    companion_teff, companion_logg, companion_radius : Tensor
        NaN where single, and where the companion gives no light that the isochrones know.
    distance : Tensor
        pc.
    a_v, r_v : Tensor
        Extinction in V, mag, and R_V.
    component : Tensor
        int8, index into `components`.
    components : tuple of str
        What stars there are, such as the discs and the halo of a galaxy.
    position : Tensor of shape (N, 3), optional
        pc; galactocentric, or about its own centre for a cluster: the population says which.
    velocity : Tensor of shape (N, 3), optional
        km/s, in the frame of `position`.

    Raises
    ------
    MauryError
        If the tensors do not describe the same number of systems.
    """

    mass: Tensor
    log_age: Tensor
    mh: Tensor
    teff: Tensor
    logg: Tensor
    log_lum: Tensor
    radius: Tensor
    q: Tensor
    companion_teff: Tensor
    companion_logg: Tensor
    companion_radius: Tensor
    distance: Tensor
    a_v: Tensor
    r_v: Tensor
    component: Tensor
    components: tuple[str, ...]
    position: Tensor | None = None
    velocity: Tensor | None = None

    def __post_init__(self) -> None:
        for name, value in self._columns().items():
            shape = (len(self), 3) if name in ("position", "velocity") else (len(self),)
            if tuple(value.shape) != shape:
                raise MauryError(
                    f"Systems: {name} has shape {tuple(value.shape)}; with {len(self)} masses "
                    f"it should be {shape}."
                )

    def __len__(self) -> int:
        return len(self.mass)

    def __getitem__(self, index: slice | Tensor) -> Systems:
        """Some of the systems, by a slice, a mask (N,) or indices."""
        if isinstance(index, int):
            raise TypeError("Systems are taken by a slice, a mask or a tensor of indices")
        return self._with({name: value[index] for name, value in self._columns().items()})

    @property
    def single(self) -> Tensor:
        """Whether there is no companion, (N,) bool."""
        return self.q == 0

    @property
    def alive(self) -> Tensor:
        """Whether the isochrones know the primary, (N,) bool: it is neither dead nor off them."""
        return torch.isfinite(self.teff)

    @property
    def star(self) -> Tensor:
        """The primary as (N, 5): teff, logg, mh, a_v, r_v, which magnitude tables take."""
        return torch.stack([self.teff, self.logg, self.mh, self.a_v, self.r_v], -1)

    @property
    def companion_star(self) -> Tensor:
        """The companion as (N, 5), like `star`; NaN in its first two columns where it is dark."""
        return torch.stack(
            [self.companion_teff, self.companion_logg, self.mh, self.a_v, self.r_v], -1
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Systems]) -> Systems:
        """Systems of one population after another.

        Raises
        ------
        MauryError
            If there is none, or if they name different components, or if only some have places.
        """
        if not parts:
            raise MauryError("Systems.concatenate needs at least one part")
        first = parts[0]
        for part in parts[1:]:
            if part.components != first.components:
                raise MauryError(
                    f"Systems of components {part.components} do not join those of "
                    f"{first.components}"
                )
            if part._columns().keys() != first._columns().keys():
                raise MauryError("Systems with places do not join systems without")
        columns = {name: [part._columns()[name] for part in parts] for name in first._columns()}
        return first._with({name: torch.cat(values) for name, values in columns.items()})

    def _columns(self) -> dict[str, Tensor]:
        """All tensors that are there, by name."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if isinstance(value, Tensor)}

    def _with(self, columns: dict[str, Tensor]) -> Systems:
        return Systems(components=self.components, **columns)
