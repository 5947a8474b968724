"""Several raster files of one sensor as one image."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.grid import Grid
from xstars_lightning.datasets.raster_file import RasterFile
from xstars_lightning.datasets.reading import read_onto
from xstars_lightning.sensors import Sensor

__all__ = ["mosaic", "scaled"]

Values = NDArray[np.generic]
Bool = NDArray[np.bool_]


def mosaic(grid: Grid, files: Sequence[RasterFile], sensor: Sensor) -> tuple[Values, Bool]:
    """Read files onto a grid; the first one with a valid pixel gives it.

    Args:
        grid: Where to.
        files: Where from, the preferred ones first; none gives an image that is invalid everywhere.
        sensor: Bands, value range and nodata of last resort.

    Returns:
        Values (C, H, W) in digital numbers, arbitrary where invalid, in the type of the files that were
        read, in float32 if these have several or one had to be warped, uint8 if there is none; and
        validity (H, W).

    Raises:
        OSError: If a block cannot be read.
        ValueError: If a valid pixel is NaN or infinite.
    """
    if not files:
        shape = (len(sensor.bands), grid.height, grid.width)
        return np.zeros(shape, dtype=np.uint8), np.zeros(shape[1:], dtype=bool)
    image, valid = read_onto(grid, files[0], sensor)
    for file in files[1:]:
        if valid.all():
            break
        data, there = read_onto(grid, file, sensor)
        if data.dtype != image.dtype:
            image = image.astype(np.float32)
        np.copyto(image, data, where=there & ~valid, casting="same_kind")
        valid |= there
    return image, valid


def scaled(values: Values, valid: Bool, sensor: Sensor) -> NDArray[np.float32]:
    """Scale digital numbers so that the sensor's value range becomes [0, 1]; not clipped.

    Args:
        values: Digital numbers (C, H, W).
        valid: Validity (H, W).
        sensor: The value range.

    Returns:
        Scaled values (C, H, W), 0 where invalid.
    """
    low, high = sensor.value_range
    image = values.astype(np.float32)
    np.subtract(image, low, out=image)
    np.divide(image, high - low, out=image)
    if not valid.all():
        image[:, ~valid] = 0
    return image
