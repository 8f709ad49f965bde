"""The isochrone's metallicity of a star of known iron abundance."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from maury.sky.isochrones import overall_metallicity


def test_published_factors() -> None:
    """Salaris et al. 1993: 0.638 f + 0.362 with f = 10^0.4 is 0.293 dex."""
    assert overall_metallicity(0.0) == 0.0
    assert overall_metallicity(0.3) == pytest.approx(0.3)
    assert overall_metallicity(-1.0) == pytest.approx(-1 + math.log10(0.638 * 10**0.4 + 0.362))
    assert overall_metallicity(-2.5) - -2.5 == pytest.approx(0.293, abs=1e-3)


def test_floats_arrays_and_tensors_agree() -> None:
    mh = np.linspace(-4, 0.5, 91)
    array = overall_metallicity(mh)
    np.testing.assert_allclose(array, [overall_metallicity(float(one)) for one in mh])
    np.testing.assert_allclose(array, overall_metallicity(torch.from_numpy(mh)).numpy())


@given(st.floats(-4, 0.5), st.floats(1e-3, 1.0))
def test_it_grows(mh: float, more: float) -> None:
    assert overall_metallicity(mh + more) > overall_metallicity(mh)
