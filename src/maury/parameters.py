"""The parameters a star can have: name, unit, bounds, and the map to the real line.

Networks work on the real line, users in physical units. Each parameter's own bijection joins the
two, so that no draw can leave its bounds and every density carries its Jacobian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["PARAMETERS", "Parameter"]


@dataclass(frozen=True)
class Parameter:
    """A bounded physical quantity.

    Parameters
    ----------
    name, unit, ucd, description : str
        ``unit`` in astropy's notation, ``ucd`` as the IVOA's unified content descriptor.
    lower, upper : float
        Open bounds, in ``unit``.
    scale : {"linear", "log"}
        The real coordinate is the logit of the position between the bounds, measured linearly or
        in the logarithm of the value.
    """

    name: str
    unit: str
    ucd: str
    description: str
    lower: float
    upper: float
    scale: Literal["linear", "log"] = "linear"

    def to_real(self, x: Tensor) -> Tensor:
        """Map physical values (any shape) to the real line; values at a bound stay finite."""
        low, span = self._edges()
        fraction = (self._scaled(x.double()) - low) / span
        return torch.logit(fraction, eps=1e-9).to(x.dtype)

    def to_physical(self, z: Tensor) -> Tensor:
        """Map real coordinates (any shape) to physical values inside the bounds."""
        low, span = self._edges()
        scaled = low + span * torch.sigmoid(z.double())
        value = torch.exp(scaled) if self.scale == "log" else scaled
        # The bounds are open: rounding must not put a value onto them, where the density is zero.
        ends = torch.tensor([self.lower, self.upper], dtype=z.dtype)
        first, last = torch.nextafter(ends, ends.flip(0)).tolist()
        return value.to(z.dtype).clamp(first, last)

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Logarithm of |dz/dx| at physical values (any shape)."""
        low, span = self._edges()
        fraction = ((self._scaled(x.double()) - low) / span).clamp(1e-9, 1 - 1e-9)
        log_slope = -torch.log(fraction) - torch.log1p(-fraction) - math.log(span)
        if self.scale == "log":
            log_slope = log_slope - torch.log(x.double())
        return log_slope.to(x.dtype)

    def _scaled(self, x: Tensor) -> Tensor:
        return torch.log(x) if self.scale == "log" else x

    def _edges(self) -> tuple[float, float]:
        if self.scale == "log":
            return math.log(self.lower), math.log(self.upper / self.lower)
        return self.lower, self.upper - self.lower


PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            name="teff",
            unit="K",
            ucd="phys.temperature.effective",
            description="effective temperature",
            lower=2300.0,
            upper=50000.0,
            scale="log",
        ),
        Parameter(
            name="logg",
            unit="dex(cm / s2)",
            ucd="phys.gravity",
            description="logarithm of the surface gravity",
            lower=-0.5,
            upper=6.0,
        ),
        Parameter(
            name="mh",
            unit="dex",
            ucd="phys.abund.Fe",
            description="iron abundance [Fe/H] relative to the Sun",
            lower=-4.0,
            upper=1.0,
        ),
        Parameter(
            name="a_v",
            unit="mag",
            ucd="phys.absorption;em.opt.V",
            description="extinction in the V band",
            lower=1e-4,
            upper=20.0,
            scale="log",
        ),
        Parameter(
            name="r_v",
            unit="",
            ucd="phys.absorption;arith.ratio",
            description="ratio of total to selective extinction, A_V / E(B-V)",
            lower=2.3,
            upper=5.6,
        ),
        Parameter(
            name="mass",
            unit="solMass",
            ucd="phys.mass",
            description="initial mass of the primary",
            lower=0.05,
            upper=300.0,
            scale="log",
        ),
        Parameter(
            name="log_age",
            unit="dex(yr)",
            ucd="time.age",
            description="logarithm of the age",
            lower=5.5,
            upper=10.3,
        ),
        Parameter(
            name="q",
            unit="",
            ucd="phys.mass;arith.ratio",
            description="mass of an unresolved companion over the primary's; below 0.1 for none",
            lower=0.0,
            upper=1.0001,
        ),
        Parameter(
            name="distance",
            unit="pc",
            ucd="pos.distance",
            description="distance",
            lower=0.1,
            upper=1e6,
            scale="log",
        ),
        Parameter(
            name="radius",
            unit="solRad",
            ucd="phys.size.radius",
            description="radius of the primary",
            lower=1e-3,
            upper=1e4,
            scale="log",
        ),
        Parameter(
            name="log_lum",
            unit="dex(solLum)",
            ucd="phys.luminosity",
            description="logarithm of the luminosity of the primary",
            lower=-6.0,
            upper=8.0,
        ),
    )
}
