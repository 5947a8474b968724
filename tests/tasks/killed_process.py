"""A training run that may be killed: python killed_process.py DATA FOLDER KILL_AT, -1 for never.

Appends the loss of each step to FOLDER/losses.txt, bit by bit, resumes if there is a checkpoint in FOLDER,
and saves the weights to FOLDER/weights.pt at its end.
"""

import os
import signal
import sys
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from xstars_lightning.callbacks import CrossSensorRetrieval
from xstars_lightning.datamodules import CrossSensorDataModule
from xstars_lightning.tasks import XStars


class Killed(pl.Callback):
    """Notes losses, and kills its process as the system would, without a chance to tidy up."""

    def __init__(self, file, kill_at):
        self.file, self.kill_at = file, kill_at

    def on_train_batch_end(self, trainer, task, outputs, batch, batch_idx):
        with self.file.open("a") as file:
            print(trainer.global_step, outputs["loss"].double().item().hex(), file=file)
        if trainer.global_step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def main(data, folder, kill_at):
    torch.set_num_threads(1)
    pl.seed_everything(7)
    paths = {key: str(data / key) for key in ("high", "low")}
    datamodule = CrossSensorDataModule(
        paths, dict.fromkeys(paths, "sentinel2_rgb"), window=240, batch_size=4, windows_per_epoch=16
    )
    task = XStars(
        sensors=datamodule.sensors,
        backbone="vit_tiny_patch16_224",
        **{"image_size": 32, "local_size": 16, "local_crops": 2, "prototypes": 64, "head_dim": 32},
        warmup=0.2,
        drop_path_rate=0.2,
    )
    keep = ModelCheckpoint(folder, filename="kept", every_n_train_steps=2, enable_version_counter=False)
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=[keep, CrossSensorRetrieval(), Killed(folder / "losses.txt", kill_at)],
        **{"logger": False, "enable_progress_bar": False, "enable_model_summary": False},
        use_distributed_sampler=False,
    )
    kept = folder / "kept.ckpt"
    trainer.fit(task, datamodule, ckpt_path=str(kept) if kept.is_file() else None)
    torch.save(task.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
