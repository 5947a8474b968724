"""What a run does when it is told to leave."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.exceptions import SIGTERMException

__all__ = ["Preemption"]


class Preemption(Checkpoint):
    """Saves and leaves on SIGTERM and, on SLURM, on the signal before the time is up, which also requeues.

    Lightning acts in mid-step, when the student may have moved and the teacher not, and in each process
    when its signal comes: they then wait for each other at different places. Here all end the step first,
    a validation that is due too, and what other checkpoint callbacks make of it: a run that goes on would
    leave it out. Several processes ask each other every ``log_every_n_steps`` steps only, when they wait
    for the device anyway.

    Is a checkpoint callback itself, since those come last; list it after the others.
    """

    _caught = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Forget the signals of a fit before."""
        self._caught = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace the handlers that Lightning has set; it takes ours away with its own."""
        for number in signal.Signals:
            if number.name in ("SIGTERM", "SIGUSR1", "SIGUSR2") and _is_lightnings(signal.getsignal(number)):
                signal.signal(number, lambda caught, _: setattr(self, "_caught", caught))

    on_sanity_check_start = on_train_start

    def on_train_batch_end(
        self, trainer: Any, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Leave between steps, unless a validation may come first."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0 and not trainer.is_last_batch
        asked = trainer.world_size == 1 or trainer.global_step % max(1, trainer.log_every_n_steps) == 0
        if stepped and asked and not _validation_is_due(trainer, batch_idx):
            self._leave_if_asked(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave after a validation within an epoch."""
        if not trainer.sanity_checking and not trainer.is_last_batch:
            self._leave_if_asked(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave after an epoch and its validation."""
        self._leave_if_asked(trainer)

    def _leave_if_asked(self, trainer: pl.Trainer) -> None:
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
                _requeue()
        trainer.strategy.barrier()  # SLURM may end all processes as soon as one has left
        raise SIGTERMException(128 + self._caught)


def _is_lightnings(handler: Any) -> bool:
    return type(handler).__module__.startswith("lightning.")


def _validation_is_due(trainer: Any, batch_idx: int) -> bool:
    """Whether Lightning may validate after this batch; perhaps it does not in this epoch."""
    every = trainer.val_check_batch
    within_epoch = trainer.check_val_every_n_epoch is not None
    done = (batch_idx if within_epoch else trainer.fit_loop.total_batch_idx) + 1
    return bool(trainer.enable_validation and every and done % every == 0)


def _requeue() -> None:
    """Ask SLURM to start the job again; if it cannot be asked, say so and leave all the same."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    job = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        rank_zero_warn(f"Saved, but job {job} was not requeued: {error}. Submit it again.")
