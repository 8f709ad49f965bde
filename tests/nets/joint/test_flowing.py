"""The flow over parameters: invertible for any subset, and that of all of them where all flow."""

import pytest
import torch
from torch import Tensor

from maury.nets.config import SplineConfig
from maury.nets.joint.flowing import Flowing, ParameterFlow

PARAMETERS, SUMMARY, TAIL = 4, 5, 3.0


@pytest.fixture(scope="module")
def flow() -> ParameterFlow:
    torch.manual_seed(0)
    config = SplineConfig(kind="spline", transforms=4, hidden=8)
    flow = ParameterFlow(PARAMETERS, SUMMARY, config, tail=TAIL)
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return flow.double()  # so stirred, float32 would lose digits


def flowing(flow: ParameterFlow, *rows: str) -> Flowing:
    """Rows of a digit for a parameter that flows, m for a measurement, . for an empty slot."""
    parameter = torch.tensor([[int(x) if x.isdigit() else PARAMETERS for x in row] for row in rows])
    active = torch.tensor([[x.isdigit() for x in row] for row in rows])
    generator = torch.Generator().manual_seed(1)
    summary = torch.randn(len(rows), SUMMARY, generator=generator, dtype=torch.float64)
    return flow(parameter, active, summary)


def values(rows: int, slots: int, *, draws: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 2 * torch.randn(rows, draws, slots, generator=generator, dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("row", ["0123", "0123m", "02mm", "1.", "m", "31"])
def test_bending_undoes_straightening(flow: ParameterFlow, row: str) -> None:
    found, value = flowing(flow, row), values(1, len(row))
    r, _ = found.straighten(value)
    torch.testing.assert_close(found.bend(r), value)
    moved = (r != value).any(1)[0].tolist()
    assert moved == [x.isdigit() for x in row]


@pytest.mark.parametrize("row", ["0123", "13m", "2"])
def test_slopes_are_those_of_the_map(flow: ParameterFlow, row: str) -> None:
    found, value = flowing(flow, row), values(1, len(row), draws=1)
    jacobian = torch.func.jacrev(lambda v: found.straighten(v[None, None])[0][0, 0])(value[0, 0])
    _, log_slope = found.straighten(value)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, log_slope.sum())
    assert (log_slope[0, 0] != 0).tolist() == [x.isdigit() for x in row]


@torch.no_grad()
def test_all_parameters_flow_as_in_a_network_of_posteriors(flow: ParameterFlow) -> None:
    z, summary = values(1, PARAMETERS), torch.ones(1, SUMMARY, dtype=torch.float64)
    value = TAIL * torch.asinh(z / TAIL)
    found = flow(torch.arange(PARAMETERS)[None], torch.ones(1, PARAMETERS, dtype=bool), summary)
    r, log_slope = found.straighten(value)
    right, log_det = flow.encode(z.transpose(0, 1), summary)
    torch.testing.assert_close(r.transpose(0, 1), right)
    log_det = log_det + torch.log(torch.cosh(value / TAIL)).sum(-1).T
    torch.testing.assert_close(log_slope.sum(-1).T, log_det)


@torch.no_grad()
def test_rows_and_slots_are_as_they_were_alone(flow: ParameterFlow) -> None:
    rows = ("013m", "2...", "m13.", "310m")
    together, value = flowing(flow, *rows), values(4, 4)
    r, _ = together.straighten(value)
    for i in range(len(rows)):
        alone = together[i : i + 1]
        torch.testing.assert_close(alone.straighten(value[i : i + 1])[0], r[i : i + 1])
        torch.testing.assert_close(alone.bend(r[i : i + 1]), together.bend(r)[i : i + 1])
    # The same parameters in another order, and beside another measurement.
    same = flow(
        torch.tensor([[0, 1, 3, PARAMETERS], [3, PARAMETERS, 1, 0]]),
        torch.tensor([[True, True, True, False], [True, False, True, True]]),
        torch.ones(2, SUMMARY, dtype=torch.float64),
    )
    one = value[:1]
    other = one[..., [2, 3, 1, 0]] + torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    found, slopes = same.straighten(torch.cat([one, other]))
    torch.testing.assert_close(found[1][..., [3, 2, 0]], found[0][..., [0, 1, 2]])
    torch.testing.assert_close(slopes[1].sum(-1), slopes[0].sum(-1))


def test_no_rows_are_no_trouble(flow: ParameterFlow) -> None:
    none = flowing(flow, "01m")[:0]
    assert none.straighten(torch.zeros(0, 3, 3, dtype=torch.float64))[0].shape == (0, 3, 3)
    assert none.bend(torch.zeros(0, 3, 3, dtype=torch.float64)).shape == (0, 3, 3)
