"""Stars as nodes of a joint density."""

import pytest
import torch

from maury.errors import MauryError
from maury.measurements import Measurements
from maury.nets.config import JointConfig, NetworkConfig
from maury.nets.estimator import Estimator
from maury.nets.joint.estimator import TAIL, JointEstimator
from maury.nets.stars import StarNetwork
from maury.parameters import PARAMETERS

CHANNELS = ("GAIA/GAIA3.G", "2MASS/2MASS.J", "2MASS/2MASS.Ks", "parallax", "prior_logg")
NAMES = ("teff", "logg", "mh")


def observations(count: int) -> Measurements:
    generator = torch.Generator().manual_seed(1)
    value = 10 + 2 * torch.rand(count, len(CHANNELS), generator=generator)
    return Measurements.from_dense(CHANNELS, value, torch.full_like(value, 0.03))


def truth(count: int) -> torch.Tensor:
    z = 0.7 * torch.randn(count, len(NAMES), generator=torch.Generator().manual_seed(2))
    return torch.stack([PARAMETERS[n].to_physical(z[:, i]) for i, n in enumerate(NAMES)], -1)


def estimator() -> JointEstimator:
    torch.manual_seed(0)
    config = JointConfig(width=16, layers=2, heads=2, feedforward=16)
    network = JointEstimator(NAMES, CHANNELS, config)
    network.fit_scales(truth(500), observations(500))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return network.eval()


def masks(count: int, given: list[bool], latent: list[bool]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([given]).expand(count, -1), torch.tensor([latent]).expand(count, -1)


PARALLAX_ASKED = (
    [False] * 3 + [True, True, False, False, True],
    [True] * 3 + [False, False, False, True, False],
)


def test_tokens_of_what_is_asked_do_not_betray_its_value() -> None:
    network, known = estimator(), observations(5)
    other = Measurements.from_dense(
        CHANNELS,
        torch.where(torch.tensor([0, 0, 1, 1, 0]).bool(), known.value + 3.0, known.value),
        known.sigma,
    )
    given, latent = masks(5, *PARALLAX_ASKED)
    asked = []
    for measurements in (known, other):
        question = network.question(measurements, given, latent, theta=truth(5), truth=truth(5))
        nodes, value = question.split()
        asked.append(value)
        condition = network.density.condition(nodes)
        if len(asked) == 1:
            first = condition
    torch.testing.assert_close(condition.token, first.token)
    torch.testing.assert_close(condition.base.location, first.base.location)
    assert not torch.allclose(*asked)


def test_predicted_values_return_to_their_units() -> None:
    network, known = estimator(), observations(5)
    given, latent = masks(5, *PARALLAX_ASKED)
    question = network.question(known, given, latent, theta=truth(5), truth=truth(5))
    slot = CHANNELS.index("parallax")
    whitened = question.value[:, len(NAMES) + slot][:, None]
    brightness = network.features.brightness(known, given[:, len(NAMES) :])
    back = network.features.measured(torch.tensor([slot]), whitened, brightness)
    torch.testing.assert_close(back[:, 0], known.value[:, slot], rtol=1e-4, atol=1e-4)


def test_the_jacobian_is_that_of_the_coordinates() -> None:
    network, theta = estimator().double(), truth(6).double()
    found = network.log_abs_det(theta, None)
    for row, expected in zip(theta, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda x: network.whitened(x[None], None)[0], row
        )
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, expected)


def test_coordinates_return_and_parameters_that_are_known_stay() -> None:
    network, theta = estimator(), truth(50)
    z = network.whitened(theta, None)
    torch.testing.assert_close(network.physical(z, None), theta, rtol=1e-4, atol=1e-4)
    known = torch.full_like(theta, torch.nan)
    known[:, 1] = 4.0
    assert (network.physical(z, None, known)[:, 1] == 4.0).all()


def test_all_kinds_of_questions_are_drawn() -> None:
    network = estimator()
    torch.manual_seed(3)
    question = network._drawn_question(truth(400), observations(400))
    assert not (question.given & question.latent).any()
    assert question.latent.any(1).all()
    stars = slice(0, len(NAMES))
    posterior = question.latent[:, stars].all(1) & ~question.latent[:, len(NAMES) :].any(1)
    likelihood = question.given[:, stars].all(1)
    assert 0.3 < posterior.float().mean() < 0.7
    assert 0.1 < likelihood.float().mean() < 0.4
    measurements_alone = ~question.latent[:, stars].any(1) & ~likelihood
    assert 0.1 < measurements_alone.float().mean() < 0.5
    # Outside knowledge is never asked for.
    place = len(NAMES) + CHANNELS.index("prior_logg")
    assert not question.latent[:, place].any()
    assert question.edges is not None
    on_graph = ~question.edges.all(-1).all(-1)
    assert 0.05 < on_graph.float().mean() < 0.25
    assert (question.given | question.latent)[on_graph][:, stars].all()


def test_on_graphs_parameters_see_what_was_measured() -> None:
    network = estimator()
    torch.manual_seed(3)
    question = network._drawn_question(truth(400), observations(400))
    assert question.edges is not None
    stars = len(NAMES)
    seen = question.edges[:, :stars] | ~question.given[:, None]
    assert seen.all()


def test_on_graphs_a_magnitude_sees_the_brightness_it_refers_to() -> None:
    network = estimator()
    torch.manual_seed(3)
    question = network._drawn_question(truth(400), observations(400))
    assert question.edges is not None
    brightness = question.given[:, -1]
    assert brightness.any()
    assert question.edges[brightness][:, :, -1].all()


def test_the_loss_reaches_every_weight() -> None:
    network = estimator()
    torch.manual_seed(3)
    network.loss(truth(64), observations(64)).backward()
    unused = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert not unused


def flow_network(*, channels: tuple[str, ...] = CHANNELS, width: int = 24) -> Estimator:
    torch.manual_seed(5)
    config = NetworkConfig.model_validate(
        {
            "encoder": {"kind": "deep_set", "width": width, "layers": 1, "feedforward": 16},
            "flow": {"kind": "spline", "transforms": 2, "hidden": 8},
        }
    )
    network = Estimator(NAMES, channels, config)
    network.fit_scales(1.01 * truth(300), observations(300))
    return network.eval()


def starting(width: int = 24, *, hidden: int | None = None) -> JointEstimator:
    summary = {"kind": "deep_set", "width": width, "layers": 1, "feedforward": 16}
    flow = None if hidden is None else {"kind": "spline", "transforms": 2, "hidden": hidden}
    sizes = {"width": 16, "heads": 2, "summary": summary, "flow": flow}
    config = JointConfig.model_validate(sizes)
    return JointEstimator(NAMES, CHANNELS, config).eval()


def test_what_a_network_starts_from_sums_up_measurements_alike() -> None:
    teacher, network = flow_network(), starting()
    taken = network.start_from(teacher)
    known = network.known(observations(20))
    torch.testing.assert_close(network.summary(known), teacher.context(known))
    torch.testing.assert_close(
        network.whitened(truth(20), None),
        TAIL * torch.asinh(teacher.whitened(truth(20), None) / TAIL),
    )
    assert {id(weight) for weight in taken} <= {id(weight) for weight in network.parameters()}


def test_a_network_with_a_flow_starts_with_the_same_posteriors() -> None:
    teacher, network = flow_network(), starting(hidden=8)
    taken = network.start_from(teacher)
    theta, known = truth(20), network.known(observations(20))
    condition = network.posterior(known, torch.full_like(theta, torch.nan))
    with torch.no_grad():
        torch.testing.assert_close(
            network.log_prob(theta[None], condition, None),
            teacher.log_prob(theta[None], teacher.context(known)),
            rtol=1e-4,
            atol=1e-4,
        )
    flow = network.density.base.flow
    assert flow is not None
    known = {id(weight) for weight in taken}
    assert {id(weight) for weight in flow.couplings.parameters()} < known
    assert not {id(weight) for weight in flow.missing} & known  # which is new


def test_flows_of_other_sizes_are_no_start() -> None:
    with pytest.raises(MauryError, match="different sizes"):
        starting(hidden=12).start_from(flow_network())


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (flow_network(channels=CHANNELS[:4]), "parameters, channels"),
        (flow_network(width=32), "different sizes"),
        (starting(), "flow network only"),
    ],
)
def test_what_does_not_fit_is_no_start(teacher: StarNetwork, message: str) -> None:
    with pytest.raises(MauryError, match=message):
        starting().start_from(teacher)
