"""What the model sees and what it makes of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import matplotlib.pyplot as plt
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from torch import Tensor

from xstars_lightning.callbacks.base import CrossSensorTask
from xstars_lightning.evaluation import shared_pca
from xstars_lightning.sensors import Sensor

__all__ = ["Pictures", "plot_tokens", "plot_views"]


class Pictures(Callback):
    """Draws to ``<log_dir>/pictures``: views of the first batch, and tokens by a shared PCA.

    Args:
        every_n_epochs: Draw the tokens after the validation of every n-th epoch, and before training.
        windows: How many windows to show.
    """

    def __init__(self, every_n_epochs: int = 1, windows: int = 6) -> None:
        self.every_n_epochs = every_n_epochs
        self.windows = windows
        self._folder = Path("pictures")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the folder, in all processes: asking the trainer for it is a collective operation."""
        self._folder = Path(trainer.log_dir or trainer.default_root_dir) / "pictures"

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Mapping[str, Tensor], batch_idx: int
    ) -> None:
        """Draw the views of the very first batch, without touching the random numbers of training."""
        if trainer.global_step == 0 and batch_idx == 0 and trainer.is_global_zero:
            task = cast(CrossSensorTask, pl_module)
            devices = [pl_module.device] if pl_module.device.type == "cuda" else []
            with torch.random.fork_rng(devices):
                views = task.views(batch)
            self._save(plot_views(views, task.sensors, self.windows), "views")

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Mapping[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the tokens of the first batch."""
        due = trainer.sanity_checking or (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if batch_idx == 0 and due and trainer.is_global_zero:
            name = f"tokens_{trainer.global_step:06d}"
            sensors = cast(CrossSensorTask, pl_module).sensors
            self._save(plot_tokens(batch, outputs, sensors, self.windows), name)

    def _save(self, figure: Figure, name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(self._folder / f"{name}.png", dpi=100, bbox_inches="tight")
        plt.close(figure)


def plot_views(views: Mapping[str, Any], sensors: Mapping[str, Sensor], windows: int) -> Figure:
    """Both global and the first two local views of some windows; a row per view and sensor."""
    rows: list[tuple[str, Tensor]] = []
    for kind in ("globals", "locals"):
        for view in range(2):
            for name, value in views.items():
                images = getattr(value, kind)
                count = len(value.globals) // 2
                if len(images) >= (view + 1) * count:
                    part = images[view * count :][:windows]
                    rows.append((f"{name}\n{kind[:-1]} {view + 1}", _rgb(part, sensors[name])))
    return _mosaic(rows)


def plot_tokens(
    batch: Mapping[str, Tensor], tokens: Mapping[str, Tensor], sensors: Mapping[str, Sensor], windows: int
) -> Figure:
    """Windows as each sensor sees them, and their patch tokens in colours that all sensors share.

    Where alignment works, a place has the same colour in every sensor.
    """
    colours = shared_pca({name: x[:, 1:].float().cpu() for name, x in tokens.items()})
    rows = []
    for name, colour in colours.items():
        side = round(colour.shape[1] ** 0.5)
        rows.append((name, _rgb(batch[f"image_{name}"][:windows], sensors[name])))
        rows.append((f"{name}\ntokens", colour[:windows].unflatten(1, (side, side))))
    return _mosaic(rows)


def _rgb(images: Tensor, sensor: Sensor) -> Tensor:
    """(B, C, H, W) -> (B, H, W, 3) in [0, 1], stretched by the sensor's statistics."""
    bands = list(sensor.rgb_indices)
    mean, std = (torch.tensor(x)[bands, None, None] for x in (sensor.mean, sensor.std))
    stretched = (images[:, bands].float().cpu() - mean) / (5 * std) + 0.45
    return stretched.clamp(0, 1).permute(0, 2, 3, 1)


def _mosaic(rows: list[tuple[str, Tensor]]) -> Figure:
    columns = max(len(images) for _, images in rows)
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(1.6 * columns, 1.6 * len(rows)), squeeze=False, layout="constrained"
    )
    for (label, images), line in zip(rows, axes, strict=True):
        for image, axis in zip(images.numpy(), line, strict=False):
            axis.imshow(image, interpolation="nearest")
        for axis in line:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(label, fontsize=8)
    return figure
