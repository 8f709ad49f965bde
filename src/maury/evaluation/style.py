"""One look for every picture: fonts, colours, and what a parameter is called on an axis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.colors import Colormap

from maury.parameters import PARAMETERS

__all__ = ["COLOURS", "SEQUENTIAL", "label", "style"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Blue, vermilion, green, purple, orange, sky: told apart by all eyes (Okabe & Ito 2008)."""

SEQUENTIAL: Colormap = matplotlib.colormaps["cividis"]
"""For counts and a third quantity: even in lightness, the same to colour-blind eyes."""

_SYMBOLS = {
    "teff": (r"$T_{\rm eff}$", "K"),
    "logg": (r"$\log g$", "dex"),
    "mh": ("[Fe/H]", "dex"),
    "a_v": (r"$A_V$", "mag"),
    "r_v": (r"$R_V$", ""),
    "mass": (r"$M$", r"$M_\odot$"),
    "log_age": (r"$\log$ age", "yr"),
    "q": (r"$q$", ""),
    "distance": (r"$d$", "pc"),
    "radius": (r"$R$", r"$R_\odot$"),
    "log_lum": (r"$\log L$", r"$L_\odot$"),
}

_SETTINGS: Any = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 10,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "lines.linewidth": 1.4,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 160,
}


@contextmanager
def style() -> Iterator[None]:
    """Settings for the figures made, or saved, inside the block; nothing changes outside it."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def label(parameter: str, *, unit: bool = True, prefix: str = "") -> str:
    """Axis label of a parameter, with its unit in brackets where it has one."""
    known = PARAMETERS.get(parameter)
    symbol, written = _SYMBOLS.get(parameter, (parameter, known.unit if known else ""))
    text = f"{prefix}{symbol}"
    return f"{text} [{written}]" if unit and written else text
