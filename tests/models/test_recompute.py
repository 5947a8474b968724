"""The same values and gradients from fewer kept tensors."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from xstars_lightning.models.recompute import linear_of_activation, recompute_activations


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


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_values_and_gradients_are_the_same_to_the_bit(trunk, precision):
    lean = copy.deepcopy(trunk)
    recompute_activations(lean)
    assert type(lean.blocks[0].mlp) is not type(trunk.blocks[0].mlp)
    expected, found = gradients(trunk, precision), gradients(lean, precision)
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_state_dict_stays(trunk):
    before = trunk.state_dict()
    recompute_activations(trunk)
    assert trunk.state_dict().keys() == before.keys()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_enters_the_layer_is_freed_at_once(precision):
    """Freed although the output is alive; the layer alone would hold it."""
    freed = []

    class Watched(nn.GELU):
        def forward(self, x):
            out = super().forward(x)
            freed.append(StorageWatch(out))
            return out

    x = torch.randn(4, 8, dtype=precision, requires_grad=True)
    layer, activation = nn.Linear(8, 3).to(precision), Watched()
    out = linear_of_activation(activation, layer, x)
    assert freed[0].dead
    kept = layer(activation(x))
    assert not freed[1].dead
    assert torch.equal(out, kept)


class StorageWatch:
    """Whether the memory of a tensor was given back."""

    def __init__(self, tensor):
        self.reference = torch.multiprocessing.reductions.StorageWeakRef(tensor.untyped_storage())

    @property
    def dead(self):
        return self.reference.expired()


def test_gated_perceptrons_and_those_with_dropout_stay(trunk):
    trunk.blocks[0].mlp.drop1.p = 0.1
    trunk.blocks[1].mlp = nn.Linear(192, 192)
    recompute_activations(trunk)
    assert isinstance(trunk.blocks[0].mlp.drop1, nn.Dropout)
    assert isinstance(trunk.blocks[1].mlp, nn.Linear)


def test_a_trunk_keeps_a_quarter_less(trunk):
    def kept():
        seen = {}
        names = {x.data_ptr() for x in trunk.parameters()}

        def note(x):
            if x.data_ptr() not in names:
                seen[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with saved_tensors_hooks(note, lambda x: x):
            out = trunk.blocks(torch.randn(4, 65, 192))
        return sum(seen.values()), out

    before, _ = kept()
    recompute_activations(trunk)
    after, _ = kept()
    assert 0.7 < after / before < 0.8
