"""The same values and gradients from fewer kept tensors."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from xstars_lightning.models.recompute import linear_of_gelu, recompute_activations

PRECISIONS = pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])


@pytest.fixture
def trunk():
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=2, dynamic_img_size=True)


def gradients(trunk, precision=torch.float32):
    trunk.zero_grad()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", precision, enabled=precision is not torch.float32):
        tokens = trunk.forward_features(images)
    tokens.float().square().sum().backward()
    return {"tokens": tokens, **{name: x.grad.clone() for name, x in trunk.named_parameters()}}


@PRECISIONS
@pytest.mark.parametrize("checkpointed", [False, True])
def test_values_and_gradients_are_the_same_to_the_bit(trunk, precision, checkpointed):
    lean = copy.deepcopy(trunk)
    recompute_activations(lean)
    lean.set_grad_checkpointing(checkpointed)
    assert type(lean.blocks[0].mlp) is not type(trunk.blocks[0].mlp)
    expected, found = gradients(trunk, precision), gradients(lean, precision)
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 8), (0, 8)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("frozen", ["", "x", "weight"])
def test_any_shape_with_and_without_bias_and_frozen_parts(shape, bias, frozen, approximate):
    results = []
    for way in (linear_of_gelu, lambda activation, linear, x: linear(activation(x))):
        torch.manual_seed(0)
        layer = nn.Linear(8, 3, bias=bias)
        layer.weight.requires_grad_(frozen != "weight")
        x = torch.randn(shape).requires_grad_(frozen != "x")
        out = way(nn.GELU(approximate), layer, x)
        (out.square().sum() + layer.weight.sum() + x.sum()).backward()
        results.append([out, x.grad, layer.weight.grad, None if layer.bias is None else layer.bias.grad])
    for one, other in zip(*results, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)


def test_on_the_meta_device():
    x, layer = torch.empty(2, 3, 8, device="meta", requires_grad=True), nn.Linear(8, 3, device="meta")
    linear_of_gelu(nn.GELU(), layer, x).sum().backward()
    assert x.grad.shape == x.shape
    assert layer.weight.grad.shape == layer.weight.shape


def test_its_operations_can_be_counted(trunk):
    """Lightning's ``measure_flops`` does it so; gradients within gradients break it."""

    def operations():
        with FlopCounterMode(display=False) as counter:
            trunk(torch.randn(1, 3, 32, 32)).sum().backward()
        return counter.get_total_flops()

    before = operations()
    recompute_activations(trunk)
    assert operations() == before > 0


def test_a_weight_that_changes_before_the_gradient_is_an_error():
    x, layer = torch.randn(2, 8, requires_grad=True), nn.Linear(8, 3)
    out = linear_of_gelu(nn.GELU(), layer, x).sum()
    with torch.no_grad():
        layer.weight.mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        out.backward()


def test_the_state_dict_stays(trunk):
    before = trunk.state_dict()
    recompute_activations(trunk)
    assert trunk.state_dict().keys() == before.keys()


def test_other_perceptrons_stay(trunk):
    dropout, rectified = (block.mlp for block in trunk.blocks)
    dropout.drop1.p = 0.1
    rectified.act = nn.ReLU()
    recompute_activations(trunk)
    assert [block.mlp for block in trunk.blocks] == [dropout, rectified]


def bytes_kept(trunk):
    """Bytes kept for the gradient, without parameters; and what came out."""
    kept, parameters = {}, {x.untyped_storage().data_ptr() for x in trunk.parameters()}

    def note(x):
        storage = x.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with saved_tensors_hooks(note, lambda x: x):
        out = trunk.blocks(torch.randn(4, 65, 192))
    return sum(kept.values()), out


def test_a_trunk_keeps_a_quarter_less(trunk):
    before, _ = bytes_kept(trunk)
    recompute_activations(trunk)
    after, _ = bytes_kept(trunk)
    assert 0.7 < after / before < 0.8


def test_checkpointed_perceptrons_keep_nothing_else():
    """What a checkpoint around it keeps is what enters the checkpoint."""
    layer, seen = nn.Linear(8, 3), []
    x = torch.randn(2, 4, requires_grad=True)
    widen = nn.Linear(4, 8)

    def part(x):
        entered = widen(x)
        seen.append(torch.multiprocessing.reductions.StorageWeakRef(entered.untyped_storage()))
        return linear_of_gelu(nn.GELU(), layer, entered)

    out = checkpoint(part, x, use_reentrant=False)
    assert seen[0].expired()
    out.sum().backward()
    assert x.grad is not None
