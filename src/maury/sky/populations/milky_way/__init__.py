"""The Milky Way: analytic densities of its components, their stars, and the dust between them."""

from maury.sky.populations.milky_way.components import (
    BLAND_HAWTHORN_2016,
    ROBIN_2003,
    Component,
    Galaxy,
)
from maury.sky.populations.milky_way.dust_map import (
    DustDisc,
    DustMap,
    MapOnSky,
    MapWithDistance,
    known_map,
)
from maury.sky.populations.milky_way.geometry import Footprint, Sun

__all__ = [
    "BLAND_HAWTHORN_2016",
    "ROBIN_2003",
    "Component",
    "DustDisc",
    "DustMap",
    "Footprint",
    "Galaxy",
    "MapOnSky",
    "MapWithDistance",
    "Sun",
    "known_map",
]
