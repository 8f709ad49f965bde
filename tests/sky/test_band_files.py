"""Bands of the user's own, good and bad."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maury.errors import MauryError
from maury.sky.band_files import read_band
from maury.sky.bands import band

SAID = {"id": "My/Own.b", "system": "AB", "detector": "photon"}

VOTABLE = """<?xml version="1.0"?>
<VOTABLE version="1.1" xmlns="http://www.ivoa.net/xml/VOTable/v1.1">
 <INFO name="QUERY_STATUS" value="OK"/>
 <RESOURCE type="results">
  <TABLE utype="photdm:PhotometryFilter.transmissionCurve.spectrum">
   <PARAM name="filterID" value="Some/Where.J" datatype="char" arraysize="*"/>
   <PARAM name="WavelengthUnit" value="Angstrom" datatype="char" arraysize="*"/>
   <PARAM name="DetectorType" value="{detector}" datatype="char" arraysize="*"/>
   <PARAM name="PhotCalID" value="Some/Where.J/{system}" datatype="char" arraysize="*"/>
   <PARAM name="MagSys" value="{system}" datatype="char" arraysize="*"/>
   <PARAM name="ZeroPoint" value="{zero}" unit="Jy" datatype="double"/>
   <PARAM name="ZeroPointUnit" value="Jy" datatype="char" arraysize="*"/>
   <FIELD name="Wavelength" unit="{unit}" datatype="double"/>
   <FIELD name="Transmission" unit="" datatype="double"/>
   <DATA><TABLEDATA>
    <TR><TD>1.0</TD><TD>0.0</TD></TR>
    <TR><TD>1.2</TD><TD>0.9</TD></TR>
    <TR><TD>1.4</TD><TD>0.0</TD></TR>
   </TABLEDATA></DATA>
  </TABLE>
 </RESOURCE>
</VOTABLE>
"""


@pytest.fixture
def votable(tmp_path):
    def write(*, detector="0", system="Vega", zero="1594", unit="um"):
        path = tmp_path / "filter.xml"
        path.write_text(
            VOTABLE.format(detector=detector, system=system, zero=zero, unit=unit), encoding="utf-8"
        )
        return path

    return write


def test_a_votable_says_all_of_itself(votable):
    b = read_band(votable())
    assert (b.id, b.system, b.detector) == ("Some/Where.J", "Vega", "energy")
    assert b.zero_point == pytest.approx(2.5 * np.log10(3631 / 1594))
    assert "1594 Jy" in b.zero_point_source
    np.testing.assert_allclose(b.wave, [10000, 12000, 14000])


def test_what_the_caller_says_goes_before_what_the_votable_says(votable):
    b = read_band(votable(), id="Mine", detector="photon", zero_point=0.9, floor=0.05)
    assert (b.id, b.detector, b.zero_point, b.floor) == ("Mine", "photon", 0.9, 0.05)
    assert read_band(votable(), system="AB").zero_point == 0


def test_the_zero_point_of_one_system_is_not_taken_for_another(votable):
    with pytest.raises(MauryError, match="no zero point in the Vega system"):
        read_band(votable(system="AB"), system="Vega")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detector": "7"}, "its detector"),
        ({"zero": "-1"}, "ZeroPoint"),
        ({"unit": "Jy"}, "length"),
    ],
)
def test_a_votable_that_lacks_something(votable, change, message):
    with pytest.raises(MauryError, match=message):
        read_band(votable(**change))


def test_a_votable_that_is_none(tmp_path):
    path = tmp_path / "broken.xml"
    path.write_text("<VOTABLE><RESOURCE>", encoding="utf-8")
    with pytest.raises(MauryError, match="not a VOTable"):
        read_band(path, **SAID)


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.floats(100, 1e6), min_size=3, max_size=30, unique_by=lambda x: round(x, 3)),
    st.sampled_from([" ", ",", ", ", "\t"]),
)
def test_text_goes_round(tmp_path, wave, separator):
    wave = np.sort(wave)
    lines = [
        f"{w!r}{separator}{t!r}" for w, t in zip(wave.tolist(), (wave / 2).tolist(), strict=True)
    ]
    path = tmp_path / "curve.txt"
    path.write_text("\n".join(["# a comment", "wavelength throughput", "", *lines]), "utf-8")
    b = read_band(path, **SAID)
    np.testing.assert_array_equal(b.wave, wave)
    np.testing.assert_array_equal(b.throughput, wave / 2)
    assert (b.zero_point, b.floor) == (0.0, 0.02)


def test_a_packaged_curve_can_be_read_back(tmp_path):
    j = band("2MASS/2MASS.J")
    path = tmp_path / "j.csv"
    np.savetxt(path, np.stack([j.wave, j.throughput], axis=1), delimiter=",")
    again = read_band(path, id="J", system="Vega", detector="photon", zero_point=0.9139)
    assert again.pivot == pytest.approx(j.pivot)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 1\n3 1\n2 1\n", "3 is followed by 2"),
        ("1 1\n1 1\n2 1\n", "1 is followed by 1"),
        ("1 1\n2 -0.5\n3 1\n", "-0.5 at 2 Angstrom is negative"),
        ("1 1\n2 1\n", "2 points"),
        ("", "0 points"),
        ("1 1\n2 nan\n3 1\n", "point 2 is nan"),
        ("1 1\n2 one\n3 1\n", "line 2: '2 one'"),
        ("1 1 1\n2 1 1\n3 1 1\n", "line 1"),
        ("one two\nthree four\n", "line 2"),
    ],
)
def test_bad_text_is_answered_with_the_place(tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MauryError, match=message):
        read_band(path, **SAID)


def test_files_that_are_no_text_or_not_there(tmp_path):
    path = tmp_path / "garbage.bin"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(MauryError, match="not text"):
        read_band(path, **SAID)
    with pytest.raises(MauryError, match="Cannot read"):
        read_band(tmp_path / "none.txt", **SAID)


def test_text_does_not_say_what_a_band_needs(tmp_path):
    path = tmp_path / "curve.txt"
    path.write_text("1 0\n2 1\n3 0\n", encoding="utf-8")
    with pytest.raises(MauryError, match="its id and system and detector"):
        read_band(path)
    with pytest.raises(MauryError, match="give zero_point"):
        read_band(path, id="x", system="Vega", detector="photon")
