"""An area of interest given as a file."""

import os

import geopandas as gpd
import shapely
from pyproj import CRS
from rasterio.errors import RasterioIOError
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.any_raster import outline_any
from xstars_lightning.datasets.warping import warp_outlines

__all__ = ["read_area"]


def read_area(path: str, crs: CRS) -> BaseGeometry:
    """Read an area from the polygons of a vector file or the valid pixels of a raster.

    Args:
        path: The file.
        crs: Coordinate reference system of the result.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is neither raster nor vector, has no CRS or no area.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"No such file for the area: {path!r} (seen from {os.getcwd()}).")
    try:
        outline, own = outline_any(path)
        outlines = [outline]
    except RasterioIOError:
        outlines, own = _polygons(path)
    if own is None:
        raise ValueError(f"{path} has no coordinate reference system; give it one to use it as an area.")
    area = shapely.union_all(warp_outlines(outlines, [own] * len(outlines), crs))
    if not area.area > 0:
        raise ValueError(f"{path} holds no polygon and no valid pixel: it is no area.")
    return area


def _polygons(path: str) -> tuple[list[BaseGeometry], CRS | None]:
    try:
        frame = gpd.read_file(path)
    except Exception as error:
        raise ValueError(f"{path} is neither a raster nor a vector file that GDAL reads: {error}") from error
    return list(frame.geometry), frame.crs
