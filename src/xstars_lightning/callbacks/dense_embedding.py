"""Patch embeddings of overlapping windows -> one GeoTIFF without seams, written from top to bottom."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS as RasterioCRS
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

__all__ = ["SETTINGS", "DenseEmbedding", "Precision", "taper"]

#: Under this name files say what they were made with.
SETTINGS = "xstars_embedding"
BLOCK = 16  # patches; the least that GeoTIFF allows: a block holds all bands
MIN_SHARE = 0.5  # of a patch that must be valid

Float = NDArray[np.float32]
#: In which embeddings are kept.
Precision = Literal["float32", "float16"]


class DenseEmbedding:
    """A GeoTIFF with a band per feature and a pixel per patch; NaN where less than half a patch is valid.

    Where windows overlap, embeddings are averaged with weights that fall to nearly 0 towards the edge
    of each window: tokens at an edge have seen least of their surroundings, and a window whose weight
    sets in at 0 makes no seam, as it does where each keeps its centre [0]. A network that embeds each
    patch by itself gives the same as if it had seen the scene at once.

    Held in memory are as many rows of patches as a window has, and one row of blocks; they grow with
    the width of the scene, not with its height. The file is tiled, interleaved by pixel, and its
    directory stands before its pixels: it can be read in parts from afar.

    Args:
        path: File to write; what is there is overwritten.
        shape: Rows and columns of patches in the scene.
        width: Features D.
        window: Patches along a window.
        crs: As well-known text.
        transform: Patch (column, row) to coordinates.
        settings: Written into the file; plain values.
        precision: ``float16`` is half as large and exact to three digits; GDAL widens it when reading.

    References:
        [0] Pielawski and Waehlby, Introducing Hann windows for reducing edge-effects in patch-based
            image segmentation, 2020, https://doi.org/10.1371/journal.pone.0229839
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int],
        width: int,
        window: int,
        crs: str,
        transform: Affine,
        settings: Mapping[str, Any],
        precision: Precision = "float32",
    ) -> None:
        self.rows, self.cols = shape
        self._taper = taper(window)
        self._top = 0  # row of patches at which the held ones begin
        band = (window + BLOCK, self.cols)
        self._sum = np.zeros((*band, width), dtype=np.float32)
        self._weight = np.zeros(band, dtype=np.float32)
        self._file = rasterio.open(
            path,
            "w",
            driver="GTiff",
            dtype="float32",
            count=width,
            height=self.rows,
            width=self.cols,
            crs=RasterioCRS.from_wkt(crs),
            transform=transform,
            nodata=np.nan,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            interleave="pixel",
            compress="deflate",
            predictor=3,
            zlevel=1,  # embeddings shrink by a tenth, however long one tries
            bigtiff="if_safer",
            **({"nbits": 16} if precision == "float16" else {}),
        )
        self._file.update_tags(
            **{SETTINGS: json.dumps(settings)}
        )  # before the pixels, for the directory to be first

    def add(self, row: int, col: int, patches: Float, share: Float) -> None:
        """Add a window; windows come row by row from the top.

        Args:
            row: Row of patches at which it begins.
            col: Column.
            patches: Embeddings (window, window, D).
            share: How much of each patch is valid (window, window), in [0, 1].
        """
        self._write_above(row)
        height, width = min(len(patches), self.rows - row), min(len(patches), self.cols - col)
        part = np.s_[row - self._top : row - self._top + height, col : col + width]
        weight = np.where(share >= MIN_SHARE, self._taper, 0)[:height, :width]
        self._sum[part] += patches[:height, :width] * weight[..., None]
        self._weight[part] += weight

    def close(self, complete: bool = True) -> None:
        """Write what is left, unless the file is to be thrown away.

        Raises:
            OSError: If not all could be written.
        """
        while complete and self._top < self.rows:
            self._write(min(BLOCK, self.rows - self._top))
        self._file.close()
        if complete:
            _check_whole(self._file.name)

    def _write_above(self, row: int) -> None:
        """Write the rows that windows beginning at a row do not touch, by whole rows of blocks."""
        while row - self._top >= BLOCK:
            self._write(BLOCK)

    def _write(self, count: int) -> None:
        with np.errstate(invalid="ignore"):
            mean = self._sum[:count] / self._weight[:count, :, None]  # 0 / 0 is NaN, as it shall be
        bands = mean.transpose(2, 0, 1)
        # Block by block: GDAL would otherwise hold and compress half-written ones of a wide scene.
        for col in range(0, self.cols, BLOCK):
            part = np.ascontiguousarray(bands[:, :, col : col + BLOCK])
            self._file.write(part, window=Window(col, self._top, part.shape[2], count))
        for held in (self._sum, self._weight):
            held[:-count] = held[count:]
            held[-count:] = 0
        self._top += count


def _check_whole(path: str) -> None:
    """Check that every block lies in the file: of a disk that is full, GDAL says nothing when closing."""
    size = os.path.getsize(path)
    try:
        with rasterio.open(path) as file:
            places = [_block_end(file, col, row) for (row, col), _ in file.block_windows(1)]
    except RasterioIOError:
        places = [size + 1]
    if max(places) > size:
        raise OSError(f"{path} could not be written whole. Is the disk full? Make room and run it again.")


def _block_end(file: DatasetReader, col: int, row: int) -> float:
    """Byte behind a block; infinite if it was not written."""
    start, length = (
        file.get_tag_item(f"BLOCK_{key}_{col}_{row}", "TIFF", bidx=1) for key in ("OFFSET", "SIZE")
    )
    return math.inf if start is None else int(start) + int(length)


def taper(window: int) -> Float:
    """Weights (window, window) of the patches of a window: a Hann window, positive everywhere."""
    side = np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2
    return np.outer(side, side).astype(np.float32)
