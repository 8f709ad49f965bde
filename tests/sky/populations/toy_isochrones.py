"""Isochrones of closed form, for tests of what is built upon them."""

import math

import torch

from maury.sky.isochrones import Isochrones

LIGHTEST, HEAVIEST = 0.1, 60.0


def toy_isochrones() -> Isochrones:
    """Main-sequence stars of L = M^3.5 and R = M^0.8; those above 10^(10.2 - age) Msun are dead."""
    mh = torch.tensor([-2.0, 0.0, 0.6])
    log_age = torch.linspace(5.5, 10.2, 48)
    eep = torch.arange(200.0)
    log_mass = torch.linspace(math.log10(LIGHTEST), math.log10(HEAVIEST), 200)
    shape = (len(mh), len(log_age), len(eep))
    turn_off = 0.6 * (10.2 - log_age)[None, :, None]
    log_mass = log_mass.expand(shape)
    dead = (log_mass > turn_off).expand(shape)
    log_lum = 3.5 * log_mass
    log_radius = 0.8 * log_mass
    log_teff = math.log10(5772.0) + 0.25 * log_lum - 0.5 * log_radius
    logg = 4.438 + log_mass - 2 * log_radius
    gone = torch.where(dead, torch.nan, 0.0)
    phase = torch.where(dead, -1, 1).to(torch.int8)
    return Isochrones(
        name="toy",
        mh=mh,
        log_age=log_age,
        eep=eep,
        mass=10**log_mass + gone,
        log_teff=log_teff + gone,
        logg=logg + gone,
        log_lum=log_lum + gone,
        phase=phase,
    )
