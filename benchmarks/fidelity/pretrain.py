"""Training one row of the study."""

import time
from typing import Any

import lightning.pytorch as pl
import torch

from fidelity.budget import Budget
from fidelity.ground import Ground
from fidelity.rows import Row
from xstars_lightning.tasks import XStars

__all__ = ["pretrain"]


class _Ratio(pl.Callback):
    """Keeps DINO's loss over log K."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note the value of the step."""
        self.values.append(float(trainer.callback_metrics["train_dino_ratio"]))


def pretrain(
    row: Row, ground: Ground, seed: int, budget: Budget, weights: str | None = None
) -> tuple[XStars, dict[str, float]]:
    """Train a row.

    Args:
        row: What to train.
        ground: Windows; the same ones in the same order for all rows and seeds.
        seed: Of initialisation and augmentation.
        budget: The cost.
        weights: What to start from.

    Returns:
        The task; and the mean ratio of DINO's loss to log K over the last tenth of the steps, the
        seconds of training, and on a GPU the largest memory in GiB.
    """
    pl.seed_everything(seed, verbose=False)
    sensors = {name: ground.sensors[name] for name in row.sensors}
    task = row.task(sensors=sensors, weights=weights, **(budget.options() | row.options))
    if not row.trained:
        return task, {}
    ratio, start, gpu = _Ratio(), time.time(), torch.cuda.is_available()
    _trainer(budget, ratio, gpu).fit(task, ground.data)
    last = ratio.values[-max(1, budget.steps // 10) :]
    metrics = {"dino_ratio": sum(last) / len(last), "seconds": time.time() - start}
    return task, metrics | ({"gpu_gib": torch.cuda.max_memory_allocated() / 2**30} if gpu else {})


def _trainer(budget: Budget, ratio: _Ratio, gpu: bool) -> pl.Trainer:
    return pl.Trainer(
        max_steps=budget.steps,
        devices=1,
        precision="bf16-mixed" if gpu else "32-true",
        callbacks=[ratio],
        gradient_clip_val=3.0,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
