"""Surveys: the noise that is simulated is the noise that is stated, and gaps tell nothing."""

import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from maury.instruments.photometric import (
    NoiseModel,
    ObservingRun,
    PhotometricConfig,
    PhotometricInstrument,
)
from maury.instruments.surveys import SURVEYS
from maury.sky.bands import band, band_ids

BANDS = (
    "GALEX/GALEX.NUV",
    "GAIA/GAIA3.G",
    "GAIA/GAIA3.Gbp",
    "GAIA/GAIA3.Grp",
    "2MASS/2MASS.J",
    "2MASS/2MASS.H",
    "2MASS/2MASS.Ks",
)
QUIET = PhotometricConfig(
    outlier_fraction=0,
    wild_fraction=0,
    shifted_fraction=0,
    spoilt_fraction=0,
    chromospheric_fraction={},
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(config: PhotometricConfig, bands: tuple[str, ...] = BANDS) -> NoiseModel:
    return PhotometricInstrument(bands, config).noise


# -- noise ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.05, 0.2])
def test_scatter_is_stated_error_floor_and_jitter_in_quadrature(sigma: float) -> None:
    """A predecessor trained with 0.01 mag whatever the stated errors were."""
    scatter = noise(QUIET).scatter(torch.full((40_000, len(BANDS)), sigma), seeded())
    floor = torch.tensor([band(b).floor for b in BANDS])
    expected = torch.sqrt(sigma**2 + floor**2 + QUIET.jitter**2)
    torch.testing.assert_close(scatter.std(0), expected, rtol=0.02, atol=0)
    assert (scatter.mean(0).abs() < 5 * expected / 200).all()


def test_observed_magnitudes_scatter_as_their_errors_say() -> None:
    instrument = PhotometricInstrument(BANDS, QUIET)
    true = torch.full((30_000, len(BANDS)), 15.0)
    sigma = torch.rand(true.shape, generator=seeded(1)) * 0.2
    run = ObservingRun(measured=torch.ones_like(true, dtype=torch.bool), sigma=sigma)
    pull = (instrument.observe(run, true, seeded(2)) - true) / torch.sqrt(
        sigma**2 + instrument.noise.variance[:, 0]
    )
    torch.testing.assert_close(pull.std(0), torch.ones(len(BANDS)), rtol=0.02, atol=0)


def test_what_was_not_measured_is_nan() -> None:
    instrument = PhotometricInstrument(BANDS, PhotometricConfig())
    measured = torch.rand(500, len(BANDS), generator=seeded()) < 0.5
    run = ObservingRun(measured, torch.full(measured.shape, 0.02))
    observed = instrument.observe(run, torch.full(measured.shape, 12.0), seeded())
    assert torch.equal(torch.isfinite(observed), measured)


def test_outliers_come_as_often_as_stated_and_independently() -> None:
    config = QUIET.model_copy(update={"outlier_fraction": 0.1})
    scatter = noise(config).scatter(torch.full((50_000, len(BANDS)), 0.02), seeded())
    off = scatter.abs() > 0.2
    # NUV's floor is larger: look at the others.
    expected = config.outlier_fraction * math.erfc(0.2 / math.hypot(0.35, 0.03) / math.sqrt(2))
    torch.testing.assert_close(
        off[:, 1:].float().mean(0), torch.full((6,), expected), rtol=0.1, atol=0
    )
    shared = torch.corrcoef(off.T.float())
    assert (shared - torch.eye(len(BANDS))).abs().max() < 0.03


def test_a_spoilt_survey_is_off_in_all_its_bands_at_once() -> None:
    config = QUIET.model_copy(update={"spoilt_fraction": 0.1})
    scatter = noise(config).scatter(torch.full((50_000, len(BANDS)), 0.01), seeded())
    off = (scatter.abs() > 0.3)[:, 1:].T.float()
    shared = torch.corrcoef(off)
    gaia, tmass = slice(0, 3), slice(3, 6)
    assert shared[gaia, gaia].min() > 0.6
    assert shared[tmass, tmass].min() > 0.6
    assert shared[gaia, tmass].abs().max() < 0.03


def test_a_shifted_survey_keeps_its_colours() -> None:
    config = QUIET.model_copy(update={"shifted_fraction": 0.1})
    scatter = noise(config).scatter(torch.full((50_000, len(BANDS)), 0.01), seeded())
    gaia, tmass = scatter[:, 1:4], scatter[:, 4:7]
    shifted = gaia.mean(1).abs() > 0.3
    expected = 0.1 * math.erfc(0.3 / config.shifted_sigma / math.sqrt(2))
    assert shifted.float().mean().item() == pytest.approx(expected, rel=0.06)
    colour = gaia[shifted].diff(dim=1)
    assert colour.std().item() == pytest.approx(config.shifted_scatter * math.sqrt(2), rel=0.1)
    assert tmass[shifted].mean(1).std() < 0.5 * gaia[shifted].mean(1).std()


def grid(reach: float, step: float) -> torch.Tensor:
    return torch.arange(-reach, reach + step, step, dtype=torch.float64)


def double(model: NoiseModel) -> NoiseModel:
    return replace(
        model,
        fraction=model.fraction.double(),
        variance=model.variance.double(),
        shifted_variance=model.shifted_variance.double(),
        spoilt_variance=model.spoilt_variance.double(),
    )


@pytest.mark.parametrize("index", range(len(BANDS)))
def test_likelihood_of_one_band_integrates_to_one(index: int) -> None:
    residual = torch.zeros(grid(15, 1e-3).numel(), len(BANDS), dtype=torch.float64)
    residual[:, index] = grid(15, 1e-3)
    measured = torch.zeros(residual.shape, dtype=torch.bool)
    measured[:, index] = True
    sigma = torch.full_like(residual, 0.02)
    density = double(noise(PhotometricConfig())).log_likelihood(residual, sigma, measured).exp()
    assert torch.trapezoid(density, residual[:, index]).item() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("wrong", ["shifted_fraction", "spoilt_fraction"])
def test_likelihood_of_two_bands_of_a_survey_integrates_to_one(wrong: str) -> None:
    """They are dependent through the survey's being wrong, so one dimension does not tell."""
    config = PhotometricConfig(jitter=0.1).model_copy(update={wrong: 0.2})
    axis = grid(9, 0.03)
    first, second = torch.meshgrid(axis, axis, indexing="ij")
    residual = torch.stack([first, second], dim=-1)
    model = double(noise(config, BANDS[1:3]))
    sigma = torch.full_like(residual, 0.05)
    measured = torch.ones_like(residual, dtype=torch.bool)
    density = model.log_likelihood(residual, sigma, measured).exp()
    total = torch.trapezoid(torch.trapezoid(density, axis), axis).item()
    assert total == pytest.approx(1.0, abs=1e-3)
    # The joint density is not the product of the marginals, that is what the survey adds.
    apart = model.log_likelihood(residual, sigma, torch.tensor([True, False])) + (
        model.log_likelihood(residual, sigma, torch.tensor([False, True]))
    )
    far = (first - 1.0).abs() + (second - 1.0).abs() < 0.05
    assert (density.log() - apart)[far].min() > 0.5


def test_likelihood_is_the_histogram_of_the_scatter() -> None:
    config = PhotometricConfig(outlier_fraction=0.1, spoilt_fraction=0.1, jitter=0.05)
    model = double(noise(config, BANDS[1:2]))
    count = 200_000
    sigma = torch.full((count, 1), 0.05, dtype=torch.float64)
    scatter = model.scatter(sigma, seeded())
    edges = torch.linspace(-1.0, 1.0, 41, dtype=torch.float64)
    found = torch.histogram(scatter.squeeze(-1), edges).hist
    fine = torch.linspace(-1.0, 1.0, 4001, dtype=torch.float64)[:, None]
    density = model.log_likelihood(
        fine, torch.full_like(fine, 0.05), torch.ones_like(fine, dtype=torch.bool)
    ).exp()
    share = torch.cumulative_trapezoid(density, fine.squeeze(-1))
    cumulative = torch.cat([torch.zeros(1, dtype=torch.float64), share])[::100]
    expected = cumulative.diff() * count
    chi2 = ((found - expected) ** 2 / expected).sum().item()
    assert chi2 < 40 + 5 * math.sqrt(2 * 40)


def test_likelihood_of_a_shift_is_the_joint_normal_density() -> None:
    """With nothing but shifts, the bands of a survey are jointly normal."""
    config = QUIET.model_copy(update={"shifted_fraction": 1.0 - 1e-9})
    model = double(noise(config, BANDS[1:4]))
    residual = torch.randn(50, 3, generator=seeded(), dtype=torch.float64)
    sigma = torch.rand(50, 3, generator=seeded(1), dtype=torch.float64) * 0.3
    found = model.log_likelihood(residual, sigma, torch.ones_like(residual, dtype=torch.bool))
    own = torch.diag_embed(sigma**2 + model.shifted_variance)
    joint = torch.distributions.MultivariateNormal(
        torch.zeros(3, dtype=torch.float64), own + config.shifted_sigma**2
    )
    torch.testing.assert_close(found, joint.log_prob(residual), rtol=1e-6, atol=1e-6)


def test_bands_that_were_not_measured_do_not_count() -> None:
    model = noise(PhotometricConfig())
    residual = torch.randn(200, len(BANDS), generator=seeded())
    sigma = torch.full_like(residual, 0.03)
    measured = torch.rand(residual.shape, generator=seeded(1)) < 0.6
    one = model.log_likelihood(residual, sigma, measured)
    other = model.log_likelihood(torch.where(measured, residual, 7.0), sigma, measured)
    assert torch.equal(one, other)
    nothing = model.log_likelihood(residual, sigma, torch.zeros_like(measured))
    torch.testing.assert_close(nothing, torch.zeros(200), atol=1e-6, rtol=0)


def test_a_band_without_outliers_has_a_finite_likelihood() -> None:
    model = noise(QUIET)
    residual = torch.zeros(3, len(BANDS))
    result = model.log_likelihood(residual, residual + 0.02, torch.ones(3, len(BANDS)).bool())
    assert torch.isfinite(result).all()


# -- gaps ----------------------------------------------------------------------------------


def run_at(
    magnitude: float, count: int = 20_000, config: PhotometricConfig | None = None
) -> ObservingRun:
    instrument = PhotometricInstrument(BANDS, config or PhotometricConfig(random_subset_fraction=0))
    return instrument.observing_run(torch.full((count, len(BANDS)), magnitude), seeded(3))


def test_bands_of_a_survey_go_missing_together() -> None:
    """A predecessor dropped each band alone, which no catalogue does."""
    config = PhotometricConfig(random_subset_fraction=0, minimum_bands=1, dropout_fraction=0.15)
    shared = torch.corrcoef(run_at(14.0, config=config).measured[:, 1:].T.float())
    gaia, tmass = slice(0, 3), slice(3, 6)
    assert shared[gaia, gaia].min() > 0.4
    # A star that one survey alone has must not be empty: a small link through that remains.
    assert shared[gaia, tmass].abs().max() < 0.15


def test_faint_stars_lose_the_shallow_surveys_first() -> None:
    bright, faint = run_at(12.0).measured.float().mean(0), run_at(19.0).measured.float().mean(0)
    gaia, tmass = slice(1, 4), slice(4, 7)
    assert (bright[tmass] > 0.6).all()
    assert (faint[tmass] < 0.5 * bright[tmass]).all()
    assert faint[gaia].min() > faint[tmass].max()


def test_saturated_stars_are_missing() -> None:
    config = PhotometricConfig(random_subset_fraction=0, minimum_bands=1)
    bright = run_at(10.0, config=config).measured.float().mean(0)
    usual = run_at(14.0, config=config).measured.float().mean(0)
    # GALEX saturates at 12.5: what is left are stars that no survey has, given a random band.
    assert bright[0] < 0.5 * usual[0]


def test_errors_grow_with_magnitude_up_to_a_fifth_at_the_depth() -> None:
    medians = [run_at(m, 4000).sigma[:, 4].median().item() for m in (8.0, 12.0, 15.0, 16.9)]
    assert medians == sorted(medians)
    assert medians[0] < 0.05
    assert medians[-1] == pytest.approx(0.2, rel=0.1)


def test_errors_are_always_usable() -> None:
    for magnitude in (-5.0, 12.0, 40.0):
        sigma = run_at(magnitude, 500).sigma
        assert ((sigma > 0) & (sigma <= 0.5)).all()


@pytest.mark.parametrize("minimum", [1, 3, 7, 20])
def test_every_star_has_enough_bands(minimum: int) -> None:
    config = PhotometricConfig(minimum_bands=minimum)
    counts = run_at(18.0, 3000, config).measured.sum(-1)
    assert counts.min() >= min(minimum, len(BANDS))


def test_subsets_of_every_size_occur() -> None:
    counts = run_at(13.0, 5000, PhotometricConfig()).measured.sum(-1)
    assert set(counts.tolist()) == set(range(3, len(BANDS) + 1))


def test_releases_of_one_survey_exclude_each_other() -> None:
    bands = ("GAIA/GAIA3.G", "GAIA/GAIA2r.G", "2MASS/2MASS.J", "2MASS/2MASS.H", "2MASS/2MASS.Ks")
    config = PhotometricConfig(random_subset_fraction=0, minimum_bands=1)
    instrument = PhotometricInstrument(bands, config)
    measured = instrument.observing_run(torch.full((5000, 5), 13.0), seeded()).measured
    # Only a star that no survey has, to which random bands are given, may have both.
    assert (measured[:, 0] & measured[:, 1]).float().mean() < 0.01
    assert measured[:, :2].float().mean() > 0.3


def test_any_band_can_be_observed() -> None:
    instrument = PhotometricInstrument(band_ids(), PhotometricConfig())
    shape = (3000, len(band_ids()))
    run = instrument.observing_run(torch.full(shape, 13.0), seeded())
    assert run.measured.any(0).all()
    assert torch.isfinite(instrument.noise.scatter(run.sigma, seeded())).all()


def test_surveys_list_bands_that_exist() -> None:
    known = set(band_ids())
    for survey in SURVEYS:
        low, high = survey.error_floor
        assert set(survey.depth) <= known
        assert 0 < survey.coverage <= 1
        assert 0 < low <= high < 0.5
        assert survey.saturation < min(survey.depth.values())
    for group in {s.group for s in SURVEYS}:
        assert sum(s.coverage for s in SURVEYS if s.group == group) <= 1


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"brightest": 20.0, "faintest": 4.0}, "brightest"),
        ({"chromospheric_fraction": {"GALEX/GALEX.NUV": 2.0}}, "GALEX/GALEX.NUV"),
        ({"outlier_fraction": -0.1}, "outlier_fraction"),
        ({"jiter": 0.1}, "jiter"),
    ],
)
def test_impossible_configs_are_refused(entry: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        PhotometricConfig.model_validate(entry)
