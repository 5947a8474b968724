"""Outlines and pixel sizes moved from the files' CRSs to that of a dataset."""

from collections.abc import Sequence

import geopandas as gpd
import numpy as np
import shapely
from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.raster_file import RasterFile, metres_per_unit
from xstars_lightning.sensors import Sensor

__all__ = ["pixel_size_in", "warp_outlines"]

METRES_PER_DEGREE = 111_320.0


def warp_outlines(outlines: Sequence[BaseGeometry], crs: Sequence[CRS], target: CRS) -> list[BaseGeometry]:
    """Warp one outline per file to one CRS; edges are densified first, because they bend."""
    result = np.array(outlines, dtype=object)
    for source in dict.fromkeys(crs):
        if source == target:
            continue
        rows = [row for row, other in enumerate(crs) if other is source or other == source]
        lengths = shapely.length(result[rows]) / 80
        dense = shapely.segmentize(result[rows], lengths)
        result[rows] = gpd.GeoSeries(dense, crs=source).to_crs(target).to_numpy()
    return list(result)


def pixel_size_in(crs: CRS, file: RasterFile, sensor: Sensor) -> tuple[float, float]:
    """Pixel width and height in units of a CRS: the file's own where they convert, else the sensor's."""
    if file.crs == crs:
        return file.pixel_size
    if crs.is_geographic:
        size = sensor.resolution / METRES_PER_DEGREE
        return size, size
    if file.crs.is_geographic:
        size = sensor.resolution / metres_per_unit(crs)
        return size, size
    ratio = metres_per_unit(file.crs) / metres_per_unit(crs)
    return file.pixel_size[0] * ratio, file.pixel_size[1] * ratio
