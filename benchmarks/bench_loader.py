"""Time that training loses to its data: a trainer fed by the loader against one whose batch is at hand.

XStars in a Lightning trainer on the scenes of bench_reading.py: windows of 480 m, 320 and 48 pixels, drawn,
looked up, read and decoded by the workers of a CrossSensorDataModule, scaled and cropped on the device. The
other trainer gets one such batch over and over, all else equal: what it is faster is what the first one
loses. On a GPU in bf16 with 16 workers; on a CPU with one, which has to share the cores with the training.
Steps do not count until the batches that were read before the first one are used up. How many batches the
loader alone gives in the time of a step at hand is told too: with less than one, a long run would lose more.
All in processes of their own, in turn. Nothing here measures the disk: the files are in the page cache.

    python benchmarks/bench_loader.py
"""

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from torch.utils.data import DataLoader

from bench_reading import COARSE, FINE, WINDOW, write_files
from measure import spread
from processes import in_fresh_process
from xstars_lightning.allocator import keep_blocks
from xstars_lightning.datamodules import CrossSensorDataModule
from xstars_lightning.tasks import XStars

GPU = torch.cuda.is_available()
BACKBONE, BATCH, PRECISION = (
    ("vit_small_patch16_224", 128, "bf16-mixed") if GPU else ("vit_tiny_patch16_224", 8, "32-true")
)
WORKERS = min(16, os.cpu_count() or 1) if GPU else 1
AHEAD = 2 * WORKERS + 1  # batches that are read ahead, and one that is under way
STEPS, ROUNDS = 100 if GPU else 16, 3
SENSORS = {"fine": FINE, "coarse": COARSE}
SIZES = {"image_size": {"fine": 224, "coarse": 48}, "local_size": {"fine": 96, "coarse": 32}}
GOAL = 0.05


class AtHand(CrossSensorDataModule):
    """The same data, of which one batch is read and given again and again."""

    def train_dataloader(self) -> Any:
        """As often as the loader would give batches."""
        loader = super().train_dataloader()
        batches = [next(iter(loader))] * len(loader)
        return DataLoader(batches, batch_size=None, pin_memory=GPU)


class Clock(Callback):
    """Measures steps of a trainer, the first ones excepted, and ends its run.

    Args:
        skipped: Number of those that do not count.
        steps: Number of those that do.
    """

    def __init__(self, skipped: int = AHEAD, steps: int = STEPS) -> None:
        self.skipped, self.steps, self.seconds = skipped, steps, 0.0

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Note the time of the last step that does not count, and of the last."""
        if trainer.global_step == self.skipped:
            self.seconds = -self._now()
        if trainer.global_step == self.skipped + self.steps:
            self.seconds += self._now()
            trainer.should_stop = True

    def _now(self) -> float:
        if GPU:
            torch.cuda.synchronize()
        return time.perf_counter()


def data(kind: type[CrossSensorDataModule], folder: str, batches: int = 2 * AHEAD + STEPS) -> Any:
    """The scenes; more batches than are measured, lest the last ones be read before."""
    paths = {name: f"{folder}/{name}" for name in SENSORS}
    return kind(paths, dict(SENSORS), WINDOW, BATCH, WORKERS, BATCH * batches, val_fraction=0)


def train(data: CrossSensorDataModule, clock: Clock, **model: Any) -> float:
    """Seconds that the steps of a clock take."""
    seed_everything(0, verbose=False)
    options: dict[str, Any] = {"precision": PRECISION, "callbacks": [clock], "gradient_clip_val": 3.0}
    options |= dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    options |= {"accelerator": "gpu" if GPU else "cpu", "devices": 1, "use_distributed_sampler": False}
    task = XStars(dict(SENSORS), data.windows_per_epoch, **{"backbone": BACKBONE} | SIZES | model)
    Trainer(max_epochs=1, **options).fit(task, data)
    return clock.seconds


def read(data: CrossSensorDataModule) -> float:
    """Seconds in which the loader alone gives as many batches."""
    data.setup("fit")
    batches = iter(data.train_dataloader())
    next(islice(batches, AHEAD - 1, None))
    start = time.perf_counter()
    next(islice(batches, STEPS - 1, None))
    return time.perf_counter() - start


WAYS: dict[str, Callable[[str], float]] = {
    "fed": lambda folder: train(data(CrossSensorDataModule, folder), Clock()),
    "at hand": lambda folder: train(data(AtHand, folder), Clock()),
    "loader": lambda folder: read(data(CrossSensorDataModule, folder)),
}


def in_turn(folder: str, turn: int) -> dict[str, float]:
    """Seconds of all ways, now one first and now the other."""
    ways = reversed(WAYS) if turn % 2 else WAYS
    return {way: in_fresh_process(__file__, way, folder)["seconds"] for way in ways}


def main() -> None:
    """Print one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        found = [in_turn(folder, turn) for turn in range(ROUNDS)]
    row = {
        "backbone": BACKBONE,
        "batch": BATCH,
        "workers": WORKERS,
        "precision": PRECISION,
        "goal": GOAL,
        "time lost to data": spread([1 - x["at hand"] / x["fed"] for x in found]),
        "batches of the loader in a step": spread([x["at hand"] / x["loader"] for x in found]),
    }
    if GPU:
        row["images per second"] = spread([2 * BATCH * STEPS / x["fed"] for x in found])
    print(json.dumps({"benchmark": "Time lost to data", "rows": [row]}))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        warnings.filterwarnings("ignore")  # of scenes made up, and of few workers
        keep_blocks()
        print(json.dumps({"seconds": WAYS[sys.argv[1]](sys.argv[2])}))
