"""Time that training loses to its data: a trainer fed by the loader against one whose batch is at hand.

XStars in a Lightning trainer on the scenes of bench_reading.py: windows of 480 m, 320 and 48 pixels, drawn,
looked up, read and decoded by the workers of a CrossSensorDataModule, scaled and cropped on the device. The
other trainer gets one such batch over and over, all else equal: what it is faster is what the first one
waits for. On a GPU in bf16 with 16 workers; on a CPU with one, which has to share the cores with the
training. The first steps do not count, until what was read before the start is used up. Both in processes of
their own, in turn. Nothing here measures the disk: the files are in the page cache.

    python benchmarks/bench_loader.py
"""

import json
import sys
import tempfile
import time
import warnings
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
BACKBONE, BATCH, WORKERS, PRECISION = (
    ("vit_small_patch16_224", 128, 16, "bf16-mixed") if GPU else ("vit_tiny_patch16_224", 8, 1, "32-true")
)
ROUNDS = 3
QUEUE = 2 * WORKERS + 1  # batches that are read ahead, and one that is under way
STEPS = 100 if GPU else 8
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
    """Measures steps, the first ones excepted.

    Args:
        skipped: Number of those that do not count.
    """

    def __init__(self, skipped: int) -> None:
        self.skipped, self.steps, self.times = skipped, 0, [0.0, 0.0]

    def on_train_batch_end(self, *_: Any) -> None:
        """Begin with the last step that does not count."""
        self.steps += 1
        if self.steps == self.skipped:
            self.times[0] = self._now()

    def on_train_epoch_end(self, *_: Any) -> None:
        """End when the device has finished."""
        self.times[1] = self._now()

    @property
    def seconds(self) -> float:
        """Of one step."""
        return (self.times[1] - self.times[0]) / (self.steps - self.skipped)

    def _now(self) -> float:
        if GPU:
            torch.cuda.synchronize()
        return time.perf_counter()


def train(
    kind: type[CrossSensorDataModule], folder: str, clock: Clock, batch: int = BATCH, **model: Any
) -> None:
    """Take the steps, at the end of which the clock knows how long one takes.

    Args:
        kind: What gives the batches.
        folder: With the scenes.
        clock: Of this run.
        batch: Windows per step.
        **model: Options of XStars.
    """
    seed_everything(0, verbose=False)
    windows = batch * (clock.skipped + STEPS)
    paths = {name: f"{folder}/{name}" for name in SENSORS}
    data = kind(paths, dict(SENSORS), WINDOW, batch, WORKERS, windows, val_fraction=0)
    options: dict[str, Any] = {"precision": PRECISION, "callbacks": [clock], "gradient_clip_val": 3.0}
    options |= dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = Trainer(max_epochs=1, devices=1, use_distributed_sampler=False, **options)
    trainer.fit(XStars(dict(SENSORS), windows=windows, **{"backbone": BACKBONE} | SIZES | model), data)


WAYS = {"fed": CrossSensorDataModule, "at hand": AtHand}


def in_turn(folder: str) -> dict[str, float]:
    """Seconds of a step in both ways."""
    return {way: in_fresh_process(__file__, way, folder)["seconds"] for way in WAYS}


def main() -> None:
    """Print one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        found = [in_turn(folder) for _ in range(ROUNDS)]
    row = {
        "backbone": BACKBONE,
        "batch": BATCH,
        "workers": WORKERS,
        "precision": PRECISION,
        "goal": GOAL,
        "time lost to data": spread([1 - x["at hand"] / x["fed"] for x in found]),
    }
    if GPU:
        row["images per second"] = spread([2 * BATCH / x["fed"] for x in found])
    print(json.dumps({"benchmark": "Time lost to data", "rows": [row]}))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        warnings.filterwarnings("ignore")  # of scenes made up, and of few workers
        keep_blocks()
        clock = Clock(QUEUE)
        train(WAYS[sys.argv[1]], sys.argv[2], clock)
        print(json.dumps({"seconds": clock.seconds}))
