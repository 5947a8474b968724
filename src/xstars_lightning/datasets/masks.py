"""Bands of classes or bits, delivered with an image, that say which of its pixels to use."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

__all__ = ["QA_PIXEL", "SCL", "QualityBand", "average_valid"]

Bool = NDArray[np.bool_]


def _classes(invalid: Iterable[int]) -> Bool:
    valid = np.ones(256, dtype=bool)
    valid[list(invalid)] = False
    return valid


def _bits(invalid: Iterable[int]) -> Bool:
    return (np.arange(2**16) & sum(1 << bit for bit in invalid)) == 0


# Scene classification of Sentinel-2 level 2A: no data, saturated or defective, cloud shadow, cloud of
# medium and of high probability, thin cirrus. Snow (11) is ground, and so are dark areas (2), water (6) and
# unclassified pixels (7).
# https://sentiwiki.copernicus.eu/web/s2-processing
SCL = _classes((0, 1, 3, 8, 9, 10))
# Landsat Collection 2: fill, dilated cloud, cirrus, cloud, cloud shadow. Snow (bit 5) is ground.
# https://www.usgs.gov/landsat-missions/landsat-collection-2-quality-assessment-bands
QA_PIXEL = _bits((0, 1, 2, 3, 4))


@dataclass(frozen=True)
class QualityBand:
    """An open band of quality values on the grid of the image it belongs to.

    Args:
        source: GDAL's handle.
        valid: Whether a pixel is valid, by value.
    """

    source: DatasetReader
    valid: Bool

    def read(self, window: Window | None, shape: tuple[int, int] | None) -> Bool:
        """Validity (H, W) of a window, decimated to a shape by the nearest neighbour if one is given."""
        return self.valid[self.source.read(1, window=window, out_shape=shape)]


def average_valid(
    data: NDArray[np.generic], valid: Bool, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], Bool]:
    """Average the valid pixels in blocks, so that no cloud is mixed into what is called valid.

    Args:
        data: Values (C, H, W).
        valid: Validity (H, W).
        shape: Number of blocks along height and width, divisors of H and W.

    Returns:
        Means (C, *shape), 0 where there is nothing to average, and validity (*shape): whether at least half
        of a block's pixels are valid.
    """
    (rows, columns), (height, width) = shape, valid.shape
    blocks = (rows, height // rows, columns, width // columns)
    weights = valid.reshape(blocks)
    counts = weights.sum(axis=(1, 3))
    sums = np.where(weights, data.reshape(-1, *blocks), 0).sum(axis=(2, 4), dtype=np.float64)
    means = (sums / np.maximum(counts, 1)).astype(np.float32)
    return means, 2 * counts >= blocks[1] * blocks[3]
