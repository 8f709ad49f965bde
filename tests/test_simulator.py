"""The simulator: seeded, inside the library, and with gaps that say nothing of the star."""

import math

import pytest
import torch
from pydantic import ValidationError

from maury import simulator as simulator_module
from maury.instruments.photometric import PhotometricConfig
from maury.measurements import Kind
from maury.simulator import Simulator, SimulatorConfig, Stars
from maury.sky.photometry import MagnitudeTable

BANDS = ("GAIA/GAIA3.G", "GAIA/GAIA3.Gbp", "GAIA/GAIA3.Grp", "2MASS/2MASS.J", "2MASS/2MASS.Ks")
QUIET = PhotometricConfig(
    outlier_fraction=0,
    wild_fraction=0,
    shifted_fraction=0,
    spoilt_fraction=0,
    chromospheric_fraction={},
)
COUNT = 20_000


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(SimulatorConfig(bands=BANDS, photometry=QUIET))


@pytest.fixture(scope="module")
def stars(simulator: Simulator) -> Stars:
    return draw(simulator, COUNT, seed=0)


def draw(simulator: Simulator, count: int, *, seed: int) -> Stars:
    return simulator.draw(count, torch.Generator().manual_seed(seed))


def bands_of(stars: Stars) -> tuple[torch.Tensor, torch.Tensor]:
    """Observed magnitudes (N, B), NaN where missing, and errors."""
    width = len(BANDS)
    obs = stars.measurements
    absent = obs.kind[:, :width] == Kind.ABSENT
    return obs.value[:, :width].masked_fill(absent, torch.nan), obs.sigma[:, :width]


def test_the_seed_decides_everything(simulator: Simulator) -> None:
    one, same, other = (draw(simulator, 300, seed=s) for s in (5, 5, 6))
    assert torch.equal(one.theta, same.theta)
    assert torch.equal(one.measurements.hash(), same.measurements.hash())
    assert not torch.equal(one.theta, other.theta)


@pytest.mark.parametrize("prior", ["field", "box"])
def test_no_star_is_invented(prior: str) -> None:
    """A predecessor trained on rows of zeros where the library had no model."""
    simulator = Simulator(SimulatorConfig.model_validate({"prior": prior, "bands": BANDS}))
    stars = draw(simulator, 3000, seed=1)
    magnitudes, inside = simulator.table(stars.theta)
    assert inside.all()
    assert torch.isfinite(magnitudes).all()
    assert torch.isfinite(simulator.prior.log_prob(stars.theta)).all()
    present = stars.measurements.present
    assert torch.isfinite(stars.measurements.value).all()
    assert (stars.measurements.value[:, : len(BANDS)][present[:, : len(BANDS)]] != 0).all()


def test_magnitudes_scatter_about_the_model_as_stated(simulator: Simulator, stars: Stars) -> None:
    """The noise of training is the stated error, the band's floor and the jitter in quadrature."""
    value, sigma = bands_of(stars)
    pull = (value - stars.magnitudes) / torch.sqrt(
        sigma**2 + simulator.instrument.noise.variance[:, 0]
    )
    for i in range(len(BANDS)):
        column = pull[:, i][torch.isfinite(pull[:, i])]
        assert column.std().item() == pytest.approx(1.0, abs=0.03)
        assert abs(column.mean().item()) < 4 / math.sqrt(len(column))


def test_brightness_is_even_and_says_nothing_of_the_star(simulator: Simulator) -> None:
    stars = draw(simulator, COUNT, seed=2)
    reference = simulator._reference
    assert BANDS[reference] == "GAIA/GAIA3.G"
    brightness = stars.magnitudes[:, reference]
    low, high = QUIET.brightest, QUIET.faintest
    position = (brightness - low) / (high - low)
    assert position.min() > -1e-4
    assert position.max() < 1 + 1e-4
    assert position.std().item() == pytest.approx(12**-0.5, abs=0.01)
    for i in range(5):
        assert abs(rank_correlation(position, stars.theta[:, i])) < 5 / math.sqrt(COUNT)


def rank_correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    ranks = torch.stack([a.argsort().argsort(), b.argsort().argsort()]).float()
    return torch.corrcoef(ranks)[0, 1].item()


def test_gaps_and_errors_say_nothing_of_the_star(simulator: Simulator, stars: Stars) -> None:
    """Else the network would read parameters off what a catalogue happens to lack."""
    measured, sigma = stars.run.measured, stars.run.sigma
    limit = 5 / math.sqrt(COUNT)
    for i in range(5):
        theta = stars.theta[:, i]
        for j in range(len(BANDS)):
            assert abs(rank_correlation(sigma[:, j], theta)) < limit
            middle = theta.median()
            lost = ~measured[:, j]
            above, below = lost[theta > middle].float().mean(), lost[theta <= middle].float().mean()
            assert abs(above - below) < 5 * math.sqrt(0.25 / COUNT) * 2


def test_gaps_say_nothing_of_colour_at_given_brightness(simulator: Simulator, stars: Stars) -> None:
    """Cool stars are bright in Ks: it would be missing for hot ones if gaps were their own."""
    magnitudes = stars.magnitudes
    brightness = magnitudes[:, simulator._reference]
    faint = (brightness > 16) & (brightness < 17)
    colour = (magnitudes[:, 0] - magnitudes[:, -1])[faint]
    lost = ~stars.run.measured[faint, -1]
    assert 0.2 < lost.float().mean() < 0.9  # at the survey's depth: both kinds abound
    red = colour > colour.median()
    apart = lost[red].float().mean() - lost[~red].float().mean()
    assert abs(apart) < 5 * math.sqrt(0.25 / faint.sum()) * 2


def test_knowledge_sits_on_its_own_channels(simulator: Simulator, stars: Stars) -> None:
    assert simulator.channels == (*BANDS, *(f"prior_{p}" for p in simulator.parameters))
    assert stars.measurements.channels == simulator.channels
    width = len(BANDS)
    known = stars.measurements.present[:, width:]
    config = simulator.config.knowledge
    expected = config.informed_fraction * config.parameter_fraction
    assert known.float().mean().item() == pytest.approx(expected, abs=0.01)
    pull = (stars.measurements.value[:, width:] - stars.theta) / stars.measurements.sigma[:, width:]
    assert pull[known].std().item() == pytest.approx(1.0, abs=0.04)


def test_no_stars_and_one_star(simulator: Simulator) -> None:
    assert len(draw(simulator, 0, seed=0).measurements) == 0
    assert draw(simulator, 1, seed=0).theta.shape == (1, 5)


@pytest.mark.parametrize(
    ("entry", "word"), [({"bands": []}, "bands"), ({"prior": "flat"}, "prior"), ({"x": 1}, "x")]
)
def test_impossible_configs_are_refused(entry: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        SimulatorConfig.model_validate(entry)


def test_each_star_is_of_one_of_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second library here is the first, half a magnitude redder in Ks."""
    plain = simulator_module.cached_table

    def table(library: str, bands: tuple[str, ...], law: str) -> MagnitudeTable:
        found = plain("phoenix-kurucz", bands, law)
        return _Redder(found) if library == "redder" else found

    monkeypatch.setattr(simulator_module, "cached_table", table)
    libraries = ("phoenix-kurucz", "redder")
    simulator = Simulator(SimulatorConfig(bands=BANDS, photometry=QUIET, library=libraries))
    stars = draw(simulator, 4000, seed=3)
    shift = (stars.magnitudes - simulator.table(stars.theta)[0])[:, [0, -1]].diff(dim=1)
    of_second = shift.squeeze(-1) < -0.25
    assert of_second.float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert of_second[:1000].float().mean().item() == pytest.approx(0.5, abs=0.08)
    same = draw(simulator, 4000, seed=3)
    assert torch.equal(same.magnitudes, stars.magnitudes)


class _Redder:
    def __init__(self, table: MagnitudeTable) -> None:
        self.table, self.bands = table, table.bands

    def __call__(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        magnitudes, inside = self.table(theta)
        return magnitudes - torch.tensor([0.0] * (len(BANDS) - 1) + [0.5]), inside
