"""What the release does after the gradients of a step, tensor by tensor."""

from collections.abc import Iterable

import torch
from torch import nn

__all__ = ["clip_each", "follow", "two_groups"]


def two_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Groups for AdamW of what trains: matrices, and biases and norms, which do not decay."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [x for x in trained if x.ndim > 1], "weight_decay": weight_decay},
        {"params": [x for x in trained if x.ndim <= 1], "weight_decay": 0.0},
    ]


def clip_each(parameters: Iterable[nn.Parameter], largest: float = 3.0) -> None:
    """Bring the gradient of every parameter to a norm of at most ``largest``, each by itself."""
    for parameter in parameters:
        if parameter.grad is not None:
            scale = largest / (parameter.grad.norm() + 1e-6)
            if scale < 1:
                parameter.grad.mul_(scale)


@torch.no_grad()
def follow(student: nn.Module, teacher: nn.Module, momentum: float) -> None:
    """Move every parameter of the teacher by ``1 - momentum`` towards the student's."""
    for new, old in zip(student.parameters(), teacher.parameters(), strict=True):
        old.mul_(momentum).add_((1 - momentum) * new)
