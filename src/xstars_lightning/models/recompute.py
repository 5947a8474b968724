"""Activations that are computed again for the gradient instead of kept for it."""

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["linear_of_activation", "recompute_activations"]


class _LinearOfActivation(torch.autograd.Function):
    """Keeps what enters the activation, and not what leaves it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, activation: nn.Module) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.activation = activation
        return F.linear(activation(x), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        to_x = to_weight = None
        with torch.enable_grad():
            source = x.detach().requires_grad_(wants_x)
            activated = ctx.activation(source)
        if wants_weight:
            entered = activated.detach().flatten(0, -2).to(gradient.dtype)  # as autocast had it
            to_weight = (entered.T @ rows).T.to(weight.dtype)
        if wants_x:
            entering = (rows @ weight.to(gradient.dtype)).view_as(activated).to(activated.dtype)
            (to_x,) = torch.autograd.grad(activated, source, entering)
        return to_x, to_weight, rows.sum(0).to(weight.dtype) if wants_bias else None, None


def linear_of_activation(activation: nn.Module, linear: Any, x: Tensor) -> Tensor:
    """``linear(activation(x))``, which keeps x alone for its gradient.

    The layer would keep what enters it as well, which in a transformer is a quarter of all that is kept;
    the activation costs little to compute again (docs/benchmarks.md). There is no second derivative.

    Args:
        activation: Acts on each element by itself, without parameters, random numbers or changes in place,
            and keeps what enters it for its gradient, as GELU does.
        linear: The linear layer that follows; its hooks are not called.
        x: Tensor (..., D) of two dimensions or more.

    Returns:
        What the layer gives.
    """
    out: Tensor = _LinearOfActivation.apply(x, linear.weight, linear.bias, activation)
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

    Perceptrons of another form (gated, with dropout, with another activation than GELU) stay as they are.

    Args:
        trunk: A vision transformer of timm; changed in place, its state dict is not.
    """
    blocks: Any = trunk.blocks
    for block in blocks:
        if _is_plain(block.mlp):
            block.mlp = _LeanMlp(block.mlp)


def _is_plain(mlp: nn.Module) -> bool:
    if type(mlp) is not Mlp or mlp.drop1.p or mlp.drop2.p:
        return False
    layers = (mlp.act, mlp.norm, mlp.fc2)
    return all(
        type(layer) is kind for layer, kind in zip(layers, (nn.GELU, nn.Identity, nn.Linear), strict=True)
    )
