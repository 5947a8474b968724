"""Any labelled images of TorchGeo, as batches of values in [0, 1] and classes from 0."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from torchgeo.datasets import GeoDataset

from xstars_lightning.datamodules.labelled import LabelledDataModule
from xstars_lightning.datasets.labelled import Labelled, Tiles, join_tiles
from xstars_lightning.datasets.labelled_files import check_complete, check_opened
from xstars_lightning.datasets.sources import Images, Windows, image_names
from xstars_lightning.sensors import Sensor, resolve_sensors

__all__ = ["SegmentationDataModule"]


class SegmentationDataModule(LabelledDataModule):
    """Segmentation, or change detection where images have two dates, on any dataset of TorchGeo.

    Batches hold ``image`` float32 (B, C, H, W) in about [0, 1], or (B, 2, C, H, W) with two dates;
    ``mask`` long (B, H, W), classes from 0 and 255 where nothing counts; and ``index`` (B,), the number
    of the image that a tile comes from. Images are not standardised: the encoder does that.

    Args:
        dataset_class: A class of ``torchgeo.datasets``, or the full path of another one. Of a GeoDataset,
            scenes are read in windows of ``tile`` pixels.
        sensors: The one sensor of the images, under the name it shall have.
        class_names: Name of every class by its value in the masks; those of the dataset if left out.
        root: Folder of the data.
        options: Arguments of the dataset, for all splits.
        splits: Further arguments by split; ``train`` must be among them.
        held_out: Shares of the training images for splits that are not in ``splits``, drawn with ``seed``.
        ignored: Values in the masks that count nowhere.
        image_key: Name of the image in the samples of the dataset.
        tile: Side in pixels to which images are cut; None takes them as they are.
        crops: Tiles per training image at random places, flipped and turned, for training by gradient.
            None covers training images without overlap, as those of validation and test.
        test_sensors: The sensor of the test images, if they are of another one.
        batch_size: Images in a batch, each with all its tiles.
        num_workers: Processes that read; 0 reads in the main one.
        seed: Of the draw.
        incomplete: Take those images alone that are there, where the dataset's class lists those of a split
            (Potsdam, Vaihingen), instead of an error.

    Raises:
        DatasetNotFoundError: In ``setup``, if the data are not there.
        ValueError: If there is no such class, an argument is unknown, the sensor is not one, or the
            splits make no sense; in ``setup``, if images of a split are missing.

    Attributes:
        sensors: The sensor of ``image``.
        test_sensors: That of the test images.
        class_names: Names of the classes, in the order of the labels.
    """

    def __init__(
        self,
        dataset_class: str,
        sensors: dict[str, Sensor | str],
        class_names: dict[int, str] | None = None,
        root: str = "data",
        options: dict[str, Any] | None = None,
        splits: dict[str, dict[str, Any]] | None = None,
        held_out: dict[str, float] | None = None,
        ignored: list[int] | None = None,
        image_key: str = "image",
        tile: int | None = None,
        crops: int | None = None,
        test_sensors: dict[str, Sensor | str] | None = None,
        batch_size: int = 8,
        num_workers: int = 0,
        seed: int = 0,
        incomplete: bool = False,
    ) -> None:
        super().__init__(dataset_class, root, options, splits, held_out, batch_size, num_workers, seed)
        self.collate_fn = join_tiles
        self.ignored, self.image_key, self.tile, self.crops = ignored or [], image_key, tile, crops
        self.incomplete = incomplete
        self.sensors = resolve_sensors(sensors)
        self.test_sensors = resolve_sensors(test_sensors or sensors)
        self._values = class_names
        for known in (self.sensors, self.test_sensors):
            if len(known) != 1:
                raise ValueError(f"The images of a split are of one sensor; got {', '.join(known)}.")

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return list(self._classes(None).values())

    def _classes(self, dataset: Any) -> Mapping[int, str]:
        """Names of the classes by their value in the masks."""
        if self._values is None:
            dataset = dataset or self._open("train")
            if not (names := getattr(dataset, "classes", None)):
                raise ValueError(f"{self.dataset_name} does not name its classes: give class_names.")
            self._values = dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
        return {value: name for value, name in self._values.items() if value not in self.ignored}

    def _build(self, split: str) -> Tiles:
        dataset = self._open(split if split in self.splits else "train")
        if not self.incomplete:
            check_complete(dataset)
        names = image_names(dataset)
        chosen = names if split in self.splits and split != "train" else self._divide(names)[split]
        (sensor,) = (self.test_sensors if split == "test" else self.sensors).values()
        source: Images | Windows
        if isinstance(dataset, GeoDataset):
            if self.tile is None:
                raise ValueError(f"{self.dataset_name} has scenes without bounds: give `tile`, in pixels.")
            check_opened(dataset)
            source = Windows(dataset, chosen, self.tile)
        else:
            source = Images(dataset, chosen)
        labelled = Labelled(source, sensor, list(self._classes(dataset)), self.ignored, self.image_key)
        return Tiles(labelled, self.tile, self.crops if split == "train" else None)

    def _divide(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Training images, and what is held out of them."""
        generator = Generator().manual_seed(self.seed)
        ordered = sorted(names)
        shuffled = [ordered[n] for n in torch.randperm(len(ordered), generator=generator).tolist()]
        parts, start = {}, 0
        for split, share in self.held_out.items():
            count = max(1, round(share * len(names)))
            parts[split], start = shuffled[start : start + count], start + count
        if start >= len(names):
            raise ValueError(
                f"{self.dataset_name} has {len(names)} training images in {self.root}, too few to hold "
                f"{start} of them out."
            )
        return parts | {"train": shuffled[start:]}

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Nothing is left to be done on the device."""
        return batch
