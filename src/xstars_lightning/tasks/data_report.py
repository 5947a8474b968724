"""Which data an evaluation was made on, and how they were passed through the network."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Trainer

from xstars_lightning.evaluation import split_hash
from xstars_lightning.evaluation.feature_cache import hash_data
from xstars_lightning.evaluation.files import Files, paths_of
from xstars_lightning.tasks.embedding import image_files, image_names

__all__ = ["describe_data", "describe_run"]

_ANY = ("ClassificationDataModule", "SegmentationDataModule")  # they take any dataset


def describe_data(datamodule: Any, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Which images, and hashes of their names and, where they are known, of their files.

    What the hashes are of is said: names may be positions in a dataset that tells none, and files too
    many to be read.

    Args:
        datamodule: Set up for the splits.
        names: Names of the images that were used, by split. The hash of the files is that of the whole
            split.
    """
    hashes: dict[str, tuple[str | None, str | None]] = {}
    for split in names:
        dataset = getattr(datamodule, f"{split}_dataset")
        files = _all_files(dataset)
        hashes[split] = (None, None) if files is None else hash_data(image_names(dataset), files)
    classes: Any = getattr(datamodule, "class_names", None) or getattr(dataset, "classes", ())
    return {
        "data": _title(datamodule),
        "classes": list(classes),
        "images": {split: len(used) for split, used in names.items()},
        "split_hashes": {split: split_hash(used) for split, used in names.items()},
        "split_hash_of": {split: _kind(used) for split, used in names.items()},
        "data_hashes": {split: value for split, (value, _) in hashes.items()},
        "data_hash_of": {split: kind for split, (_, kind) in hashes.items()},
    }


def describe_run(trainer: Trainer, stage: str = "test") -> dict[str, Any]:
    """Precision, device and limit of the batches of a stage, plain values."""
    limit = f"limit_{stage}_batches"
    return {
        "precision": str(trainer.precision),
        "device": str(trainer.strategy.root_device),
        limit: getattr(trainer, limit),
    }


def _kind(names: Sequence[str]) -> str:
    return "positions" if all(name.isdecimal() for name in names) else "names"


def _all_files(dataset: Any) -> Sequence[Files] | None:
    """Files of the images and of their masks."""
    files, masks = image_files(dataset), getattr(dataset, "masks", None)
    if files is None or masks is None:
        return files
    return [[*paths_of(image), *mask] for image, mask in zip(files, masks, strict=True)]


def _title(datamodule: Any) -> str:
    """The datamodule's name; of one that takes any dataset, the dataset's."""
    name, dataset = type(datamodule).__name__, getattr(datamodule, "dataset_name", None)
    return dataset.rpartition(".")[2] if dataset and name in _ANY else name
