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
from maury.sky.populations.milky_way.limit import Limit
from maury.sky.populations.milky_way.population import MilkyWay, View
from maury.sky.populations.milky_way.star_counts import StarCounts, star_counts

__all__ = [
    "BLAND_HAWTHORN_2016",
    "ROBIN_2003",
    "Component",
    "DustDisc",
    "DustMap",
    "Footprint",
    "Galaxy",
    "Limit",
    "MapOnSky",
    "MapWithDistance",
    "MilkyWay",
    "StarCounts",
    "Sun",
    "View",
    "known_map",
    "star_counts",
]
