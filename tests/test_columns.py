"""Which column is which channel."""

from pathlib import Path

import pyarrow.parquet
import pytest

from maury.column_names import AMBIGUOUS, COLUMN_NAMES, GAIA_DR2
from maury.columns import ColumnPair, channel_unit, read_mapping, recognise
from maury.errors import MauryError
from maury.sky.bands import PAPER_BANDS, band_ids

ARCHIVES = {
    "GAIA/GAIA3.G": [
        ("gaia_g", "gaia_g_err"),
        ("GAIA/GAIA3.G", "GAIA/GAIA3.G_err"),
        ("GAIA/GAIA3.G", "e_GAIA/GAIA3.G"),
        ("GAIA/GAIA3.G", "GAIA/GAIA3.G_error"),
        ("GAIA/GAIA3.G", "GAIA/GAIA3.G_sigma"),
        ("phot_g_mean_mag", "phot_g_mean_mag_error"),
        ("PHOT_G_MEAN_MAG", "PHOT_G_MEAN_MAG_ERROR"),
        ("Gmag", "e_Gmag"),
    ],
    "2MASS/2MASS.J": [("j_m", "j_msigcom"), ("Jmag", "e_Jmag"), ("tmass_j", "tmass_j_err")],
    "2MASS/2MASS.Ks": [("ks_m", "ks_msigcom"), ("k_m", "k_msigcom"), ("Kmag", "e_Kmag")],
    "WISE/WISE.W1": [
        ("w1mpro", "w1sigmpro"),
        ("w1mpro", "w1mpro_error"),
        ("W1mag", "e_W1mag"),
    ],
    "PAN-STARRS/PS1.g": [
        ("gMeanPSFMag", "gMeanPSFMagErr"),
        ("gmeanpsfmag", "gmeanpsfmagerr"),
        ("g_mean_psf_mag", "g_mean_psf_mag_error"),
    ],
    "SLOAN/SDSS.u": [("psfMag_u", "psfMagErr_u"), ("sdss_u", "sdss_u_err")],
    "SkyMapper/SkyMapper.v": [("v_psf", "e_v_psf"), ("sm_v", "sm_v_err"), ("vPSF", "e_vPSF")],
    "GALEX/GALEX.NUV": [("nuv_mag", "nuv_magerr"), ("NUVmag", "e_NUVmag")],
    "CTIO/DECam.Y": [("decaps_y", "decaps_y_err")],
    "parallax": [("parallax", "parallax_error"), ("parallax", "parallax_err"), ("Plx", "e_Plx")],
    "prior_a_v": [("prior_a_v", "prior_a_v_err")],
}


@pytest.mark.parametrize(
    ("channel", "value", "error"), [(c, *pair) for c, pairs in ARCHIVES.items() for pair in pairs]
)
def test_archives_names_are_known(channel: str, value: str, error: str) -> None:
    found = recognise(["id", error, value, "ra"])
    assert list(found.pairs) == [channel]
    assert (found.pairs[channel].value, found.pairs[channel].error) == (value, error)
    assert found.columns == {value, error}


def test_every_listed_channel_is_a_band() -> None:
    known = {*band_ids(), "parallax"}
    assert set(COLUMN_NAMES) <= known
    assert set(GAIA_DR2.values()) <= known
    assert set(PAPER_BANDS) <= set(COLUMN_NAMES)


def test_no_name_is_listed_for_two_channels() -> None:
    names = [
        entry if isinstance(entry, str) else entry[0]
        for entries in COLUMN_NAMES.values()
        for entry in dict.fromkeys(e if isinstance(e, str) else e[0] for e in entries)
    ]
    assert len(names) == len(set(names))
    assert not set(names) & set(AMBIGUOUS)


def test_flux_ratios_stand_for_errors_where_nothing_better_is_there() -> None:
    ratio = "phot_g_mean_flux_over_error"
    pair = recognise(["phot_g_mean_mag", ratio]).pairs["GAIA/GAIA3.G"]
    assert (pair.error, pair.ratio) == (ratio, True)
    pair = recognise(["phot_g_mean_mag", ratio, "phot_g_mean_mag_error"]).pairs["GAIA/GAIA3.G"]
    assert (pair.error, pair.ratio) == ("phot_g_mean_mag_error", False)


def test_case_tells_gaia_from_griz() -> None:
    found = recognise(["Gmag", "e_Gmag", "gmag", "e_gmag", "rmag"])
    assert list(found.pairs) == ["GAIA/GAIA3.G"]
    assert found.pairs["GAIA/GAIA3.G"].error == "e_Gmag"
    assert len(found.notes) == 2
    assert "'gmag'" in found.notes[0]
    assert "SLOAN/SDSS.g" in found.notes[0]


@pytest.mark.parametrize("name", ["gaia_g_err", "ref_teff", "unwise_w1", "e_fit_green2020", "rv"])
def test_other_columns_are_left_alone(name: str) -> None:
    assert recognise([name]).pairs == {}


def test_outside_knowledge_needs_its_prefix_and_its_error() -> None:
    assert recognise(["a_v", "a_v_err", "teff", "logg"]).pairs == {}
    with pytest.raises(MauryError, match="prior_logg_err"):
        recognise(["prior_logg"])
    found = recognise(["prior_age", "prior_age_err"])
    assert found.pairs == {}
    assert "prior_age" in found.notes[0]


def test_two_columns_for_one_channel_are_refused_by_name() -> None:
    with pytest.raises(MauryError, match=r"'gaia_g'.*'Gmag'.*GAIA/GAIA3\.G"):
        recognise(["gaia_g", "Gmag"])
    with pytest.raises(MauryError, match=r"'gaia_g_err'.*'e_gaia_g'"):
        recognise(["gaia_g", "gaia_g_err", "e_gaia_g"])
    with pytest.raises(MauryError, match=r"'id' occurs 2 times"):
        recognise(["id", "gaia_g", "id"])


def test_of_an_archives_errors_the_first_listed_is_taken() -> None:
    for names in (["j_m", "j_cmsig", "j_msigcom"], ["J_M", "J_MSIGCOM", "J_CMSIG"]):
        pair = recognise(names).pairs["2MASS/2MASS.J"]
        assert pair.value == names[0]
        assert str(pair.error).lower() == "j_msigcom"


@pytest.mark.parametrize("names", [["w1mpro", "w1mag"], ["w1mag", "w1mpro"]])
def test_a_name_as_the_archive_spells_it_comes_before_one_in_another_case(names: list[str]) -> None:
    found = recognise([*names, "w1sigmpro", "w1sigm"])
    assert found.pairs["WISE/WISE.W1"] == ColumnPair("w1mpro", "w1sigmpro")
    assert found.notes == ("column 'w1mag' is ignored: 'w1mpro' holds WISE/WISE.W1",)


def test_a_users_map_comes_first() -> None:
    names = ["my_g", "my_g_err", "gaia_g", "gaia_g_err", "j", "Jmag", "e_Jmag"]
    found = recognise(
        names, columns={"GAIA/GAIA3.G": ["my_g", "my_g_err"], "X/Y.z": "j", "gaia_bp": "Jmag"}
    )
    assert found.pairs["GAIA/GAIA3.G"] == ColumnPair("my_g", "my_g_err")
    assert found.pairs["X/Y.z"] == ColumnPair("j")
    # A short name follows gaia_release, a full SVO id does not.
    assert found.pairs["GAIA/GAIA3.Gbp"] == ColumnPair("Jmag", by_release=True)
    assert "2MASS/2MASS.J" not in found.pairs
    assert not {"gaia_g", "gaia_g_err"} & found.columns


def test_a_wrong_map_is_told() -> None:
    with pytest.raises(MauryError, match=r"no column 'my_h'; did you mean 'my_g'"):
        recognise(["my_g"], columns={"GAIA/GAIA3.G": "my_h"})
    with pytest.raises(MauryError, match=r"'gaia_gg' is no channel.*'gaia_g'"):
        recognise(["my_g"], columns={"gaia_gg": "my_g"})
    with pytest.raises(MauryError, match="second time"):
        recognise(["a", "b"], columns={"GAIA/GAIA3.G": "a", "gaia_g": "b"})
    with pytest.raises(MauryError, match="not 3"):
        recognise(["a"], columns={"GAIA/GAIA3.G": 3})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("error", "value"),
    [
        ("phot_bp_mean_mag_error", "phot_bp_mean_mag"),
        ("E_BPMAG", "BPmag"),
        ("2MASS/2MASS.J_err", "2MASS/2MASS.J"),
        ("parallax_error", "parallax"),
    ],
)
def test_an_error_without_its_value_is_told(error: str, value: str) -> None:
    """One wrong letter in the name of the value would quietly lose a band."""
    found = recognise(["gaia_g", "gaia_g_err", value[:-1] + "?", error])
    assert list(found.pairs) == ["GAIA/GAIA3.G"]
    assert len(found.notes) == 1
    assert repr(error) in found.notes[0]
    assert repr(value) in found.notes[0]
    assert recognise(["gaia_g", "gaia_g_err", value, error]).notes == ()


def test_a_companion_of_a_band_that_is_there_is_no_news() -> None:
    assert recognise(["gaia_bp", "gaia_bp_err", "phot_bp_mean_mag_error"]).notes == ()
    names = ["2MASS/2MASS.J", "2MASS/2MASS.J_err", "2MASS/2MASS.J_limit"]
    assert recognise(names).notes == ()


def test_maps_are_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('"GAIA/GAIA3.G" = ["my_g", "my_g_err"]\nparallax = "plx"\n')
    assert read_mapping(path) == {
        "GAIA/GAIA3.G": ColumnPair("my_g", "my_g_err"),
        "parallax": ColumnPair("plx"),
    }
    path.write_text("gaia = [")
    with pytest.raises(MauryError, match=r"map\.toml"):
        read_mapping(path)
    path.write_text("gaia_g = [1, 2]")
    with pytest.raises(MauryError, match=r"'gaia_g'.*\[1, 2\]"):
        read_mapping(path)
    with pytest.raises(MauryError, match=r"none\.toml"):
        read_mapping(tmp_path / "none.toml")


def test_units_of_channels() -> None:
    assert channel_unit("parallax") == "mas"
    assert channel_unit("prior_teff") == "K"
    assert channel_unit("WISE/WISE.W1") == "mag"


def test_real_catalogues_are_recognised_as_they_are(shared: Path) -> None:
    prefixes = ("gaia_", "tmass_", "wise_", "ps1_", "sdss_", "sm_", "galex_", "decaps_")
    for path in sorted((shared / "observed").glob("*.parquet")):
        names = pyarrow.parquet.read_schema(path).names
        found = recognise(names)
        wanted = {
            name
            for name in names
            if f"{name}_err" in names and (name.startswith(prefixes) or name == "parallax")
        }
        assert wanted <= {pair.value for pair in found.pairs.values()}, path.name
        assert not any(name.startswith("ref_") for name in found.columns)
        assert all(pair.error == f"{pair.value}_err" for pair in found.pairs.values())
        assert found.release == "gaia_release"
        assert found.notes == ()
