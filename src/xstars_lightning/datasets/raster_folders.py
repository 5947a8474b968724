"""Rasters of any bands in a folder per class."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import rasterio
import torch
from matplotlib.figure import Figure
from torch import Tensor

from xstars_lightning.datasets.class_folders import ClassFolders
from xstars_lightning.datasets.plots import plot_images

__all__ = ["RasterFolders"]


class RasterFolders(ClassFolders):
    """GeoTIFFs of any bands in a folder per class; values and the order of the bands are those of the files.

    Arguments, errors and attributes are those of :class:`ClassFolders`.
    """

    endings: ClassVar[Sequence[str]] = (".tif", ".tiff")
    #: Positions of the bands that are shown as red, green and blue; those of Sentinel-2.
    shown: ClassVar[Sequence[int]] = (3, 2, 1)

    def read(self, path: Path) -> Tensor:
        """As :meth:`ClassFolders.read`."""
        try:
            with rasterio.open(path) as file:
                return torch.from_numpy(file.read().astype(np.float32))
        except OSError as error:  # rasterio's are
            raise ValueError(f"{path} cannot be read as a raster; replace or remove it. {error}") from error

    def plot(
        self, sample: dict[str, Tensor], show_titles: bool = True, suptitle: str | None = None
    ) -> Figure:
        """As :meth:`ClassFolders.plot`; images of fewer than four bands show their first."""
        image = sample["image"]
        bands = list(self.shown) if len(image) > max(self.shown) else [0, len(image) // 2, len(image) - 1]
        title = self.classes[int(sample["label"])] if show_titles else ""
        return plot_images([[(title, image[bands], None)]], suptitle)
