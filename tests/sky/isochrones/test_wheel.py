"""Sets built from lachesis-grids, where $MAURY_LACHESIS_WHEEL names its wheel."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
import torch

from maury.sky.isochrones import Isochrones, Phase, load_isochrones
from maury.sky.isochrones.observed import SUN_AT_BIRTH, as_observed

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/build_isochrones.py"
AGE = 9.66  # of the Sun, log10 yr


@pytest.fixture(scope="module")
def wheel() -> Path:
    pytest.importorskip("h5py")
    path = Path(os.environ.get("MAURY_LACHESIS_WHEEL", "missing"))
    if not path.is_file():
        pytest.skip("MAURY_LACHESIS_WHEEL names no file")
    return path


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_isochrones", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def parsec(script: ModuleType, wheel: Path) -> Isochrones:
    return script.build_parsec(wheel)


@pytest.fixture(scope="module")
def bhac15(script: ModuleType, wheel: Path) -> Isochrones:
    return script.build_bhac15(wheel)


def test_the_packaged_set_is_what_the_script_builds(script: ModuleType, wheel: Path) -> None:
    built, packaged = script.build_mist(wheel), load_isochrones()
    assert torch.equal(built.mass.nan_to_num(-1), packaged.mass.nan_to_num(-1))
    assert torch.equal(built.phase, packaged.phase)
    torch.testing.assert_close(built.log_teff, packaged.log_teff, rtol=0, atol=3e-5, equal_nan=True)


def test_parsec_at_the_sun_and_at_the_turn_off_of_m67(parsec: Isochrones) -> None:
    seen = as_observed(parsec, sun_at_birth=SUN_AT_BIRTH["parsec"], red_dwarfs=False)
    sun = seen.evolve(1.0, AGE, 0.0)
    assert sun.teff.item() == pytest.approx(5772, abs=50)
    assert sun.log_lum.item() == pytest.approx(0.0, abs=0.025)
    mass = torch.linspace(1.1, 1.35, 2001)
    hottest = []
    for isochrones in (seen, load_isochrones()):
        star = isochrones.evolve(mass, 9.602, 0.0)
        best = torch.where(star.phase == Phase.MAIN_SEQUENCE, star.teff, 0.0).argmax()
        hottest.append((star.teff[best].item(), star.log_lum[best].item()))
    assert hottest[0][0] == pytest.approx(hottest[1][0], abs=100)
    assert hottest[0][1] == pytest.approx(hottest[1][1], abs=0.04)


def test_parsec_reaches_its_lowest_mass_between_nodes(parsec: Isochrones) -> None:
    """Its isochrones end at different masses: an interpolated one would end at the highest."""
    ages, metals = torch.meshgrid(
        torch.linspace(7.0, 10.1, 40), torch.linspace(-1.9, 0.4, 20), indexing="ij"
    )
    faintest = parsec.evolve(0.1201, ages.flatten(), metals.flatten())
    assert faintest.inside.float().mean() > 0.99
    assert not parsec.evolve(0.1195, ages.flatten(), metals.flatten()).inside.any()


def test_red_dwarfs_of_parsec_have_their_radii(parsec: Isochrones) -> None:
    """0.30 and 0.48 solar radii at 0.3 and 0.5 solar masses (Mann et al. 2015), though too cool."""
    star = parsec.evolve(torch.tensor([0.3, 0.5]), 9.6, 0.07)
    assert star.radius.tolist() == pytest.approx([0.30, 0.48], abs=0.015)
    assert (star.teff < torch.tensor([3350.0, 3650.0])).all()


def test_parsec_has_no_stars_that_were_drawn_in(parsec: Isochrones) -> None:
    between = (parsec.eep > 605.5) & (parsec.eep < 630.5)
    assert parsec.mass[..., between].isnan().all()
    rise = parsec.mass.diff(dim=-1)
    assert not (rise <= 0).any()
    # The Cepheid loop is core helium burning, whatever the file says.
    cepheid = parsec.at(0.0, 8.0, 900.0)
    assert cepheid.phase.item() == Phase.CORE_HELIUM
    assert 3.0 < cepheid.log_lum.item() < 3.5


@pytest.mark.parametrize(
    ("log_age", "mass", "teff", "log_lum"),
    [(7.0, 0.1, 3050, -1.87), (7.0, 0.5, 3651, -0.91), (7.0, 1.0, 4363, -0.34)],
)
def test_bhac15_as_published(
    bhac15: Isochrones, log_age: float, mass: float, teff: float, log_lum: float
) -> None:
    star = bhac15.evolve(mass, log_age, 0.0)
    assert star.inside.all()
    assert star.teff.item() == pytest.approx(teff, abs=1)
    assert star.log_lum.item() == pytest.approx(log_lum, abs=0.006)
    assert star.phase.item() == Phase.PRE_MAIN_SEQUENCE


def test_bhac15_follows_mass_and_age(bhac15: Isochrones) -> None:
    mass = torch.linspace(0.075, 1.4, 500)
    star = bhac15.evolve(mass, 6.9, 0.0)
    assert star.inside.all()
    torch.testing.assert_close(star.mass, mass, rtol=1e-5, atol=0)
    torch.testing.assert_close(star.eep, mass, rtol=0.03, atol=0)  # log mass is what is linear
    assert bhac15.evolve(0.3, 9.5, 0.0).phase.item() == Phase.MAIN_SEQUENCE
    assert bhac15.evolve(0.071, 8.0, 0.0).phase.item() == Phase.PRE_MAIN_SEQUENCE
    assert not bhac15.evolve(0.01, 9.8, 0.0).inside.any()
    assert not bhac15.evolve(1.5, 7.0, 0.0).inside.any()
