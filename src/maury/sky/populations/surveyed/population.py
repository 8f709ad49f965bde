"""The Galaxy as surveys meet it, flattened: the prior of models that know parallaxes.

Stars are drawn from weighted cells of the isochrones (`cells`), placed where their Galactic
component has them (`places`), put behind the dust of that place and paired with companions. Real
stars do not lie exactly on isochrones: models differ from one another and from interferometry by
a few per cent in radius and one in Teff (Tayar et al. 2022, ApJ 927, 31), more among red dwarfs, so
each star is moved off its isochrone by that much. That makes nine free numbers, a minimal set:
teff, logg, mh, a_v, r_v, mass, log_age, q, distance. Radius and luminosity follow exactly.

A single star is given a mass ratio q below 0.1, evenly: no companion that matters.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from maury.sky.isochrones import Isochrones, load_isochrones, overall_metallicity
from maury.sky.isochrones.observed import share_of_red_dwarf
from maury.sky.photometry import cached_table
from maury.sky.populations import binaries
from maury.sky.populations.densities import uniform
from maury.sky.populations.dust import FIELD_DUST
from maury.sky.populations.milky_way.components import ROBIN_2003, Component
from maury.sky.populations.milky_way.dust_map import DustDisc
from maury.sky.populations.surveyed.cells import Cells, build_cells
from maury.sky.populations.surveyed.places import Places
from maury.sky.populations.systems import Systems
from maury.sun import log_gravity, log_luminosity, log_radius

__all__ = ["PARAMETERS", "SurveyedGalaxy", "isochrone_scatter", "survey_components"]

PARAMETERS = ("teff", "logg", "mh", "a_v", "r_v", "mass", "log_age", "q", "distance")

REFERENCE_BAND = "GAIA/GAIA3.G"
LIMITS = (4.0, 20.5)
TILT = 0.42
"""Apparent G, without dust, between which stars are met, and the power of ten with which faint ones
are thinned: counts grow as 10^(0.2 m) where the disc ends to 10^(0.6 m) nearby."""

SCATTER = torch.tensor([0.012, 0.03], dtype=torch.float64)
"""Standard deviations of ln Teff and ln R about the isochrone."""

RED_DWARF_SCATTER = torch.tensor([0.03, 0.07], dtype=torch.float64)
"""The same for red dwarfs: as large as the correction of the isochrones is for them, since models
do not agree on its form (Mann et al. 2015, ApJ 804, 64)."""

DUST_SCATTER = 0.8
"""Standard deviation of ln A_V about the smooth disc of dust: clouds and holes."""

RARE = 6.0

AMBIENT_AGE = 7.0
AMBIENT_DUST = 0.5
"""Stars younger (log10 yr) have clouds about them: so much is added to the smooth A_V (mag)."""

SINGLE = 0.1
"""Mass ratios below stand for no companion."""


def survey_components() -> tuple[Component, ...]:
    """Components of Robin et al. 2003, wider in age and metallicity.

    Their thick disc, halo and bulge are single bursts, and their dispersions of [Fe/H] small:
    right for counts, too narrow for a prior. Means and widths here follow the metallicity
    distributions of spectroscopic surveys, rounded (Hayden et al. 2015, ApJ 808, 132, for the
    discs; An et al. 2013, ApJ 763, 65, for the halo; Zoccali et al. 2017, A&A 599, A12, for the
    bulge). The last component stands for blue stragglers and accreted younger stars. It and the
    halo are raised by a factor `RARE`, so that metal-poor stars of all kinds are learned.
    """
    part = ROBIN_2003.component
    thin = [
        replace(c, mh=max(c.mh, -0.15), mh_sigma=max(c.mh_sigma, 0.2))
        for c in ROBIN_2003.components
        if c.name.startswith("thin disc")
    ]
    thick = replace(part("thick disc"), ages=(7.0, 13.0), mh=-0.5, mh_sigma=0.3)
    halo = replace(
        part("halo"), ages=(10.0, 13.5), mh=-1.6, mh_sigma=0.6, density=RARE * part("halo").density
    )
    bulge = replace(part("bulge"), ages=(5.0, 12.5), mh_sigma=0.45)
    late = replace(
        part("thick disc"),
        name="rejuvenated",
        ages=(1.0, 8.0),
        mh=-1.2,
        mh_sigma=0.6,
        density=0.02 * RARE * part("thick disc").density,
    )
    return (*thin, thick, halo, bulge, late)


class SurveyedGalaxy:
    """Stellar systems over the whole sky, seen from the Sun.

    Parameters
    ----------
    library : str
        Spectral library of the magnitudes by which stars are met.
    isochrones : str
        Name of the set.
    """

    parameters: tuple[str, ...] = PARAMETERS

    def __init__(self, library: str = "phoenix-kurucz", isochrones: str = "mist") -> None:
        self._library = library
        self._isochrones = isochrones
        self._parts = survey_components()

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the Galactic components."""
        return tuple(part.name for part in self._parts)

    @cached_property
    def isochrones(self) -> Isochrones:
        """The set that stars are taken from."""
        return load_isochrones(self._isochrones)

    @cached_property
    def places(self) -> Places:
        """Tables of distance, direction and dust."""
        sun = ROBIN_2003.sun
        return Places.build(self._parts, sun, DustDisc(sun=sun), limits=LIMITS, tilt=TILT)

    @cached_property
    def cells(self) -> Cells:
        """Weighted cells of the isochrones."""
        table = cached_table(self._library, (REFERENCE_BAND,))
        with torch.no_grad():
            return build_cells(self._parts, self.isochrones, self.places, table)

    @cached_property
    def _running(self) -> Tensor:
        return self.cells.share.cumsum(0)

    def sample(self, n: int, generator: torch.Generator) -> Systems:
        """Draw ``n`` systems."""
        found: list[Systems] = []
        missing = n
        while missing > 0 or not found:
            systems = self._candidates(missing + missing // 8 + 16, generator)
            found.append(systems[: min(missing, len(systems))])
            missing -= len(found[-1])
        return Systems.concatenate(found)

    def theta(self, systems: Systems, generator: torch.Generator) -> Tensor:
        """Parameters (N, 9) in the order of `PARAMETERS`; singles get a q below 0.1."""
        alone = SINGLE * uniform(len(systems), generator).float()
        columns = {name: getattr(systems, name) for name in PARAMETERS}
        columns["q"] = torch.where(systems.single, alone, systems.q)
        return torch.stack([columns[name] for name in PARAMETERS], -1)

    def systems(self, theta: Tensor) -> Systems:
        """The systems (N) that parameters (N, 9) describe; their component is not known (-1)."""
        columns = dict(zip(PARAMETERS, theta.float().unbind(-1), strict=True))
        q = columns["q"] = torch.where(columns["q"] < SINGLE, 0.0, columns["q"])
        mass, mh = columns["mass"].double(), columns["mh"].double()
        size = log_radius(mass, columns["logg"].double())
        return Systems(
            **columns,
            radius=(10**size).float(),
            log_lum=log_luminosity(size, columns["teff"]).float(),
            **self._companion(q.double() * mass, columns["log_age"].double(), mh),
            component=torch.full((len(theta),), -1, dtype=torch.int8),
            components=self.components,
        )

    def _companion(self, mass: Tensor, log_age: Tensor, mh: Tensor) -> dict[str, Tensor]:
        """Columns of companions of these masses (N,), NaN where that is zero."""
        paired = (mass > 0).nonzero().squeeze(-1)
        star = self.isochrones.evolve(
            mass[paired], log_age[paired], overall_metallicity(mh)[paired]
        )
        blank = torch.full(mass.shape, math.nan)
        return {
            f"companion_{name}": blank.index_copy(0, paired, getattr(star, name).float())
            for name in ("teff", "logg", "radius")
        }

    def _candidates(self, n: int, generator: torch.Generator) -> Systems:
        cells = self.cells
        cell = torch.searchsorted(self._running, uniform(n, generator) * self._running[-1])
        cell = cell.clamp(max=len(self._running) - 1)
        mh, log_age, eep = (
            torch.lerp(edges[cell, 0], edges[cell, 1], uniform(n, generator))
            for edges in (cells.mh, cells.log_age, cells.eep)
        )
        star = self.isochrones.at(overall_metallicity(mh), log_age, eep)
        alive = star.inside.nonzero().squeeze(-1)
        cell, mh, log_age, n = cell[alive], mh[alive], log_age[alive], len(alive)
        mass = star.mass[alive]
        chance = cells.component[cell].cumsum(-1)
        component = (uniform(n, generator)[:, None] > chance).sum(-1)
        component = component.clamp(max=len(self._parts) - 1)
        distance, smooth = self.places.draw(component, cells.magnitude[cell], generator)
        a_v = self._dust(smooth, log_age, generator)
        _, r_v = FIELD_DUST.sample(n, generator)
        noise = torch.randn(2, n, generator=generator, dtype=torch.float64)
        off = torch.exp(isochrone_scatter(mass) * noise)
        teff, radius = star.teff[alive] * off[0], star.radius[alive] * off[1]
        q = binaries.companions(mass.float(), generator)
        return Systems(
            mass=mass.float(),
            log_age=log_age.float(),
            mh=mh.float(),
            teff=teff.float(),
            logg=log_gravity(mass, radius).float(),
            log_lum=log_luminosity(torch.log10(radius), teff).float(),
            radius=radius.float(),
            q=q.float(),
            **self._companion((q * mass.float()).double(), log_age, mh),
            distance=distance.float(),
            a_v=a_v.float(),
            r_v=r_v.float(),
            component=component.to(torch.int8),
            components=self.components,
        )

    def _dust(self, smooth: Tensor, log_age: Tensor, generator: torch.Generator) -> Tensor:
        middle = torch.where(log_age < AMBIENT_AGE, smooth + AMBIENT_DUST, smooth)
        noise = torch.randn(len(smooth), generator=generator, dtype=torch.float64)
        clouds = DUST_SCATTER * noise - 0.5 * DUST_SCATTER**2
        return (middle * torch.exp(clouds)).clamp(1.01e-4, 19.99)

    # -- density ---------------------------------------------------------------------------

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log density (N,) at theta (N, 9), physical units; -inf where no star is.

        Up to a constant: the share of draws that fall off the isochrones is not divided out.
        """
        teff, logg, mh, a_v, r_v, mass, log_age, q, distance = theta.double().unbind(-1)
        overall = overall_metallicity(mh)
        star = self.isochrones.evolve(mass, log_age, overall)
        cell, known = self._cell_of(mh, log_age, star.eep)
        known &= star.inside
        cells = self.cells
        low, high = (
            self.isochrones.at(overall, log_age, cells.eep[cell, side]).mass for side in (0, 1)
        )
        widths = [edges[cell].diff(dim=1).squeeze(-1) for edges in (cells.mh, cells.log_age)]
        # Log mass is linear in phase within a cell, so the phase's width drops out.
        per_mass = 1 / (mass * torch.log(high / low))
        star_density = torch.log(cells.share[cell] * per_mass) - torch.log(widths[0] * widths[1])
        radius = 10 ** log_radius(mass, logg)
        off = torch.log(torch.stack([teff / star.teff, radius / star.radius]))
        widths_off = isochrone_scatter(mass)
        slope = math.log(0.5 * math.log(10.0) / (2 * math.pi)) - torch.log(widths_off).sum(0)
        scatter = -0.5 * (off / widths_off).square().sum(0) + slope - torch.log(teff)
        place = self._log_place(
            cells.component[cell], cells.magnitude[cell], distance, a_v, log_age
        )
        companion = self._log_companion(q, mass)
        r_v_density = FIELD_DUST.log_prob_r_v(r_v)
        total = star_density + scatter + place + companion + r_v_density
        return torch.where(known, total.nan_to_num(-math.inf, neginf=-math.inf), -math.inf)

    @cached_property
    def _index(self) -> tuple[list[Tensor], Tensor]:
        """Lower edges of the cells along each axis, and the number of the cell at each place."""
        sides = (self.cells.mh, self.cells.log_age, self.cells.eep)
        found = [torch.unique(side[:, 0], return_inverse=True) for side in sides]
        axes = [axis for axis, _ in found]
        number = torch.full(tuple(len(axis) for axis in axes), -1)
        number[tuple(rows for _, rows in found)] = torch.arange(len(self.cells.share))
        return axes, number

    def _cell_of(self, mh: Tensor, log_age: Tensor, eep: Tensor) -> tuple[Tensor, Tensor]:
        axes, number = self._index
        values = [value.nan_to_num(-1e9) for value in (mh, log_age, eep)]
        rows = [
            torch.searchsorted(axis, value.contiguous(), right=True) - 1
            for axis, value in zip(axes, values, strict=True)
        ]
        cell = number[tuple(row.clamp(min=0) for row in rows)]
        known = (cell >= 0) & torch.stack([row >= 0 for row in rows]).all(0)
        cell = cell.clamp(min=0)
        edges = (self.cells.mh, self.cells.log_age, self.cells.eep)
        for value, side in zip(values, edges, strict=True):
            known &= value <= side[cell, 1]
        return cell, known

    def _log_place(
        self, chance: Tensor, magnitude: Tensor, distance: Tensor, a_v: Tensor, log_age: Tensor
    ) -> Tensor:
        """Log density (N,) of distance and dust, summed over components (N, C) and directions."""
        by_distance = self.places.log_prob(distance, magnitude)
        terms: list[Tensor] = []
        for index in range(len(self._parts)):
            shares, smooth = self.places.direction_shares(index, distance)
            young = (log_age < AMBIENT_AGE)[:, None]
            middle = torch.where(young, smooth + AMBIENT_DUST, smooth)
            miss = (torch.log(a_v[:, None] / middle) + 0.5 * DUST_SCATTER**2) / DUST_SCATTER
            density = (shares * torch.exp(-0.5 * miss**2)).sum(-1)
            terms.append(torch.log(chance[:, index] * density) + by_distance[index])
        norm = torch.log(DUST_SCATTER * math.sqrt(2 * math.pi) * a_v)
        return torch.logsumexp(torch.stack(terms), 0) - norm

    def _log_companion(self, q: Tensor, mass: Tensor) -> Tensor:
        """Log density (N,) per unit of q; singles lie evenly below 0.1."""
        alone = binaries.log_prob(torch.zeros_like(q), mass) - math.log(SINGLE)
        return torch.where(q < SINGLE, alone, binaries.log_prob(q.clamp(min=SINGLE), mass))


def isochrone_scatter(mass: Tensor) -> Tensor:
    """Standard deviations (2, N) of ln Teff and ln R about the isochrone at masses (N,)."""
    return torch.lerp(SCATTER[:, None], RED_DWARF_SCATTER[:, None], share_of_red_dwarf(mass))
