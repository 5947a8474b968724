"""Features of a split from the cache, if nothing that they depend on has changed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from xstars_lightning.evaluation.feature_cache import cache_key, hash_files, read_features, write_features
from xstars_lightning.evaluation.provenance import versions
from xstars_lightning.models.features import FeatureExtractor
from xstars_lightning.models.peers.extractor import hash_tensors
from xstars_lightning.tasks.embedding import Embedded, embed_split, image_files, image_names, limit_of

__all__ = ["FeatureStore"]

_CHECKED = 8  # images that are embedded again to see whether the cache tells the truth


class FeatureStore:
    """Keeps features below a folder, by weights, images, labels, and all that is done to them.

    The first images are embedded again before features are believed: code that is in no key, such as
    that of a dataset, may have changed too.

    Args:
        folder: Where features are kept; None keeps nothing.
        trainer: Its datamodule, precision, device and limit count.
        options: What else is done to images and tokens, plain values.
    """

    def __init__(self, folder: str | None, trainer: Trainer, options: Mapping[str, Any]) -> None:
        self.folder = None if folder is None else Path(folder)
        self.trainer = trainer
        self.options = dict(options)

    def key(self, split: str, extractor: FeatureExtractor) -> str | None:
        """Of the features of a split; None if nothing is kept or the dataset does not tell its files."""
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        dataset = getattr(datamodule, f"{split}_dataset")
        if self.folder is None:
            return None
        files, labels = image_files(dataset), getattr(dataset, "targets", None)
        if files is None or labels is None:
            rank_zero_warn(f"{type(dataset).__name__} tells no files and targets: features are not cached.")
            return None
        batches = -(-len(dataset) // datamodule.batch_size)
        transform = self.options | {
            "extractor": [extractor.name, extractor.statistics, extractor.sensor.to_dict()],
            "data": [type(datamodule).__name__, repr(datamodule.aug), repr(dataset.transforms)],
            "images": datamodule.batch_size * limit_of(self.trainer, batches),
            "run": [str(self.trainer.precision), self.trainer.strategy.root_device.type],
            "labels": hash_tensors({"labels": torch.as_tensor(labels)}),
            "versions": versions(),
        }
        data = hash_files(image_names(dataset), files, times=True)
        return cache_key(hash_tensors(extractor.state_dict()), data, transform)

    def load(
        self, split: str, key: str | None, embed: Callable[[Mapping[str, Tensor]], Embedded]
    ) -> Embedded | None:
        """Features and labels that were saved under the key, unless they are not those of ``embed``."""
        found = read_features(self.folder, key) if self.folder and key else None
        if found is None:
            return None
        ((features, labels),) = embed_split(self.trainer, split, embed, first=_CHECKED)
        same = torch.equal(labels, found["labels"][: len(labels)])
        known = found["features"][: len(features)]
        if not same or not torch.allclose(features, known, rtol=1e-2, atol=1e-2 * float(known.std())):
            rank_zero_warn(f"Cached features of {split} differ from what the model gives; embedded anew.")
            return None
        return found["features"], found["labels"]

    def save(self, key: str | None, embedded: Embedded) -> None:
        """Keep features and labels under the key."""
        if self.folder and key:
            write_features(self.folder, key, {"features": embedded[0], "labels": embedded[1]})
