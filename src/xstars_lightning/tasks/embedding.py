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

from xstars_lightning.evaluation.files import Files

__all__ = [
    "Embedded",
    "check_one_process",
    "check_scaled",
    "embed_split",
    "image_files",
    "image_names",
    "limit_of",
]

#: Features (B, ...) and labels (B,) or (B, C) of one batch.
Embedded = tuple[Tensor, Tensor]


@torch.inference_mode()
def embed_split[T](
    trainer: Trainer,
    split: str,
    embed: Callable[[Mapping[str, Tensor]], T],
    first: int | None = None,
) -> list[T]:
    """Embed a split of the trainer's datamodule in the order of its dataset.

    Device, augmentation, precision and ``limit_test_batches`` are those of the test loop.

    Args:
        trainer: A trainer that is testing.
        split: ``train``, ``val`` or ``test``; the datamodule has set it up.
        embed: Embeds one batch on the device.
        first: Only so many images, in one batch.
    """
    datamodule: Any = getattr(trainer, "datamodule")  # noqa: B009 - mypy does not know it
    loader = DataLoader(
        getattr(datamodule, f"{split}_dataset"),
        batch_size=first or datamodule.batch_size,
        num_workers=0 if first else datamodule.num_workers,
        collate_fn=datamodule.collate_fn,
    )
    count = 1 if first else limit_of(trainer, len(loader))
    embedded = []
    quiet = first is not None or trainer.progress_bar_callback is None
    for batch in track(islice(loader, count), f"Embedding {split}", count, disable=quiet):
        batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
        with trainer.precision_plugin.forward_context():
            embedded.append(embed(batch))
    return embedded


def limit_of(trainer: Trainer, batches: int) -> int:
    """How many of so many batches ``limit_test_batches`` leaves."""
    limit = trainer.limit_test_batches
    return min(limit, batches) if isinstance(limit, int) else max(1, int(limit * batches))


def image_names(dataset: Any, count: int | None = None) -> Sequence[str]:
    """Names of the first images: ``names`` of our datasets, ``imgs`` of TorchGeo's, else positions."""
    if hasattr(dataset, "names"):
        return list(dataset.names[:count])
    if hasattr(dataset, "imgs"):
        return [Path(path).name for path, _ in dataset.imgs[:count]]
    return [str(index) for index in range(len(dataset) if count is None else count)]


def image_files(dataset: Any) -> Sequence[Files] | None:
    """Files of all images, in their order, if the dataset tells them; see :func:`image_names`.

    Ours tell ``files``, one or several of each image, or names relative to ``root``; TorchGeo's image
    folders ``imgs``.
    """
    files, count = getattr(dataset, "files", None), len(image_names(dataset))
    if files and len(files) == count and all(isinstance(file, str | Path) for file in files):
        return [Path(file) for file in files]
    if files and len(files) == count and all(_are_paths(several) for several in files):
        return files
    if hasattr(dataset, "names") and hasattr(dataset, "root"):
        files = [Path(dataset.root) / name for name in dataset.names]
        return files if files and files[0].is_file() else None
    if hasattr(dataset, "imgs"):
        return [Path(path) for path, _ in dataset.imgs]
    return None


def _are_paths(several: Any) -> bool:
    return isinstance(several, list) and all(isinstance(file, Path) for file in several)


def check_one_process(trainer: Trainer) -> None:
    """ValueError if several processes test: each would score a part of the images, or all do the same."""
    if trainer.world_size > 1:
        raise ValueError(
            f"{trainer.world_size} processes test, but one has to score; use --trainer.devices 1."
        )


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
