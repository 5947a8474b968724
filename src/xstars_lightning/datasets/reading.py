"""One raster file read onto a grid: as it is where the pixels coincide, else by one bilinear warp.

Where the grid is coarser by a factor of two or more, pixels are averaged first, from overviews if the file
has some.
"""

import math
from functools import lru_cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS as RasterioCRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.warp import reproject, transform, transform_bounds
from rasterio.windows import Window

from xstars_lightning.datasets.grid import ALIGNED, Grid, offset_on
from xstars_lightning.datasets.handles import OpenRaster, open_raster
from xstars_lightning.datasets.pixels import read_pixels
from xstars_lightning.datasets.raster_file import RasterFile
from xstars_lightning.sensors import Sensor

__all__ = ["read_onto"]

Pixels = tuple[NDArray[np.generic], NDArray[np.bool_]]
Place = tuple[int, int, int, int]  # column, row, width, height

MISSING = 1e-3  # share of the weight; as many pixels is the most that a value is displaced


def read_onto(grid: Grid, file: RasterFile, sensor: Sensor) -> Pixels:
    """Read a file's pixels on a grid.

    Args:
        grid: Where to.
        file: Where from; it need not cover the grid.
        sensor: Bands and nodata of last resort.

    Returns:
        Values (C, H, W) in digital numbers, arbitrary where invalid, in the file's type, or in float32
        where they had to be warped; and validity (H, W), False also outside the file.

    Raises:
        OSError: If the file cannot be opened or a block not be read.
        ValueError: If a valid pixel is NaN or infinite.
    """
    raster = open_raster(file.path, sensor)
    start = offset_on(grid, file)
    if start is not None:
        return _read_plain(raster, sensor, *start, grid.width, grid.height)
    return _read_warped(raster, sensor, grid, file)


def _read_plain(raster: OpenRaster, sensor: Sensor, col: int, row: int, width: int, height: int) -> Pixels:
    """Read a window that may stick out of the file; what sticks out is invalid."""
    left, top = max(col, 0), max(row, 0)
    right, bottom = min(col + width, raster.source.width), min(row + height, raster.source.height)
    inside = Window(left, top, right - left, bottom - top) if left < right and top < bottom else None
    if inside is not None and (inside.width, inside.height) == (width, height):
        return read_pixels(raster, sensor, inside)
    data = np.zeros((len(sensor.bands), height, width), dtype=raster.source.dtypes[0])
    valid = np.zeros((height, width), dtype=bool)
    if inside is not None:
        part = (slice(top - row, bottom - row), slice(left - col, right - col))
        data[:, *part], valid[part] = read_pixels(raster, sensor, inside)
    return data, valid


def _read_warped(raster: OpenRaster, sensor: Sensor, grid: Grid, file: RasterFile) -> Pixels:
    """Resample onto the grid; valid where every pixel that has weight is."""
    target_crs = _rasterio_crs(grid.crs.to_wkt())
    factor = _coarser(raster.source, grid, target_crs)
    window = _source_window(raster.source, grid, target_crs, 2 * factor)
    if factor > 1:
        window, (data, valid) = _read_averaged(raster, sensor, window, factor)
    else:
        data, valid = _read_plain(raster, sensor, *window)
    warped = np.full((len(data) + 1, grid.height, grid.width), np.nan, dtype=np.float32)
    if not valid.any():
        return warped[:-1], np.zeros(warped.shape[1:], dtype=bool)
    values, holes = data.astype(np.float32), not valid.all()
    if holes:
        # Weights that leave out invalid pixels would shift the values beside them. Validity goes along as
        # another band instead, and tells how much weight the valid ones have.
        values[:, ~valid] = 0
        values = np.concatenate([values, valid[None]], dtype=np.float32)
    warped = warped[: len(values)]
    reproject(
        values,
        warped,
        src_transform=file.transform @ Affine.translation(*window[:2]) @ Affine.scale(factor),
        src_crs=raster.source.crs,
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
    return _where_whole(warped) if holes else (warped, ~np.isnan(warped[0]))


def _where_whole(warped: NDArray[np.float32]) -> Pixels:
    """Take from warped bands the last, the share of valid pixels; a thousandth may be missing."""
    data, share = warped[:-1], warped[-1]
    valid = share > 1 - MISSING
    data[:, valid] /= share[valid]
    return data, valid


def _read_averaged(raster: OpenRaster, sensor: Sensor, window: Place, factor: int) -> tuple[Place, Pixels]:
    """Read pixels ``factor`` times as large, of those that lie in the file as a whole.

    Returns:
        The window that was read, with a rim of invalid pixels where the file ends, then values and validity.
    """
    col, row = (max(start, 0) // factor * factor for start in window[:2])
    width = (min(window[0] + window[2], raster.source.width) - col) // factor * factor
    height = (min(window[1] + window[3], raster.source.height) - row) // factor * factor
    if min(width, height) < factor:
        return window, _read_plain(raster, sensor, -1, -1, 1, 1)  # outside: valid nowhere
    shape = (height // factor, width // factor)
    data, valid = read_pixels(raster, sensor, Window(col, row, width, height), shape, Resampling.average)
    place, size = window[:2], (raster.source.width, raster.source.height)
    if min(place) >= 0 and all(a + b <= c for a, b, c in zip(place, window[2:], size, strict=True)):
        return (col, row, width, height), (data, valid)
    around = (col - factor, row - factor, width + 2 * factor, height + 2 * factor)
    return around, (np.pad(data, ((0, 0), (1, 1), (1, 1))), np.pad(valid, 1))


def _coarser(source: DatasetReader, grid: Grid, target_crs: RasterioCRS) -> int:
    """How many of the file's pixels, in whole numbers, a pixel of the grid is long, 1 at least."""
    middle = (grid.width / 2, grid.height / 2)
    places = [grid.transform @ (middle[0] + x, middle[1] + y) for x, y in ((0, 0), (1, 0), (0, 1))]
    x, y = transform(target_crs, source.crs, *zip(*places, strict=True))
    (col, row), *others = (~source.transform @ place for place in zip(x, y, strict=True))
    return max(int(min(math.hypot(a - col, b - row) for a, b in others) + ALIGNED), 1)


@lru_cache
def _rasterio_crs(wkt: str) -> RasterioCRS:
    return RasterioCRS.from_wkt(wkt)


def _source_window(source: DatasetReader, grid: Grid, target_crs: RasterioCRS, margin: int) -> Place:
    """Column, row, width and height of the source pixels that the grid needs, with a margin."""
    xmin, ymin, xmax, ymax = transform_bounds(target_crs, source.crs, *grid.bounds)
    corners = [~source.transform @ (x, y) for x in (xmin, xmax) for y in (ymin, ymax)]
    spans = []
    for positions, size in zip(zip(*corners, strict=True), (source.width, source.height), strict=True):
        low = max(math.floor(min(positions)), 0) - margin
        spans.append((low, max(min(math.ceil(max(positions)), size) + margin - low, 1)))
    (col, width), (row, height) = spans
    return col, row, width, height
