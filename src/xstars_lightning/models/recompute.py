"""Activations that are computed again for the gradient instead of kept for it."""

from typing import Any

import torch
from timm.layers import Mlp
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

__all__ = ["linear_of_activation", "recompute_activations"]


def linear_of_activation(activation: nn.Module, linear: nn.Module, x: Tensor) -> Tensor:
    """``linear(activation(x))``, which keeps x alone for its gradient.

    The layer would keep what enters it as well, which in a transformer is a quarter of all that is kept;
    the activation costs next to nothing to compute again. Values and gradients are the same to the bit.
    There is no second derivative.

    Args:
        activation: Acts on each element by itself, without random numbers.
        linear: The layer that follows.
        x: Any tensor that the activation takes.

    Returns:
        What the layer gives.
    """
    activated, source = activation(x), x.detach()
    place = activated.data_ptr()  # the tensor itself would be kept by the hook

    def pack(kept: Tensor) -> Tensor | torch.Size:
        return kept.shape if kept.data_ptr() == place else kept

    def unpack(packed: Tensor | torch.Size) -> Tensor:
        found: Tensor = activation(source).view(packed) if isinstance(packed, torch.Size) else packed
        return found

    with saved_tensors_hooks(pack, unpack):
        out: Tensor = linear(activated)
    return out


class _LeanMlp(nn.Module):
    """A timm Mlp without dropout, its parameters under the same names."""

    def __init__(self, mlp: Mlp) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = mlp.fc1, mlp.act, mlp.fc2

    def forward(self, x: Tensor) -> Tensor:
        return linear_of_activation(self.act, self.fc2, self.fc1(x))


def recompute_activations(trunk: VisionTransformer) -> None:
    """Have the blocks of a transformer keep no activations of their perceptrons for the gradient.

    Perceptrons of another form, gated or with dropout, stay as they are. Not for a trunk with gradient
    checkpointing, which keeps less still, and would keep what is kept here besides.

    Args:
        trunk: A vision transformer of timm; changed in place, its state dict is not.
    """
    blocks: Any = trunk.blocks
    for block in blocks:
        if _is_plain(block.mlp):
            block.mlp = _LeanMlp(block.mlp)


def _is_plain(mlp: nn.Module) -> bool:
    if type(mlp) is not Mlp:
        return False
    return isinstance(mlp.norm, nn.Identity) and mlp.drop1.p == mlp.drop2.p == 0
