"""One raster file read onto a grid: as it is where the pixels coincide, else by one bilinear warp."""

import math

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS as RasterioCRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window

from xstars_lightning.datasets.grid import Grid, offset_on
from xstars_lightning.datasets.handles import open_raster
from xstars_lightning.datasets.pixels import read_pixels
from xstars_lightning.datasets.raster_file import RasterFile
from xstars_lightning.sensors import Sensor

__all__ = ["read_onto"]

Pixels = tuple[NDArray[np.float32], NDArray[np.bool_]]


def read_onto(grid: Grid, file: RasterFile, sensor: Sensor) -> Pixels:
    """Read a file's pixels on a grid.

    Args:
        grid: Where to.
        file: Where from; it need not cover the grid.
        sensor: Bands and nodata of last resort.

    Returns:
        Values (C, H, W) in digital numbers, arbitrary where invalid, and validity (H, W), False also
        outside the file.

    Raises:
        OSError: If a block cannot be read.
        ValueError: If a valid pixel is NaN or infinite.
    """
    source = open_raster(file.path)
    start = offset_on(grid, file)
    if start is not None:
        return _read_plain(source, sensor, *start, grid.width, grid.height)
    return _read_warped(source, sensor, grid, file)


def _read_plain(source: DatasetReader, sensor: Sensor, col: int, row: int, width: int, height: int) -> Pixels:
    """Read a window that may stick out of the file; what sticks out is invalid."""
    data = np.zeros((len(sensor.bands), height, width), dtype=np.float32)
    valid = np.zeros((height, width), dtype=bool)
    left, top = max(col, 0), max(row, 0)
    right, bottom = min(col + width, source.width), min(row + height, source.height)
    if left < right and top < bottom:
        inside = (slice(top - row, bottom - row), slice(left - col, right - col))
        window = Window(left, top, right - left, bottom - top)
        data[:, *inside], valid[inside] = read_pixels(source, sensor, window)
    return data, valid


def _read_warped(source: DatasetReader, sensor: Sensor, grid: Grid, file: RasterFile) -> Pixels:
    """Resample onto the grid; invalid pixels have no weight, and spread by half a pixel at most."""
    shape = (len(sensor.bands), grid.height, grid.width)
    warped = np.full(shape, np.nan, dtype=np.float32)
    target_crs = RasterioCRS.from_user_input(grid.crs.to_wkt())
    window = _source_window(source, grid, target_crs)
    data, valid = _read_plain(source, sensor, *window)
    if valid.any():
        data[:, ~valid] = np.nan
        reproject(
            data,
            warped,
            src_transform=file.transform @ Affine.translation(window[0], window[1]),
            src_crs=source.crs,
            src_nodata=np.nan,
            dst_transform=grid.transform,
            dst_crs=target_crs,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
            tolerance=0,  # GDAL's default, 0.125, is pixels of error
            # A rotated grid looks coarser to GDAL, which would widen the kernel and shift edges.
            XSCALE=1,
            YSCALE=1,
        )
    return warped, ~np.isnan(warped[0])


def _source_window(source: DatasetReader, grid: Grid, target_crs: RasterioCRS) -> tuple[int, int, int, int]:
    """Column, row, width and height of the source pixels that the grid needs, with a margin of two."""
    xmin, ymin, xmax, ymax = transform_bounds(target_crs, source.crs, *grid.bounds)
    corners = [~source.transform @ (x, y) for x in (xmin, xmax) for y in (ymin, ymax)]
    spans = []
    for positions, size in zip(zip(*corners, strict=True), (source.width, source.height), strict=True):
        low = max(math.floor(min(positions)), 0) - 2
        spans.append((low, max(min(math.ceil(max(positions)), size) + 2 - low, 1)))
    (col, width), (row, height) = spans
    return col, row, width, height
