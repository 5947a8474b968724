"""What a run does when it is told to leave."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

__all__ = ["Preemption"]


class Preemption(pl.Callback):
    """Saves and leaves on SIGTERM and, on SLURM, on the signal before the time is up, which also requeues.

    Lightning acts in mid-step, when the student may have moved and the teacher not, and in each process
    when its signal comes: they then wait for each other at different places. Here all end the step first.
    Several processes ask each other every ``log_every_n_steps`` steps only, when they wait for the device
    anyway.
    """

    _caught = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace the handlers that Lightning has set; it takes ours away with its own."""
        for number in signal.Signals:
            if number.name in ("SIGTERM", "SIGUSR1", "SIGUSR2") and callable(signal.getsignal(number)):
                signal.signal(number, lambda caught, _: setattr(self, "_caught", caught))

    on_sanity_check_start = on_train_start

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Leave between steps; the last one of an epoch has its validation first."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 and not trainer.is_last_batch
        asked = trainer.world_size == 1 or trainer.global_step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        if stepped and asked:
            self.on_train_epoch_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave, if any process was asked to, with the file from which Lightning goes on after a requeue."""
        if trainer.world_size > 1:
            caught = torch.tensor(self._caught, device=trainer.strategy.root_device)
            self._caught = int(trainer.strategy.reduce(caught, reduce_op="max"))
        if not self._caught:
            return
        unfinished = Path(trainer.default_root_dir, "unfinished.ckpt")
        trainer.save_checkpoint(unfinished)
        if trainer.is_global_zero:
            unfinished.replace(unfinished.with_name(f"hpc_ckpt_{trainer.global_step}.ckpt"))
            if self._caught != signal.SIGTERM:
                array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
                job = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
                subprocess.run(["scontrol", "requeue", job], check=True)
        raise SIGTERMException(128 + self._caught)
