"""The peers compute what ours does, in the way that they stand for."""

import copy
import math

import pytest
import torch

from peers.plain_encoder import PlainEncoder
from peers.release_alignment import ReleaseAlignment
from peers.torchgeo_step import TorchGeoStep
from peers.torchvision_views import TorchvisionViews
from xstars_lightning.models import CrossSensorEncoder
from xstars_lightning.sensors import CATALOGUE

BACKBONE = "vit_tiny_patch16_224"
SENSORS = {name: CATALOGUE[f"{name}_rgb"] for name in ("aerial", "sentinel2")}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def gradients(module, tokens, loss):
    return torch.autograd.grad(loss, [*module.parameters(), *tokens])


def test_alignment_token_by_token_is_our_published_loss_in_value_and_gradient():
    peer = ReleaseAlignment(12, width=16)
    # Two looks at the same windows, as heads of the release's width confuse none of unrelated ones.
    window = torch.randn(5, 7, 12)
    tokens = [(window + 0.3 * torch.randn(5, 7, 12)).requires_grad_() for _ in range(2)]
    loop, batched = peer(*tokens), peer.batched(*tokens)
    torch.testing.assert_close(loop, batched)
    assert loop > 1e-2
    pairs = list(zip(gradients(peer, tokens, loop), gradients(peer, tokens, batched), strict=True))
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert all(a.any() for a, _ in pairs)


def test_alignment_distinguishes_the_two_sensors():
    peer = ReleaseAlignment(12, width=16)
    first, second = torch.randn(2, 5, 7, 12)
    assert not torch.isclose(peer(first, second), peer(second, first))
    assert not torch.isclose(peer(first, second), peer(first[:, 1:], second[:, 1:]))


def test_alignment_drops_out_if_asked():
    peer = ReleaseAlignment(12, width=16, dropout=0.2)
    first, second = torch.randn(2, 5, 7, 12)
    assert not torch.equal(peer(first, second), peer(first, second))


@pytest.mark.parametrize("side", [32, 224])
def test_plain_encoder_gives_the_tokens_of_ours(side):
    ours, plain = CrossSensorEncoder(SENSORS, BACKBONE), PlainEncoder(BACKBONE)
    plain.load(ours)
    image = torch.rand(2, 3, side, side)
    for name in SENSORS:
        tokens = plain(ours.standardize[name](image))
        assert tokens.shape == (2, 1 + (side // 16) ** 2, 192)
        torch.testing.assert_close(tokens, ours(image, name), rtol=1e-4, atol=1e-4)


def test_plain_encoder_holds_the_attention_of_all_pairs_in_every_block():
    plain, held = PlainEncoder(BACKBONE), []
    for block in plain.vit.blocks:
        block.attn.attn_drop.register_forward_hook(lambda module, inputs, output: held.append(inputs[0]))
    plain(torch.randn(2, 3, 32, 32))
    assert [x.shape for x in held] == [(2, 3, 5, 5)] * 12
    torch.testing.assert_close(held[0].sum(-1), torch.ones(2, 3, 5))


def test_plain_encoder_refuses_an_encoder_with_several_stems():
    ours = CrossSensorEncoder(SENSORS | {"naip": CATALOGUE["naip_rgbn"]}, BACKBONE)
    with pytest.raises(ValueError, match="this one has 2"):
        PlainEncoder(BACKBONE).load(ours)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_torchvision_views_are_view_major_and_within_bounds(dtype):
    images = torch.rand(3, 3, 40, 56)
    images[1] = 0  # black stays black whatever the jitter
    far, near = TorchvisionViews(32, 16, 4, dtype)(images)
    assert (far.shape, near.shape) == ((6, 3, 32, 32), (12, 3, 16, 16))
    for views in (far, near):
        assert views.dtype == torch.float32
        assert 0 <= views.min() < views.max() <= 1
        black = views.flatten(1).amax(1) == 0
        assert black.tolist() == [False, True, False] * (len(views) // 3)
    assert not torch.equal(far[0], far[3])


def test_torchvision_views_take_uint8_and_may_have_no_local_crops():
    images = torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8)
    far, near = TorchvisionViews(32, 16, 0, torch.uint8)(images)
    assert (far.shape, near.shape) == ((4, 3, 32, 32), (0, 3, 16, 16))
    assert 0.2 < far.mean() < 0.8


def test_torchgeo_step_trains_the_student_alone():
    peer = TorchGeoStep("test_vit", lr=1e-3)
    images = torch.randn(4, 6, 160, 160)
    before = copy.deepcopy(peer.task.state_dict())
    losses = [peer.step(images) for _ in range(5)]
    assert all(map(math.isfinite, losses))
    assert min(losses[1:]) < losses[0]
    gradients = {name: x.grad for name, x in peer.task.named_parameters()}
    assert all((grad is None) == ("momentum" in name) for name, grad in gradients.items())
    after = peer.task.state_dict()
    assert [name for name in gradients if torch.equal(before[name], after[name])] == []


def test_torchgeo_step_takes_one_image_for_two_views():
    peer, (first, second) = TorchGeoStep("test_vit").eval(), torch.randn(2, 3, 3, 160, 160)
    for name in ("backbone", "projection_head"):  # else the teacher moves from one loss to the next
        student, teacher = (getattr(peer.task, name + kind) for kind in ("", "_momentum"))
        teacher.load_state_dict(student.state_dict())
    one = peer.loss(first)
    torch.testing.assert_close(one, peer.loss(torch.cat([first, first], dim=1)))
    assert not torch.isclose(one, peer.loss(torch.cat([first, second], dim=1)))
