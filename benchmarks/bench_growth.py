"""How time and memory of a training step grow, one chart; and what a second process brings.

Every point is a process of its own: ViT-Tiny, float32, 2 global crops and 2 local ones half as large, and
all but one of batch 8, crops of 112 pixels (50 tokens), 2 sensors and 4,096 prototypes. That one point, the
base, is on every axis; time and memory are ratios to it in the same round over the axis, of which there are
two. Memory is that of the step: its peak less what was there before the first one. The first two steps do
not count. The second process trains on as many windows again, others, gradients averaged by DDP over gloo,
each process with one thread; the efficiency is the time of one process over that of two.

    python benchmarks/bench_growth.py [figure]
"""

import json
import socket
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from measure import Spread, settled, spread
from ours import OurStep, batch
from processes import in_fresh_process, resident_mb, settled_mb
from xstars_lightning.allocator import keep_blocks
from xstars_lightning.sensors import CATALOGUE
from xstars_lightning.transforms import Views

STEPS, ROUNDS = 4, 2
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
    "side": (64, 96, 112, 160, 224),
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
    before = settled_mb()
    times = settled(lambda: step(views), STEPS)
    return {"seconds": statistics.median(times), "MB": resident_mb()[1] - before}


def _prepare(size: Size, rank: int = 0) -> tuple[OurStep, dict[str, Views]]:
    torch.manual_seed(0)
    sensors = {f"sensor{n}": CATALOGUE["aerial_rgb"] for n in range(size.sensors)}
    sides = {"image_size": size.side, "local_size": size.side // 32 * 16, "local_crops": 2}
    step = OurStep("vit_tiny_patch16_224", sensors, size.prototypes, **sides)
    torch.manual_seed(rank)
    return step, step.task.views(batch(sensors, size.batch, seed=rank))


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
    step, views = _prepare(Size(), rank)
    module = DistributedDataParallel(_Loss(step.task))

    def train() -> None:
        step.optimizer.zero_grad(set_to_none=True)
        module(views).backward()
        nn.utils.clip_grad_norm_(step.task.parameters(), 3.0)
        step.optimizer.step()
        step.task.move_teacher(0.996)

    times = settled(train, STEPS)
    torch.distributed.destroy_process_group()
    return {"times": times}


def together(processes: int) -> list[float]:
    """Seconds of steps that several processes take together."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    commands = [[sys.executable, __file__, str(rank), str(processes), port] for rank in range(processes)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"Of {processes} processes some ended with an error, which stands above.")
    return json.loads(outputs[0].splitlines()[-1])["times"]


def shown(axis: str, values: Sequence[int]) -> list[int]:
    """Values as they are shown: tokens in place of pixels."""
    return [(value // 16) ** 2 if axis == "side" else value for value in values]


def grow(axis: str) -> list[dict[str, Any]]:
    """A row for every point of an axis: its time and memory, as ratios to those of the base in each round."""
    values = AXES[axis]
    sizes = [replace(Size(), **{axis: value}) for value in values]
    rounds = [
        [in_fresh_process(__file__, *map(str, vars(size).values())) for size in sizes] for _ in range(ROUNDS)
    ]
    base = values.index(getattr(Size(), axis))

    def ratio(point: int, key: str) -> Spread:
        return spread([points[point][key] / points[base][key] for points in rounds])

    return [
        {"axis": LABELS[axis], "value": value, "time": ratio(point, "seconds"), "memory": ratio(point, "MB")}
        for point, value in enumerate(shown(axis, values))
    ]


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Time and memory, a panel for each axis."""
    figure = Figure(figsize=(14, 3.4), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, len(LABELS)), LABELS.items(), strict=True):
        points = [row for row in rows if row["axis"] == label]
        for key, style in (("time", "o-"), ("memory", "s--")):
            axes.plot([x["value"] for x in points], [x[key]["median"] for x in points], style, label=key)
        axes.axhline(1, color="0.8", zorder=0)
        axes.set(xlabel=label, ylim=(0, None))
        if name == "prototypes":
            axes.set_xscale("log", base=2)
    figure.axes[0].set_ylabel("of the base")
    figure.axes[0].legend()
    figure.suptitle("Growth of a training step; the base is batch 8, 49 tokens, 2 sensors, 4,096 prototypes")
    figure.savefig(path, dpi=110)


def main(figure: Path = FIGURE) -> None:
    """Print one JSON object, write the chart."""
    rows = []
    for axis in AXES:
        rows += grow(axis)
        print(axis, rows[-len(AXES[axis]) :], flush=True)
    plot(rows, figure)
    one, two = together(1), together(2)
    processes = {"processes": 2, "efficiency": spread([a / b for a, b in zip(one, two, strict=True)])}
    print(json.dumps({"benchmark": "Growth", "rows": rows, "processes": [processes]}))


if __name__ == "__main__":
    if len(sys.argv) <= 2:
        main(*map(Path, sys.argv[1:]))
    else:
        keep_blocks()
        numbers = [int(argument) for argument in sys.argv[1:]]
        print(json.dumps(one_of(*numbers) if len(numbers) == 3 else measure(Size(*numbers))))
