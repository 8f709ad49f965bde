"""Star clusters: one posterior of age, metallicity, distance and dust from all candidate members.

>>> import maury.cluster
>>> posterior = maury.cluster.infer(table)
>>> posterior.summary()
"""

from maury.cluster.fit import infer
from maury.cluster.likelihood import Noise
from maury.cluster.posterior import ClusterPosterior

__all__ = ["ClusterPosterior", "Noise", "infer"]
