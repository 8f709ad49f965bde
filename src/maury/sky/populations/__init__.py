"""Priors over stars that one can sample and evaluate, a file per population."""

from maury.sky.populations.base import STAR, Population
from maury.sky.populations.box import BoxPrior, Support
from maury.sky.populations.field import FieldPrior

__all__ = ["STAR", "BoxPrior", "FieldPrior", "Population", "Support"]
