"""The flows by name, as a configuration asks for them."""

from __future__ import annotations

from maury.errors import MauryError
from maury.nets.autoregressive import MaskedAutoregressiveFlow
from maury.nets.coupling import SplineCouplingFlow
from maury.nets.flow import Flow
from maury.nets.sequential import SequentialSplineFlow

__all__ = ["FLOWS", "Flow", "build_flow"]

FLOWS: dict[str, type[Flow]] = {
    "maf": MaskedAutoregressiveFlow,
    "spline": SplineCouplingFlow,
    "sequential": SequentialSplineFlow,
}


def build_flow(kind: str, features: int, context: int, **options: int | float) -> Flow:
    """Make a flow over ``features`` coordinates given a context of length ``context``.

    Parameters
    ----------
    kind : {"maf", "spline", "sequential"}
        The paper's masked autoregressive flow, spline couplings, or splines one coordinate after
        another.
    features, context : int
    **options
        Sizes, as the class of that kind names them.

    Raises
    ------
    MauryError
        If the kind is unknown, or an option is none of that kind's.
    """
    if kind not in FLOWS:
        raise MauryError(f"unknown flow {kind!r}: choose one of {', '.join(FLOWS)}")
    if features < 1:
        raise MauryError(f"a flow needs at least one feature, not {features}")
    try:
        return FLOWS[kind](features, context, **options)  # type: ignore[arg-type]
    except TypeError as error:
        raise MauryError(f"flow {kind!r} cannot be built: {error}") from error
