"""Passing a split through a model outside the loops of Lightning, exactly as they would."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

__all__ = ["Embedded", "check_scaled", "embed_split", "image_names"]

#: Features (B, F) and labels (B,) of one batch.
Embedded = tuple[Tensor, Tensor]


@torch.inference_mode()
def embed_split(
    trainer: Trainer, split: str, embed: Callable[[Mapping[str, Tensor]], Embedded]
) -> list[Embedded]:
    """Embed a split of the trainer's datamodule in the order of its dataset.

    Device, augmentation, precision and ``limit_test_batches`` are those of the test loop.

    Args:
        trainer: A trainer that is testing.
        split: ``train`` or ``val``; the datamodule has set it up.
        embed: Embeds one batch on the device.
    """
    datamodule: Any = getattr(trainer, "datamodule")  # noqa: B009 - mypy does not know it
    loader = DataLoader(
        getattr(datamodule, f"{split}_dataset"),
        batch_size=datamodule.batch_size,
        num_workers=datamodule.num_workers,
        collate_fn=datamodule.collate_fn,
    )
    limit, count = trainer.limit_test_batches, len(loader)
    count = min(limit, count) if isinstance(limit, int) else max(1, int(limit * count))
    embedded = []
    quiet = trainer.progress_bar_callback is None
    for batch in track(islice(loader, count), f"Embedding {split}", count, disable=quiet):
        batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
        with trainer.precision_plugin.forward_context():
            embedded.append(embed(batch))
    return embedded


def image_names(dataset: Any, count: int) -> Sequence[str]:
    """Names of the first images: ``names`` of our datasets, ``imgs`` of TorchGeo's, else positions."""
    if hasattr(dataset, "names"):
        return list(dataset.names[:count])
    if hasattr(dataset, "imgs"):
        return [Path(path).name for path, _ in dataset.imgs[:count]]
    return [str(index) for index in range(count)]


def check_scaled(image: Tensor) -> None:
    """Refuse values that cannot be scaled to about [0, 1]: digital numbers, standardised values.

    Raises:
        ValueError: If a value is far outside [0, 1].
    """
    low, high = float(image.min()), float(image.max())
    if low < -0.5 or high > 10:  # reflectance above 1 is common on clouds and roofs
        raise ValueError(
            f"The datamodule gives images with values from {low:.3g} to {high:.3g}; the encoder standardises "
            "by itself and expects about [0, 1]. Divide by the value range of the sensor, and no more."
        )
