"""The dust laws against their publications, other codes, and their own ranges."""

import astropy.units as u
import numpy as np
import pytest
from dust_extinction import parameter_averages
from hypothesis import given
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.sky.dust import DUST_LAWS, dust_law, extinction

# extinction 0.4.9 (K. Barbary), fitzpatrick99(wave, 1.0, r_v): its optical anchors carry further
# terms of the IDL code, hence agreement to 1e-3 of A_V and no better.
BARBARY_R_V = [2.3, 3.1, 5.6]
BARBARY = {
    1000.0: (7.94421299, 4.95825743, 2.34291299),
    1150.0: (5.92301142, 3.68134491, 1.79427077),
    1500.0: (4.00203373, 2.60250794, 1.44317754),
    2175.0: (4.16396783, 3.07588285, 1.95619412),
    2500.0: (2.9481926, 2.27590036, 1.58584905),
    3600.0: (1.75143759, 1.54503265, 1.29185871),
    4400.0: (1.4152171, 1.30925813, 1.1724865),
    5500.0: (0.96919842, 0.97779537, 0.9887318),
    6500.0: (0.70764932, 0.77164321, 0.85435329),
    9000.0: (0.41798106, 0.45259124, 0.49738396),
    12350.0: (0.2627147, 0.26205687, 0.26120536),
    21590.0: (0.11391162, 0.11196965, 0.10945587),
    33500.0: (0.06306548, 0.06408706, 0.06540943),
    46000.0: (0.04336791, 0.04469608, 0.04641533),
    120000.0: (0.01567891, 0.01640378, 0.01734208),
}


@given(r_v=st.floats(2.3, 5.6))
def test_g23_is_the_published_law_at_every_r_v(r_v: float) -> None:
    wave = np.geomspace(913, 319000, 150)
    published = parameter_averages.G23(Rv=r_v)(wave * u.AA)
    np.testing.assert_allclose(extinction("G23", wave, r_v), published, rtol=1e-10, atol=1e-12)


@given(r_v=st.floats(2.3, 5.6))
def test_f99_agrees_with_dust_extinction_where_that_is_valid(r_v: float) -> None:
    wave = np.geomspace(1001, 33000, 150)
    other = parameter_averages.F99(Rv=r_v)(wave * u.AA)
    np.testing.assert_allclose(extinction("F99", wave, r_v), other, atol=1e-3)


def test_f99_agrees_with_an_independent_code_at_all_wavelengths() -> None:
    ours = extinction("F99", list(BARBARY), BARBARY_R_V)
    np.testing.assert_allclose(ours, np.transpose(list(BARBARY.values())), atol=1e-3)


def test_f99_reproduces_its_table_3() -> None:
    wave = [26500.0, 12200.0, 6000.0, 5470.0, 4670.0, 4110.0, 2700.0, 2600.0]
    published = [0.265, 0.829, 2.688, 3.055, 3.806, 4.315, 6.265, 6.591]
    np.testing.assert_allclose(3.1 * extinction("F99", wave, 3.1), published, atol=2.5e-3)


@pytest.mark.parametrize("law", DUST_LAWS)
def test_shapes_follow_r_v(law: str) -> None:
    wave = np.array([4000.0, 5500.0])
    assert extinction(law, wave, 3.1).shape == (2,)
    assert extinction(law, wave, np.full((3, 4), 3.1)).shape == (3, 4, 2)


@pytest.mark.parametrize(("law", "tolerance"), [("G23", 0.003), ("F99", 0.035)])
def test_a_v_is_the_extinction_at_v(law: str, tolerance: float) -> None:
    r_v = np.linspace(2.3, 5.6, 9)
    np.testing.assert_allclose(extinction(law, [5500.0], r_v), 1.0, atol=tolerance)


@pytest.mark.parametrize("law", DUST_LAWS)
def test_extinction_is_positive_over_the_whole_range(law: str) -> None:
    low, high = DUST_LAWS[law].wave_range
    assert np.all(extinction(law, np.geomspace(low, high, 500), np.linspace(2.3, 5.6, 12)) > 0)


@pytest.mark.parametrize(
    ("law", "wave", "r_v", "said"),
    [
        ("G23", 900.0, 3.1, "wavelength from 912"),
        ("G23", 400000.0, 3.1, "400000"),
        ("G23", 5500.0, 2.0, "R_V from 2.3"),
        ("F99", 5500.0, 6.5, "R_V from 2"),
        ("G23", 5500.0, float("nan"), "not at nan"),
    ],
)
def test_outside_the_range_is_an_error_that_says_so(
    law: str, wave: float, r_v: float, said: str
) -> None:
    with pytest.raises(MauryError, match=said):
        extinction(law, [wave], r_v)


def test_an_unknown_law_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MauryError, match="G23, F99"):
        dust_law("CCM89")
