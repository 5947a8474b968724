"""BigEarthNet, its images and labels without its maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchgeo.datasets import BigEarthNetV2

__all__ = ["BigEarthNetImages"]

_FOLDERS = {"s1": ("s1",), "s2": ("s2",), "all": ("s1", "s2")}


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
        files: A file of every patch: its blue band, or VV of Sentinel-1.
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
        column, ending = ("s1_name", "VV") if bands == "s1" else ("patch_id", "B02")
        self.files = [self._file(name, ending) for name in self.metadata_df[column]]

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

    def _file(self, name: str, ending: str) -> Path:
        folder, drop = ("s1", 3) if ending == "VV" else ("s2", 2)  # the names of tile and place at the end
        scene = "_".join(name.split("_")[:-drop])
        return Path(self.root) / self.dir_file_names[folder] / scene / name / f"{name}_{ending}.tif"

    def _verify(self) -> None:
        parts = (*_FOLDERS[self.bands], "metadata")
        if not all((Path(self.root) / self.dir_file_names[part]).exists() for part in parts):
            super()._verify()
