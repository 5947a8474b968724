"""Labelled images as every task here wants them: values in [0, 1], classes from 0, tiles of one size."""

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as BadStream

import torch
from torch import Tensor
from torch.utils.data import Dataset

from xstars_lightning.datasets.sources import Images, Windows
from xstars_lightning.evaluation.segmentation import IGNORED
from xstars_lightning.sensors import Sensor

__all__ = ["Labelled", "Tiles", "join_tiles"]

# What decoders of images and arrays raise on damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, BadZipFile, BadStream)


class Labelled(Dataset[dict[str, Tensor]]):
    """Images scaled by the value range of their sensor, masks as positions among the classes.

    Args:
        source: Where images come from.
        sensor: Their sensor.
        values: Value in the masks of every class, in the order of the classes.
        ignored: Values in the masks that count nowhere.
        image_key: Name of the image in the samples.

    Attributes:
        names: Names of the images.
        about: What is done to images and masks, plain values.
    """

    def __init__(
        self,
        source: Images | Windows,
        sensor: Sensor,
        values: Sequence[int],
        ignored: Sequence[int] = (),
        image_key: str = "image",
    ) -> None:
        self.source, self.sensor, self.image_key = source, sensor, image_key
        self.names = source.names
        self.about = {"sensor": sensor.to_dict(), "values": list(values), "ignored": list(ignored)}
        self.about["image_key"] = image_key
        self._known = f"classes {list(values)}" + (f" and ignored {list(ignored)}" if ignored else "")
        self._classes = torch.full((256,), -1)
        self._classes[list(values)] = torch.arange(len(values))
        self._classes[list(ignored)] = IGNORED

    def keep(self, positions: Sequence[int]) -> "Labelled":
        """Those images alone that stand at these positions among ``names``."""
        kept = copy(self)
        kept.source = self.source.keep(positions)
        kept.names = kept.source.names
        return kept

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Read an image.

        Returns:
            ``image`` float32 (C, H, W), or (2, C, H, W) where there are two dates; ``mask`` long
            (H, W), classes from 0 or ``IGNORED``; ``index``, the number of the image.

        Raises:
            ValueError: If a file is damaged, the bands are not those of the sensor, or a label is
                unknown; the file and the value are named.
        """
        number = self.source.image[index]
        name = self.names[number]
        try:
            sample = self.source[index]
        except _DAMAGE as error:
            raise ValueError(f"{name} cannot be read; replace or remove it. {error}") from error
        image, mask = sample[self.image_key], sample["mask"]
        if image.shape[-3] != len(self.sensor.bands):
            raise ValueError(
                f"{name} has {image.shape[-3]} bands, the sensor {self.sensor.name!r} "
                f"{len(self.sensor.bands)} ({', '.join(self.sensor.bands)}); describe the bands as they are."
            )
        low, high = self.sensor.value_range
        return {
            "image": (image.float() - low) / (high - low),
            "mask": self._to_classes(mask.reshape(mask.shape[-2:]).long(), name),
            "index": torch.tensor(number),
        }

    def _to_classes(self, mask: Tensor, name: str) -> Tensor:
        classes = self._classes[mask.clamp(0, 255)]
        classes[(mask < 0) | (mask > 255)] = -1
        if bool((wrong := classes < 0).any()):
            raise ValueError(
                f"{name} has the label{'s' if len(values := mask[wrong].unique().tolist()) > 1 else ''} "
                f"{', '.join(map(str, values[:5]))}; known are {self._known}. Name them in class_names, "
                "or ignore them."
            )
        return classes


class Tiles(Dataset[dict[str, Tensor]]):
    """Images cut into tiles, so that they can be of any size.

    Args:
        dataset: Images and masks.
        size: Side of a tile in pixels; None takes images as they are.
        crops: Tiles per image, at random places and flipped and turned at random; None covers the
            image. Tiles at the end begin earlier, and what they repeat is ignored in their masks.

    Attributes:
        names: Names of the images.
        image_of: For every sample, the position of its image among ``names``: a scene may be several.
        transforms: What is done to images and masks, plain values.
    """

    def __init__(self, dataset: Labelled, size: int | None = None, crops: int | None = None) -> None:
        self.dataset, self.size, self.crops = dataset, size, crops
        self.names, self.image_of = dataset.names, dataset.source.image
        self.transforms: dict[str, Any] = {**dataset.about, "tile": size, "crops": crops}

    @property
    def files(self) -> list[list[Path]] | None:
        """Files of every image without its mask; None if the dataset does not tell them."""
        return self.dataset.source.files()

    @property
    def masks(self) -> list[list[Path]] | None:
        """Files of the mask of every image; none where it is in the file of the image."""
        return self.dataset.source.files(masks=True)

    def keep(self, positions: Sequence[int]) -> "Tiles":
        """Those images alone that stand at these positions among ``names``."""
        return Tiles(self.dataset.keep(positions), self.size, self.crops)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Read the tiles of an image: ``image`` (T, ..., H, W), ``mask`` (T, H, W), ``index`` (T,)."""
        sample = self.dataset[index]
        image, mask = sample["image"], sample["mask"]
        height, width = (min(n, self.size or n) for n in mask.shape)
        if self.crops is None:
            tiles = _cover(image, mask, height, width)
        else:
            tiles = [_crop(image, mask, height, width) for _ in range(self.crops)]
        images, masks = zip(*tiles, strict=True)
        count = torch.full((len(tiles),), int(sample["index"]))
        return {"image": torch.stack(images), "mask": torch.stack(masks), "index": count}


def _cover(image: Tensor, mask: Tensor, height: int, width: int) -> list[tuple[Tensor, Tensor]]:
    tiles, free = [], mask.clone()
    for top in range(0, mask.shape[0], height):
        for left in range(0, mask.shape[1], width):
            y, x = min(top, mask.shape[0] - height), min(left, mask.shape[1] - width)
            rows, columns = slice(y, y + height), slice(x, x + width)
            tiles.append((image[..., rows, columns], free[rows, columns].clone()))
            free[rows, columns] = IGNORED  # every pixel counts once
    return tiles


def _crop(image: Tensor, mask: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    y, x = (int(torch.randint(n - m + 1, ())) for n, m in zip(mask.shape, (height, width), strict=True))
    pair = [array[..., y : y + height, x : x + width] for array in (image, mask)]
    if torch.rand(()) < 0.5:
        pair = [array.flip(-1) for array in pair]
    turns = int(torch.randint(4, ())) if height == width else 0
    turned = [array.rot90(turns, (-2, -1)) for array in pair]
    return turned[0], turned[1]


def join_tiles(samples: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Tiles of several images -> a batch of all of them.

    Raises:
        ValueError: If their sizes differ.
    """
    if len(sizes := {tuple(sample["mask"].shape[1:]) for sample in samples}) > 1:
        raise ValueError(
            f"Images of {sorted(sizes)} pixels cannot make one batch; set batch_size 1 or `tile`."
        )
    return {key: torch.cat([sample[key] for sample in samples]) for key in samples[0]}
