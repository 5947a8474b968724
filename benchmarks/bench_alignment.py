"""The alignment loss in batched products against the way of the X-STARS release, a loop over patches.

Both compute the corrected loss with one shared head, forward and backward. Times are taken in turn
and reported as a ratio; the losses are printed to show that the same function is computed.

    python benchmarks/bench_alignment.py
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from xstars_lightning.losses import MSADLoss
from xstars_lightning.models import AlignmentHead

WINDOWS, PLACES, DIM, ROUNDS = 32, 196, 192, 7


def loop(head: AlignmentHead, a: Tensor, b: Tensor) -> Tensor:
    """One place after the other, head included, as the release does it."""
    losses = []
    target = torch.arange(len(a))
    for place in range(a.shape[1]):
        x, y = (F.normalize(head(tokens[:, place]), dim=-1) for tokens in (a, b))
        logits = x @ y.T / 0.1
        losses.append((F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2)
    return torch.stack(losses).mean()


def batched(head: AlignmentHead, a: Tensor, b: Tensor) -> Tensor:
    """Ours."""
    return MSADLoss()(head(a), head(b))


def timed(step: Callable[[], Tensor]) -> tuple[float, float]:
    """Seconds of a forward and backward pass, and the loss."""
    start = time.perf_counter()
    loss = step()
    loss.backward()
    return time.perf_counter() - start, float(loss.detach())


def main() -> None:
    """Print one JSON object."""
    torch.manual_seed(0)
    head = AlignmentHead(DIM)
    a, b = (torch.randn(WINDOWS, PLACES, DIM, requires_grad=True) for _ in range(2))
    ways = {"loop": lambda: loop(head, a, b), "batched": lambda: batched(head, a, b)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    losses = {}
    for turn in range(ROUNDS + 1):
        for name, step in ways.items():
            seconds, losses[name] = timed(step)
            if turn:  # the first round warms up
                times[name].append(seconds)
    ratios = [slow / fast for slow, fast in zip(times["loop"], times["batched"], strict=True)]
    result = {
        "benchmark": "alignment, forward and backward",
        "shape": {"windows": WINDOWS, "places": PLACES, "dim": DIM},
        "peer": "loop over patches",
        "speedup_median": round(statistics.median(ratios), 2),
        "speedup_min": round(min(ratios), 2),
        "speedup_max": round(max(ratios), 2),
        "losses": losses,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
