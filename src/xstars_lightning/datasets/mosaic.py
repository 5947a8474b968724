"""Several raster files of one sensor as one image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.grid import Grid
from xstars_lightning.datasets.raster_file import RasterFile
from xstars_lightning.datasets.reading import read_onto
from xstars_lightning.sensors import Sensor

__all__ = ["mosaic"]


def mosaic(
    grid: Grid, files: Sequence[RasterFile], sensor: Sensor
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read files onto a grid; the first one with a valid pixel gives it.

    Args:
        grid: Where to.
        files: Where from, the preferred ones first; none gives an image that is invalid everywhere.
        sensor: Bands, value range and nodata of last resort.

    Returns:
        Values (C, H, W), scaled so that the sensor's value range becomes [0, 1], 0 where invalid, and
        validity (H, W).

    Raises:
        OSError: If a block cannot be read.
        ValueError: If a valid pixel is NaN or infinite.
    """
    image = np.zeros((len(sensor.bands), grid.height, grid.width), dtype=np.float32)
    valid = np.zeros((grid.height, grid.width), dtype=bool)
    low, high = sensor.value_range
    for file in files:
        data, there = read_onto(grid, file, sensor)
        np.subtract(data, low, out=data)
        np.divide(data, high - low, out=data)
        np.copyto(image, data, where=there & ~valid)
        valid |= there
        if valid.all():
            break
    return image, valid
