"""BigEarthNet, its images and labels without its maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchgeo.datasets import BigEarthNetV2

__all__ = ["BigEarthNetImages"]

_FOLDERS = {"s1": ("s1",), "s2": ("s2",), "all": ("s1", "s2")}
# Endings of the files of a patch; column of its name; parts of that name that are tile and place.
_BANDS = {
    "s1": ("VV", "VH"),
    "s2": ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
}
_COLUMNS = {"s1": ("s1_name", 3), "s2": ("patch_id", 2)}


class BigEarthNetImages(BigEarthNetV2):
    """TorchGeo's BigEarthNet v2.0 [0] (reBEN), whose reference maps need not be there and are not read.

    Samples hold ``image``, or ``image_s1`` and ``image_s2`` of both sensors, (C, 120, 120) as in the files,
    and ``label`` (19,), 1 for every class in the patch. TorchGeo rounds the decibels of Sentinel-1.

    Args:
        root: Folder that holds ``metadata.parquet`` and ``BigEarthNet-S2`` or ``BigEarthNet-S1``.
        split: ``train``, ``val`` or ``test``.
        bands: ``s2``, ``s1`` or ``all``.
        download: Download 120 GB if they are not there.

    Raises:
        DatasetNotFoundError: If the data are not there and may not be downloaded.

    Attributes:
        classes: Names of the classes, in the order of the labels.
        names: Names of the patches.
        targets: Labels (N, 19).

    References:
        [0] https://arxiv.org/abs/2407.03653
    """

    def __init__(
        self, root: str = "data", split: Any = "train", bands: Any = "s2", download: bool = False
    ) -> None:
        super().__init__(root, split, bands, download=download)
        self.classes = list(self.class_set)
        self.names = tuple(self.metadata_df["patch_id"])
        self.targets = self._targets(list(self.metadata_df["labels"]))

    @property
    def files(self) -> list[list[Path]]:
        """Files of every patch, all bands; not kept, as they are millions."""
        sensors = [self._files(sensor) for sensor in _FOLDERS[self.bands]]
        return [[file for part in parts for file in part] for parts in zip(*sensors, strict=True)]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Read the bands and labels of a patch."""
        folders = _FOLDERS[self.bands]
        keys = ["image"] if len(folders) == 1 else [f"image_{folder}" for folder in folders]
        images = (self._load_image(index, folder) for folder in folders)
        return {**dict(zip(keys, images, strict=True)), "label": self.targets[index]}

    def _targets(self, labels: Sequence[Sequence[str]]) -> Tensor:
        targets = torch.zeros(len(labels), len(self.classes), dtype=torch.long)
        pairs = [(row, self.class2idx[name]) for row, names in enumerate(labels) for name in names]
        rows, columns = zip(*pairs, strict=True)
        targets[list(rows), list(columns)] = 1
        return targets

    def _files(self, sensor: str) -> list[list[Path]]:
        column, drop = _COLUMNS[sensor]
        root, names = Path(self.root) / self.dir_file_names[sensor], self.metadata_df[column]
        folders = [root / "_".join(name.split("_")[:-drop]) / name for name in names]
        return [[folder / f"{folder.name}_{band}.tif" for band in _BANDS[sensor]] for folder in folders]

    def _verify(self) -> None:
        parts = (*_FOLDERS[self.bands], "metadata")
        if not all((Path(self.root) / self.dir_file_names[part]).exists() for part in parts):
            super()._verify()
