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
from xstars_lightning.tasks.embedding import embed_split, image_files, image_names, limit_of

__all__ = ["FeatureStore", "Parts"]

#: Features, and what belongs to them: labels and others, all of them (N, ...).
Parts = tuple[Tensor, ...]

# What a datamodule that opens any dataset tells of it.
_SOURCE = ("dataset_name", "options", "splits")


class FeatureStore:
    """Keeps features below a folder, by weights, images, labels, and all that is done to them.

    The first images are embedded again before features are believed: code that is in no key, such as
    that of a dataset, may have changed too.

    Args:
        folder: Where features are kept; None keeps nothing.
        trainer: Its datamodule, precision, device and limit count.
        options: What else is done to images and tokens, plain values.
        checked: Images that are embedded again, in one batch.
    """

    def __init__(
        self, folder: str | None, trainer: Trainer, options: Mapping[str, Any], checked: int = 8
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.trainer = trainer
        self.options = dict(options)
        self.checked = checked

    def key(self, split: str, extractor: FeatureExtractor) -> str | None:
        """Of the features of a split; None if nothing is kept or the dataset does not tell its files."""
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        dataset = getattr(datamodule, f"{split}_dataset")
        if self.folder is None:
            return None
        files, labels = image_files(dataset), _hash_labels(dataset)
        if files is None or labels is None:
            rank_zero_warn(
                f"{type(dataset).__name__} tells no files, or neither targets nor masks: features are not "
                "cached."
            )
            return None
        batches = -(-len(dataset) // datamodule.batch_size)
        transform = self.options | {
            "extractor": [extractor.name, extractor.statistics, extractor.sensor.to_dict()],
            "data": [type(datamodule).__name__, repr(datamodule.aug), repr(dataset.transforms)],
            "source": repr([getattr(datamodule, name, None) for name in _SOURCE]),
            "images": datamodule.batch_size * limit_of(self.trainer, batches),
            "run": [str(self.trainer.precision), self.trainer.strategy.root_device.type],
            "labels": labels,
            "versions": versions(),
        }
        data = hash_files(image_names(dataset), files)
        return cache_key(hash_tensors(extractor.state_dict()), data, transform)

    def load(
        self,
        split: str,
        key: str | None,
        embed: Callable[[Mapping[str, Tensor]], Parts],
        cut: Callable[[Parts, Parts], Parts] | None = None,
    ) -> Parts | None:
        """Features and labels that were saved under the key, unless they are not those of ``embed``.

        Args:
            split: Name of the split.
            key: As from :meth:`key`.
            embed: Embeds a batch.
            cut: Leaves of what was embedded again, given what was saved, that which is saved of a split.
        """
        found = read_features(self.folder, key) if self.folder and key else None
        if found is None:
            return None
        known = tuple(found[str(place)] for place in range(len(found)))
        (now,) = embed_split(self.trainer, split, embed, first=self.checked)
        now = now if cut is None else cut(now, known)
        features, expected = now[0], known[0][: len(now[0])]
        same = all(torch.equal(a, b[: len(a)]) for a, b in zip(now[1:], known[1:], strict=True))
        if not same or not torch.allclose(features, expected, rtol=1e-2, atol=1e-2 * float(expected.std())):
            rank_zero_warn(f"Cached features of {split} differ from what the model gives; embedded anew.")
            return None
        return known

    def save(self, key: str | None, parts: Parts) -> None:
        """Keep features and labels under the key."""
        if self.folder and key:
            write_features(self.folder, key, {str(place): part for place, part in enumerate(parts)})


def _hash_labels(dataset: Any) -> str | None:
    """Of the labels, or of the files of the masks; None if the dataset tells neither."""
    if (targets := getattr(dataset, "targets", None)) is not None:
        return hash_tensors({"labels": torch.as_tensor(targets)})
    masks = getattr(dataset, "masks", None)
    return None if masks is None else hash_files(image_names(dataset), masks)
