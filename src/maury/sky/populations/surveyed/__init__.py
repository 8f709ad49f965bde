"""Stars as surveys meet them: the Galaxy's, flattened so that every kind is learned."""

from maury.sky.populations.surveyed.population import PARAMETERS, SurveyedGalaxy

__all__ = ["PARAMETERS", "SurveyedGalaxy"]
