"""Any classified images of TorchGeo, with one label or several, as batches of values in [0, 1]."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.utils.data import default_collate

from xstars_lightning.datamodules.labelled import LabelledDataModule
from xstars_lightning.datasets.image_files import class_names_of
from xstars_lightning.datasets.labelled_images import LabelledImages, ToUnit
from xstars_lightning.evaluation.splits import stratified_split
from xstars_lightning.sensors import Sensor, resolve_sensors

__all__ = ["ClassificationDataModule"]


class ClassificationDataModule(LabelledDataModule):
    """Classification, with one label or several per image, on any dataset of TorchGeo.

    Batches hold ``image`` float32 (B, C, H, W) in about [0, 1], or ``image_<sensor>`` for each of several
    sensors, and ``label``: long (B,), or (B, K) of 0 and 1 where an image may have several. Images are not
    standardised: the encoder does that.

    Args:
        dataset_class: A class of ``torchgeo.datasets``, or the full path of another one.
        sensors: The sensor of the images, under the name it shall have; or several where the samples of the
            dataset hold ``image_<name>``.
        class_names: Names of the classes, in the order of the labels; those of the dataset if left out.
        root: Folder of the data.
        options: Arguments of the dataset, for all splits.
        splits: Further arguments by split; ``train`` must be among them.
        held_out: Shares of the training images for splits that are not in ``splits``, drawn with ``seed``,
            of every class where the dataset tells the labels.
        image_key: Name of the image in the samples of the dataset.
        size: Side in pixels to which images are brought; None takes them as they are, all of one size.
        shuffled: Put the images of every split in an order drawn with ``seed``, so that the first few
            resemble all; else in that of the dataset.
        batch_size: Images in a batch.
        num_workers: Processes that read; 0 reads in the main one.
        seed: Of the draws.

    Raises:
        DatasetNotFoundError: In ``setup``, if the data are not there.
        ValueError: If there is no such class, an argument is unknown, or the splits make no sense.

    Attributes:
        sensors: The sensors of the images.
        class_names: Names of the classes, in the order of the labels.
    """

    def __init__(
        self,
        dataset_class: str,
        sensors: dict[str, Sensor | str],
        class_names: list[str] | None = None,
        root: str = "data",
        options: dict[str, Any] | None = None,
        splits: dict[str, dict[str, Any]] | None = None,
        held_out: dict[str, float] | None = None,
        image_key: str = "image",
        size: int | None = None,
        shuffled: bool = True,
        batch_size: int = 256,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset_class, root, options, splits, held_out, batch_size, num_workers, seed)
        self.aug = nn.Identity()  # in place of TorchGeo's, which standardises
        self.collate_fn = join_images
        self.shuffled = shuffled
        self.sensors = resolve_sensors(sensors)
        self.transforms = ToUnit(self.sensors, image_key, size)
        self._class_names = class_names

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return self._classes(None)

    def _classes(self, dataset: Any) -> list[str]:
        if self._class_names is None:
            self._class_names = class_names_of(dataset or self._open("train"))
            if not self._class_names:
                raise ValueError(f"{self.dataset_name} does not name its classes: give class_names.")
        return list(self._class_names)

    def _build(self, split: str) -> LabelledImages:
        dataset = self._open(split if split in self.splits else "train")
        classes = self._classes(dataset)
        chosen = list(range(len(dataset)))
        if self.held_out and (split == "train" or split in self.held_out):
            chosen = self._divide(dataset, classes)[split]
        elif self.shuffled:
            chosen = self._permuted(len(dataset))
        return LabelledImages(dataset, self.transforms, classes, chosen)

    def _divide(self, dataset: Any, classes: Sequence[str]) -> dict[str, list[int]]:
        """Positions of the training images, and of what is held out of them, in a drawn order."""
        parts = {"train": 1 - sum(self.held_out.values()), **self.held_out}
        targets = getattr(dataset, "targets", None)
        # Where images have several labels, or do not tell them, all of them are one class.
        single = targets is not None and torch.as_tensor(targets).ndim == 1
        labels = torch.as_tensor(targets) if single else torch.zeros(len(dataset), dtype=torch.long)
        names = classes if single else [f"images of {self.root}"]
        drawn = stratified_split(labels, list(parts.values()), self.seed, names)
        return {split: indices.tolist() for split, indices in zip(parts, drawn, strict=True)}

    def _permuted(self, count: int) -> list[int]:
        order: list[int] = torch.randperm(count, generator=Generator().manual_seed(self.seed)).tolist()
        return order


def join_images(samples: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Samples -> a batch of them.

    Raises:
        ValueError: If their images differ in size.
    """
    for key in (key for key in samples[0] if key.startswith("image")):
        if len(sizes := {tuple(sample[key].shape[1:]) for sample in samples}) > 1:
            raise ValueError(f"Images of {sorted(sizes)} pixels cannot make one batch; set `size`.")
    batch: dict[str, Tensor] = default_collate(list(samples))
    return batch
