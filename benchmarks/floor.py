"""How fast a computation could be: its operations as a bare product, its bytes as a bare copy."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

ROUNDS = 5


@dataclass(frozen=True)
class Floor:
    """What a computation must do, and how fast this machine can do it.

    Args:
        operations: Floating-point operations of matrix products, convolutions and attention, of both
            passes.
        bytes: Those kept for the gradient, which are written once and read once.
        product: Operations per second of a bare matrix product.
        copy: Bytes per second, read and written, of a bare copy.
        state: Bytes of parameters, gradients and whatever else is written and read once in a step. With
            ``bytes`` a lower bound of what must move.
    """

    operations: float
    bytes: float
    product: float
    copy: float
    state: float = 0.0

    def share_of(self, seconds: float) -> dict[str, float]:
        """Operations, bytes, and the shares of the two floors in the time that was measured."""
        moved = self.bytes + self.state
        return {
            "GFLOP": round(self.operations / 1e9, 1),
            "GB written and read": round(moved / 1e9, 2),
            "share of the product's rate": round(self.operations / self.product / seconds, 2),
            "share of the copy's rate": round(2 * moved / self.copy / seconds, 2),
        }


def floor_of(step: Callable[[], Any], product: float, copy: float, state: float = 0.0) -> Floor:
    """Count what a step with forward and backward pass does; the rest as of :class:`Floor`."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return Floor(counter.get_total_flops(), sum(kept.values()), product, copy, state)


def bare_product(
    rows: int = 6304, width: int = 384, device: str = "cpu", precision: torch.dtype = torch.float32
) -> float:
    """Operations per second of the product of a transformer's second layer."""
    a, b = (
        torch.randn(shape, dtype=precision, device=device) for shape in ((rows, width), (width, 4 * width))
    )
    out = torch.empty(rows, 4 * width, dtype=precision, device=device)
    return 2 * rows * width * 4 * width / fastest(lambda: torch.mm(a, b, out=out))


def bare_copy(megabytes: int = 256, device: str = "cpu") -> float:
    """Bytes per second, read and written, of a copy from memory to memory."""
    source = torch.ones(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / fastest(lambda: target.copy_(source))


def fastest(work: Callable[[], Any]) -> float:
    """Seconds until the device has finished, in the best of some rounds."""
    times = []
    for _ in range(ROUNDS + 1):  # the first may have to load kernels
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)
