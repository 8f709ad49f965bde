"""Encoders answer for a set: order, padding and company change nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from maury.errors import MauryError
from maury.nets.deep_set import DeepSet
from maury.nets.set_transformer import SetTransformer

CHANNELS = 9
ENCODERS = {
    "set_transformer": lambda: SetTransformer(CHANNELS, 32, layers=3, heads=4, feedforward=48),
    "deep_set": lambda: DeepSet(CHANNELS, 32, layers=2, feedforward=48),
    "waves": lambda: DeepSet(CHANNELS, 32, layers=2, feedforward=48, frequencies=(1.0, 10.0)),
}
Slots = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(params=ENCODERS, scope="module")
def encoder(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(1)
    return ENCODERS[request.param]().eval()


def stars(n: int, slots: int, seed: int = 0, share: float = 0.6) -> Slots:
    g = torch.Generator().manual_seed(seed)
    channel = torch.stack([torch.randperm(CHANNELS, generator=g)[:slots] for _ in range(n)])
    value = torch.randn(n, slots, generator=g)
    error = torch.rand(n, slots, generator=g)
    present = torch.rand(n, slots, generator=g) < share
    return channel, value, error, present


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), slots=st.integers(1, CHANNELS))
def test_order_of_slots_changes_nothing(encoder: nn.Module, seed: int, slots: int) -> None:
    data = stars(6, slots, seed)
    order = torch.randperm(slots, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        encoder(*data), encoder(*(x[:, order] for x in data)), atol=1e-5, rtol=1e-5
    )


def test_padding_changes_nothing_whatever_it_holds(encoder: nn.Module) -> None:
    channel, value, error, present = stars(6, 5)
    wide = (
        torch.cat((channel, torch.full((6, 4), 10_000)), dim=1),
        torch.cat((value, torch.full((6, 4), torch.nan)), dim=1),
        torch.cat((error, torch.full((6, 4), torch.inf)), dim=1),
        torch.cat((present, torch.zeros(6, 4, dtype=torch.bool)), dim=1),
    )
    torch.testing.assert_close(
        encoder(*wide), encoder(channel, value, error, present), atol=1e-5, rtol=1e-5
    )


def test_a_star_alone_is_the_star_among_a_thousand(encoder: nn.Module) -> None:
    data = stars(1000, CHANNELS)
    together = encoder(*data)
    for i in (0, 500, 999):
        alone = encoder(*(x[i : i + 1] for x in data))
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_absent_slots_equal_removed_slots(encoder: nn.Module) -> None:
    data = stars(1, CHANNELS, seed=4)
    kept = data[3][0]
    torch.testing.assert_close(
        encoder(*data), encoder(*(x[:, kept] for x in data)), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("slots", [0, 4])
def test_a_star_without_measurements_has_an_answer(encoder: nn.Module, slots: int) -> None:
    empty = encoder(*stars(3, slots, share=-1.0))
    assert empty.shape == (3, 32)
    assert torch.isfinite(empty).all()
    torch.testing.assert_close(empty[0], empty[2], atol=1e-6, rtol=1e-6)


def test_no_stars_no_answers(encoder: nn.Module) -> None:
    assert encoder(*(x[:0] for x in stars(2, 4))).shape == (0, 32)


@pytest.mark.parametrize("what", ["channel", "value", "error"])
def test_every_part_of_a_measurement_matters(encoder: nn.Module, what: str) -> None:
    channel, value, error, present = stars(4, 5, share=2.0)
    changed = {
        "channel": ((channel + 1) % CHANNELS, value, error, present),
        "value": (channel, value + 1.0, error, present),
        "error": (channel, value, error + 1.0, present),
    }[what]
    difference = (encoder(*changed) - encoder(channel, value, error, present)).abs()
    assert (difference.amax(dim=1) > 1e-3).all()


def test_gradients_reach_every_weight(encoder: nn.Module) -> None:
    encoder.zero_grad()
    weight = torch.randn(40, 32, generator=torch.Generator().manual_seed(0))
    (encoder(*stars(40, CHANNELS)) * weight).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("kind", ENCODERS)
def test_state_round_trip(kind: str) -> None:
    encoder, other = ENCODERS[kind]().eval(), ENCODERS[kind]().eval()
    other.load_state_dict(encoder.state_dict())
    data = stars(5, 6)
    assert torch.equal(other(*data), encoder(*data))


def test_set_transformer_is_the_textbook_pre_norm_encoder() -> None:
    """The packed layers with a class-only last one equal torch's own layers on padded tokens."""
    torch.manual_seed(0)
    net = SetTransformer(CHANNELS, 32, layers=3, heads=4, feedforward=48).eval()
    channel, value, error, present = stars(50, CHANNELS, seed=3)
    tokens = (
        net.tokens.channel(channel)
        + net.tokens.value(value.unsqueeze(-1))
        + net.tokens.error(error.unsqueeze(-1))
    )
    tokens = torch.cat((net.class_token.expand(50, 1, -1), tokens), dim=1)
    absent = torch.cat((torch.zeros(50, 1, dtype=torch.bool), ~present), dim=1)
    for ours in net.layers:
        theirs = nn.TransformerEncoderLayer(
            32, 4, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        theirs.load_state_dict(
            {
                "self_attn.in_proj_weight": ours.query_key_value.weight,
                "self_attn.in_proj_bias": ours.query_key_value.bias,
                "self_attn.out_proj.weight": ours.merge.weight,
                "self_attn.out_proj.bias": ours.merge.bias,
                "linear1.weight": ours.expand.weight,
                "linear1.bias": ours.expand.bias,
                "linear2.weight": ours.contract.weight,
                "linear2.bias": ours.contract.bias,
                "norm1.weight": ours.norm_attention.weight,
                "norm1.bias": ours.norm_attention.bias,
                "norm2.weight": ours.norm_feedforward.weight,
                "norm2.bias": ours.norm_feedforward.bias,
            }
        )
        tokens = theirs(tokens, src_key_padding_mask=absent)
    expected = net.norm(tokens[:, 0])
    torch.testing.assert_close(net(channel, value, error, present), expected, atol=1e-5, rtol=1e-5)


def test_deep_set_is_a_sum_of_per_channel_maps() -> None:
    torch.manual_seed(0)
    net = DeepSet(CHANNELS, 16, layers=0).eval()
    channel, value, error, present = stars(20, CHANNELS, seed=2)
    maps = net.maps.weight.unflatten(1, (CHANNELS, -1))[:, channel]  # (width, N, S, features)
    features = torch.stack((torch.ones_like(value), value, error, value * error), dim=-1)
    terms = (maps * features).sum(-1) * present
    expected = net.norm(terms.sum(-1).T + net.maps.bias)
    torch.testing.assert_close(net(channel, value, error, present), expected, atol=1e-5, rtol=1e-5)


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    data = stars(8, CHANNELS)
    for net in (
        SetTransformer(CHANNELS, 32, 2, 4, 48, dropout=0.2),
        DeepSet(CHANNELS, 32, 2, 48, dropout=0.2),
    ):
        assert not torch.equal(net.train()(*data), net(*data))
        assert torch.equal(net.eval()(*data), net(*data))


def test_the_papers_size_is_the_default() -> None:
    with torch.device("meta"):
        net = SetTransformer(25)
    layer = 4 * 256 * 256 + 4 * 256 + 2 * 256 * 768 + 256 + 768 + 4 * 256
    tokens = 25 * 256 + 3 * 256
    assert sum(p.numel() for p in net.parameters()) == 10 * layer + tokens + 256 + 2 * 256


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(MauryError, match="multiple of heads"):
        SetTransformer(5, width=30, heads=8)
    with pytest.raises(MauryError, match="at least one"):
        SetTransformer(5, width=32, heads=8, layers=0)
