"""Pack the default spectral library from the grids that the SEDFit source package ships.

    python scripts/build_phoenix_kurucz.py [SEDFit-0.6.1.tar.gz]

Without an argument the archive is downloaded with pip (see `scripts/sedfit.py`). What is done to
the models, and why, stands in src/maury/sky/libraries/data/README.md.
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from bad_models import fill, repair
from maury.sky.libraries.alpha import trend_alpha
from maury.sky.libraries.grid import log_black_body
from maury.sky.libraries.rebin import rebin
from sedfit import SDIST, SHA256, SIGMA, Key, fetch, read

TARGET = Path(__file__).parents[1] / "src/maury/sky/libraries/data/phoenix_kurucz.safetensors"

LOGG = np.arange(0.0, 6.01, 0.5)
MH = np.array([-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0])
BLEND = (7200.0, 8200.0)  # K: PHOENIX alone below, Kurucz alone above
KURUCZ_ALONE = 7000.0  # K: from here a model that PHOENIX lacks may come from Kurucz
FLOOR = -5.0  # dex below the black body, where no band's light comes from
COMPONENTS = 300
Floats = NDArray[np.float64]


@dataclass
class Models:
    """Spectra of one source grid: log10(F_lambda / pi B_lambda), by (teff, logg, mh, alpha)."""

    wave: Floats
    log_ratio: Floats
    row: dict[Key, int]

    def get(self, teff: float, logg: float, mh: float, alpha: float = 0.0) -> Floats | None:
        index = self.row.get((teff, logg, mh, alpha))
        return None if index is None else self.log_ratio[index]


@dataclass
class Report:
    """What was changed, for the artefact's provenance."""

    repaired: list[str] = field(default_factory=list)
    filled: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def relative(wave: Floats, log_flux: Floats, keys: list[Key], *, renormalise: bool) -> Models:
    """Express fluxes relative to black bodies, scaled to sigma T^4 where asked."""
    teff = np.array([key[0] for key in keys])
    if renormalise:
        total = np.trapezoid(10.0**log_flux, wave, axis=1)
        log_flux = log_flux - np.log10(total / (SIGMA * teff**4))[:, None]
    ratio = log_flux - log_black_body(wave, teff[:, None])
    return Models(wave, ratio, {key: i for i, key in enumerate(keys)})


def continue_ends(log_ratio: Floats) -> Floats:
    """Continue spectra beyond their wavelengths as black bodies that join on."""
    good = np.flatnonzero(np.isfinite(log_ratio).any(axis=0))
    result = log_ratio.copy()
    result[:, : good[0]] = result[:, good[0] : good[0] + 1]
    result[:, good[-1] + 1 :] = result[:, good[-1] : good[-1] + 1]
    return result


def phoenix_at(models: Models, teff: float, logg: float, mh: float) -> Floats | None:
    """Pick the PHOENIX model on the alpha trend, or the nearest that the grid has to it."""
    alpha = round(trend_alpha(mh), 1)
    found = models.get(teff, logg, mh, alpha)
    if found is not None or alpha == 0.0:
        return found
    if teff >= 4000.0:
        return models.get(teff, logg, mh)
    # Below 4000 K a scaled-solar model 0.2 dex richer is the best match to +0.4 in alpha.
    upper = float(MH[np.searchsorted(MH, mh, side="right")])
    low, high = models.get(teff, logg, mh), models.get(teff, logg, upper)
    if low is None or high is None:
        return None
    part = 0.5 * alpha / (upper - mh)
    return (1.0 - part) * low + part * high


def cubic_row(nodes: Floats, x: float) -> tuple[NDArray[np.int64], Floats]:
    """Four nodes about x and their Lagrange weights in log x."""
    cell = int(np.clip(np.searchsorted(nodes, x, side="right") - 2, 0, len(nodes) - 4))
    index = np.arange(cell, cell + 4)
    u = np.log(nodes[index])
    weights = [
        np.prod([(np.log(x) - u[q]) / (u[p] - u[q]) for q in range(4) if q != p]) for p in range(4)
    ]
    return index, np.array(weights)


def kurucz_at(models: Models, nodes: Floats, teff: float, logg: float, mh: float) -> Floats | None:
    """The Kurucz model, interpolated in Teff onto nodes that only PHOENIX has."""
    found = models.get(teff, logg, mh)
    if found is not None or teff in nodes:
        return found
    index, weights = cubic_row(nodes, teff)
    around = [models.get(float(nodes[i]), logg, mh) for i in index]
    if any(spectrum is None for spectrum in around):
        return None
    return np.einsum("p,pw->w", weights, np.stack([s for s in around if s is not None]))


def assemble(phoenix: Models, kurucz: Models, report: Report) -> tuple[Floats, Floats]:
    """Return the Teff nodes and the cube (T, G, M, W) of log ratios, NaN where there is none."""
    cool = np.unique([key[0] for key in phoenix.row])
    hot = np.unique([key[0] for key in kurucz.row])
    top = np.searchsorted(cool, 8400.0, side="right")
    teff = np.concatenate([cool[:top], hot[hot > 8600.0]])
    low = np.full((top, len(LOGG), len(MH), len(phoenix.wave)), np.nan)
    for (i, j, k), _ in np.ndenumerate(low[..., 0]):
        spectrum = phoenix_at(phoenix, float(teff[i]), float(LOGG[j]), float(MH[k]))
        if spectrum is not None:
            low[i, j, k] = spectrum
    axes = (np.log(teff), LOGG, MH)
    report.repaired = repair(low, (axes[0][:top], LOGG, MH), phoenix.wave)
    cube = np.full((len(teff), *low.shape[1:]), np.nan)
    cube[:top] = low
    for i, t in enumerate(teff):
        share = float(np.clip(np.log(t / BLEND[0]) / np.log(BLEND[1] / BLEND[0]), 0.0, 1.0))
        for j, g in enumerate(LOGG):
            for k, m in enumerate(MH):
                cube[i, j, k] = blended(cube[i, j, k], kurucz, hot, (t, g, m), share)
    report.filled = fill(cube, axes)
    return teff, cube


def blended(
    phoenix: Floats, kurucz: Models, nodes: Floats, node: tuple[float, float, float], share: float
) -> Floats:
    """Mix the two sources at one node; `share` is Kurucz's part."""
    teff, logg, mh = node
    if share == 0.0 and (teff < KURUCZ_ALONE or np.isfinite(phoenix[0])):
        return phoenix
    other = kurucz_at(kurucz, nodes, teff, logg, mh)
    if other is None:
        # Above log g = 5 Kurucz has none: PHOENIX stands alone up to the end of the blend.
        return phoenix if share < 1.0 else np.full_like(phoenix, np.nan)
    if np.isnan(phoenix[0]):
        return other
    return (1.0 - share) * phoenix + share * other


def soften(cube: Floats) -> Floats:
    """Floor the log ratio smoothly: log10(10^x + 10^FLOOR)."""
    return np.logaddexp(cube * np.log(10), FLOOR * np.log(10)) / np.log(10)


def compress(spectra: Floats, wave: Floats) -> dict[str, NDArray]:
    """Weighted principal components of (N, W), coefficients as 16-bit integers."""
    weight = np.where(wave > 3000.0, 1.0, np.where(wave > 1700.0, 0.5, 0.1))
    mean = spectra.mean(axis=0)
    centred = (spectra - mean) * weight
    _, vectors = np.linalg.eigh(centred.T @ centred)
    basis = vectors[:, ::-1][:, :COMPONENTS].T
    coefficients = centred @ basis.T
    scale = np.abs(coefficients).max(axis=0) / 32767.0
    return {
        "coefficients": np.round(coefficients / scale).astype(np.int16),
        "scale": scale.astype(np.float32),
        "basis": (basis / weight).astype(np.float32),
        "mean": mean.astype(np.float32),
    }


def main() -> None:
    """Build the artefact and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sdist", nargs="?", type=Path, help="SEDFit-0.6.1.tar.gz")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    archive = fetch(arguments.sdist)
    report = Report()
    wave, log_flux, keys = read(archive, "phoenix")
    phoenix = relative(wave, log_flux, keys, renormalise=True)
    native, log_flux, keys = read(archive, "kurucz")
    with np.errstate(divide="ignore"):
        log_flux = np.log10(rebin(native, 10.0**log_flux, wave))
    kurucz = relative(wave, log_flux, keys, renormalise=False)
    kurucz.log_ratio = continue_ends(kurucz.log_ratio)
    teff, cube = assemble(phoenix, kurucz, report)
    exists = np.isfinite(cube[..., 0])
    tensors = compress(soften(cube[exists]), wave)
    tensors |= {"wave": wave, "teff": teff, "logg": LOGG, "mh": MH}
    tensors["exists"] = exists.astype(np.uint8)
    report.counts = {"nodes": int(exists.size), "models": int(exists.sum())}
    provenance = {
        "source": f"{SDIST} (MIT), sha256 {SHA256}",
        "components": COMPONENTS,
        "blend_kelvin": BLEND,
        "floor_dex": FLOOR,
        "repaired": report.repaired,
        "filled": report.filled,
        **report.counts,
    }
    # safetensors writes memory as it lies, so every array must be in C order.
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    save_file(tensors, arguments.output, metadata={"provenance": json.dumps(provenance)})
    print(json.dumps(provenance, indent=1))
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
