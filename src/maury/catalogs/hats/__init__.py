"""HATS catalogues in, HATS catalogues of posteriors out, by LSDB on the workers of Dask.

``job`` is the whole of it; ``workers`` says how a worker comes by its device and its model;
``folder`` is what they write, pixel by pixel. LSDB and Dask are imported where they are used: they
are an optional extra (``catalog``).
"""

from maury.catalogs.hats.job import infer_hats
from maury.catalogs.hats.workers import ClusterError

__all__ = ["ClusterError", "infer_hats"]
