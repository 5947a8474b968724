"""How time and memory of a training step grow, one chart; and what a second process brings.

Every point is a process of its own: ViT-Tiny, float32, 2 global crops and 2 local ones half as large, and
all but one of batch 8, crops of 112 pixels (50 tokens), 2 sensors and 4,096 prototypes. Memory is that of
the step: its peak less what was there before the first one. The second process trains on as many windows
again, gradients averaged by DDP over gloo, each process with one thread.

    python benchmarks/bench_growth.py [figure]
"""

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from measure import machine, spread
from ours import OurStep, batch
from processes import in_fresh_process, resident_mb
from xstars_lightning.allocator import keep_blocks
from xstars_lightning.sensors import CATALOGUE
from xstars_lightning.transforms import Views

STEPS = 5
FIGURE = Path(__file__).parents[1] / "docs" / "growth.png"


@dataclass(frozen=True)
class Size:
    """Of a step.

    Args:
        batch: Windows of each sensor.
        side: Of global crops, in pixels.
        sensors: Number of sensors.
        prototypes: Outputs of DINO's head.
    """

    batch: int = 8
    side: int = 112
    sensors: int = 2
    prototypes: int = 4096


AXES: dict[str, tuple[int, ...]] = {
    "batch": (2, 4, 8, 16, 32),
    "side": (64, 96, 128, 160, 224),
    "sensors": (1, 2, 3, 4),
    "prototypes": (1024, 4096, 16384, 65536),
}
LABELS = {
    "batch": "windows in a batch",
    "side": "tokens of a global crop",
    "sensors": "sensors",
    "prototypes": "prototypes",
}


def measure(size: Size) -> dict[str, float]:
    """Seconds of a step, the median, and MB."""
    step, views = _prepare(size)
    before, _ = resident_mb()
    times = _times(lambda: step(views))
    return {"seconds": statistics.median(times), "MB": resident_mb()[1] - before}


def _prepare(size: Size) -> tuple[OurStep, dict[str, Views]]:
    torch.manual_seed(0)
    sensors = {f"sensor{n}": CATALOGUE["aerial_rgb"] for n in range(size.sensors)}
    sides = {"image_size": size.side, "local_size": size.side // 32 * 16, "local_crops": 2}
    step = OurStep("vit_tiny_patch16_224", sensors, size.prototypes, **sides)
    return step, step.task.views(batch(sensors, size.batch))


def _times(step: Callable[[], Any]) -> list[float]:
    times = []
    for turn in range(STEPS + 1):
        start = time.perf_counter()
        step()
        if turn:
            times.append(time.perf_counter() - start)
    return times


class _Loss(nn.Module):
    """What DDP wraps: views -> loss."""

    def __init__(self, task: Any) -> None:
        super().__init__()
        self.task = task

    def forward(self, views: Mapping[str, Views]) -> Tensor:
        loss: Tensor = self.task.losses(views)["train_loss"]
        return loss


def one_of(rank: int, processes: int, port: int) -> dict[str, Any]:
    """Seconds of steps of one of several processes with one thread."""
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", address, rank=rank, world_size=processes)
    step, views = _prepare(Size())
    module = DistributedDataParallel(_Loss(step.task))

    def train() -> None:
        step.optimizer.zero_grad(set_to_none=True)
        module(views).backward()
        nn.utils.clip_grad_norm_(step.task.parameters(), 3.0)
        step.optimizer.step()
        step.task.move_teacher(0.996)

    times = _times(train)
    torch.distributed.destroy_process_group()
    return {"times": times}


def together(processes: int) -> list[float]:
    """Seconds of steps that several processes take together."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    commands = [[sys.executable, __file__, str(rank), str(processes), port] for rank in range(processes)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    outputs = [process.communicate()[0] for process in running]
    return json.loads(outputs[0].splitlines()[-1])["times"]


def shown(axis: str, values: Sequence[int]) -> list[int]:
    """Values as they are shown: tokens in place of pixels."""
    return [(value // 16) ** 2 if axis == "side" else value for value in values]


def plot(points: Mapping[str, list[dict[str, float]]], path: Path) -> None:
    """Time and memory, a panel for each axis."""
    figure = Figure(figsize=(14, 3.4), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(1, len(AXES)), AXES.items(), strict=True):
        values = shown(name, values)
        axes.plot(values, [point["seconds"] for point in points[name]], "o-", color="tab:blue")
        axes.set(xlabel=LABELS[name], ylim=(0, None))
        axes.set_ylabel("seconds per step", color="tab:blue")
        memory = axes.twinx()
        memory.plot(values, [point["MB"] / 1000 for point in points[name]], "s--", color="tab:orange")
        memory.set_ylim(0, None)
        memory.set_ylabel("GB for the step", color="tab:orange")
        if name == "prototypes":
            axes.set_xscale("log", base=2)
    figure.suptitle("Growth of a training step: ViT-Tiny, batch 8, 112 pixels, 2 sensors, 4,096 prototypes")
    figure.savefig(path, dpi=110)


def main(figure: Path = FIGURE) -> None:
    """Print one JSON object, write the chart."""
    points = {}
    for axis, values in AXES.items():
        sizes = [replace(Size(), **{axis: value}) for value in values]
        points[axis] = [in_fresh_process(__file__, *(str(x) for x in vars(size).values())) for size in sizes]
        print(axis, points[axis], flush=True)
    plot(points, figure)
    one, two = together(1), together(2)
    rows = [
        {"axis": LABELS[axis], "value": value, "seconds": round(p["seconds"], 3), "MB": round(p["MB"])}
        for axis, values in AXES.items()
        for value, p in zip(shown(axis, values), points[axis], strict=True)
    ]
    processes = {
        "1 process, seconds": spread(one),
        "2 processes, seconds": spread(two),
        "efficiency": round(statistics.median(one) / statistics.median(two), 2),
    }
    result = {"benchmark": "Growth", "machine": machine(), "rows": rows, "processes": [processes]}
    print(json.dumps(result))


if __name__ == "__main__":
    if len(sys.argv) <= 2:
        main(*map(Path, sys.argv[1:]))
    else:
        keep_blocks()
        numbers = [int(argument) for argument in sys.argv[1:]]
        print(json.dumps(one_of(*numbers) if len(numbers) == 3 else measure(Size(*numbers))))
