"""EuroSAT as RGB JPEGs in class folders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor

from xstars_lightning.datasets.class_folders import ClassFolders

__all__ = ["EuroSATRGB"]


class EuroSATRGB(ClassFolders):
    """EuroSAT's RGB images (27,000 of 10 classes) [0] with values in [0, 1].

    Args:
        root: Folder that holds a folder of images per class.
        split: ``train``, ``val`` or ``test``.
        lists: CSV file by split, instead of a seeded draw; see :class:`ClassFolders`, also for the errors
            and attributes.
        seed: Of the draw.
        transforms: Called with each sample.

    References:
        [0] https://github.com/phelber/EuroSAT
    """

    divisor: ClassVar[float] = 255.0

    def __init__(
        self,
        root: str | Path = "data/eurosat_rgb",
        split: Literal["train", "val", "test"] = "train",
        lists: Mapping[str, str] | None = None,
        seed: int = 0,
        transforms: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
    ) -> None:
        super().__init__(root, split, lists, seed, transforms)
