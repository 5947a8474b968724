"""Activations that are computed again for the gradient instead of kept for it."""

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["linear_of_gelu", "recompute_activations"]


class _LinearOfGELU(torch.autograd.Function):
    """Keeps what enters the GELU, and not what leaves it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, approximate: str) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.approximate = approximate
        return F.linear(F.gelu(x, approximate=approximate), weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        to_x = to_weight = None
        if wants_weight:
            activated = F.gelu(x, approximate=ctx.approximate).flatten(0, -2)
            to_weight = (activated.to(rows.dtype).T @ rows).T.to(weight.dtype)  # as autocast had it
        if wants_x:
            entering = (rows @ weight.to(rows.dtype)).view_as(x).to(x.dtype)
            to_x = torch.ops.aten.gelu_backward(entering, x, approximate=ctx.approximate)
        return to_x, to_weight, rows.sum(0).to(weight.dtype) if wants_bias else None, None


def linear_of_gelu(gelu: Any, linear: Any, x: Tensor) -> Tensor:
    """``linear(gelu(x))``, which keeps x alone for its gradient.

    The layer would keep what enters it as well, which in a transformer is a quarter of all that is kept;
    GELU costs little to compute again (docs/benchmarks.md). There is no second derivative.

    Args:
        gelu: A ``torch.nn.GELU``.
        linear: The ``torch.nn.Linear`` that follows; hooks of neither are called.
        x: Tensor (..., D) of two dimensions or more.

    Returns:
        What the layer gives.
    """
    out: Tensor = _LinearOfGELU.apply(x, linear.weight, linear.bias, gelu.approximate)
    return out


class _LeanMlp(nn.Module):
    """A timm Mlp without dropout, its parameters under the same names."""

    def __init__(self, mlp: Mlp) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = mlp.fc1, mlp.act, mlp.fc2

    def forward(self, x: Tensor) -> Tensor:
        return linear_of_gelu(self.act, self.fc2, self.fc1(x))


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
