"""The stencil: exact for cubics, honest at holes and edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maury.sky.libraries.interpolation import stencil

X = np.array([0.0, 1.0, 1.5, 2.5, 3.0, 5.0])
Y = np.array([-1.0, 0.0, 0.5, 1.0])
Z = np.array([-4.0, -3.0, -2.0, -1.5, 0.0])
SHAPE = (6, 4, 5)


def cubic(x, y, z):
    return (1 + x - 0.2 * x**3) * (2 - y + y**3) * (1 + 0.5 * z - 0.1 * z**3)


def values(function):
    return function(*np.meshgrid(X, Y, Z, indexing="ij")).ravel()


@given(st.floats(0, 5), st.floats(-1, 1), st.floats(-4, 0))
@settings(max_examples=60, deadline=None)
def test_reproduces_polynomials_of_the_degree_that_nodes_allow(x, y, z):
    point = tuple(np.array([c]) for c in (x, y, z))
    index, weight, inside = stencil((X, Y, Z), np.ones(SHAPE, dtype=bool), point)
    assert inside.all()
    assert weight.sum() == pytest.approx(1.0)
    interior = 1 <= x <= 3 and 0 <= y <= 0.5 and -3 <= z <= -1.5
    function = cubic if interior else lambda x, y, z: (1 + x) * (2 - y) * (1 + 0.5 * z)
    found = (values(function)[index] * weight).sum()
    assert found == pytest.approx(float(function(x, y, z)), abs=1e-9)


@given(st.lists(st.booleans(), min_size=120, max_size=120), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_missing_nodes_have_no_weight_and_inside_is_what_bounds_the_point(flags, seed):
    exists = np.array(flags).reshape(SHAPE)
    random = np.random.default_rng(seed)
    point = tuple(random.uniform(a[0], a[-1], 20) for a in (X, Y, Z))
    index, weight, inside = stencil((X, Y, Z), exists, point)
    assert np.all(exists.ravel()[index][weight != 0])
    cells = [np.searchsorted(a, p) - 1 for a, p in zip((X, Y, Z), point, strict=True)]
    corners = np.all(
        [
            exists[cells[0] + a, cells[1] + b, cells[2] + c]
            for a in (0, 1)
            for b in (0, 1)
            for c in (0, 1)
        ],
        axis=0,
    )
    np.testing.assert_array_equal(inside, corners)
    np.testing.assert_allclose(weight.sum(axis=1), inside.astype(float), atol=1e-9)


def test_a_node_answers_though_the_next_is_missing():
    exists = np.ones(SHAPE, dtype=bool)
    exists[3:] = False
    points = (np.array([1.5, 1.6, 5.1, np.nan]), np.zeros(4), np.full(4, -2.0))
    index, weight, inside = stencil((X, Y, Z), exists, points)
    assert inside.tolist() == [True, False, False, False]
    assert (values(cubic)[index[0]] * weight[0]).sum() == pytest.approx(cubic(1.5, 0.0, -2.0))
