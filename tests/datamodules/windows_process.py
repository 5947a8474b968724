"""One of several training processes: python windows_process.py FOLDER RANK WORLD PORT.

Writes the windows of its batches to FOLDER/RANK.json: of a run of two epochs, of the same run stopped in
the middle of the second epoch, and of what follows when that one resumes.
"""

import json
import os
import sys
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer

from xstars_lightning.datamodules import CrossSensorDataModule

BATCHES, WINDOWS = 3, 8  # per epoch; per step, over all processes
STOP = BATCHES + 1


class Recorder(LightningModule):
    """Notes the windows it trains on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch["bounds"][:, [0, 3]].tolist())
        return self.weight**2

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def seen(folder, world=1, resumed=None, saved=None, **length):
    """Upper left corners of the windows, batch by batch, that a run trains on."""
    data = CrossSensorDataModule(
        {key: str(Path(folder) / key) for key in ("high", "low")},
        {"high": "sentinel2_rgb", "low": "sentinel2_rgb"},
        window=240,
        batch_size=WINDOWS // world,
        windows_per_epoch=BATCHES * WINDOWS + 1,
        val_fraction=0,
    )
    model = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        strategy="ddp" if world > 1 else "auto",
        devices=world,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **length,
    )
    trainer.fit(model, data, ckpt_path=resumed)
    if saved:
        trainer.save_checkpoint(saved)
    return model.seen


def main(folder, rank, world, port):
    # By these Lightning knows that the other processes are started by somebody else.
    os.environ |= {"LOCAL_RANK": rank, "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    checkpoint = f"{folder}/stopped.ckpt"
    runs = {
        "whole": seen(folder, int(world), max_steps=2 * BATCHES),
        "before": seen(folder, int(world), max_steps=STOP, saved=checkpoint),
        "after": seen(folder, int(world), max_steps=2 * BATCHES, resumed=checkpoint),
    }
    (Path(folder) / f"{rank}.json").write_text(json.dumps(runs))


if __name__ == "__main__":
    main(*sys.argv[1:])
