"""An area of interest, in whatever way it is given."""

import os
from functools import lru_cache
from glob import has_magic

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.errors import RasterioIOError
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.any_raster import outline_any
from xstars_lightning.datasets.archive.lonlat import LONLAT
from xstars_lightning.datasets.scene_outlines import CATALOGUES, read_outlines
from xstars_lightning.datasets.warping import warp_outlines

__all__ = ["read_area"]

Geometries = NDArray[np.object_]

BEYOND = 10.0  # degrees around the area that a CRS is for, in which its coordinates can be trusted


def read_area(path: str, crs: CRS) -> BaseGeometry:
    """Read an area: the polygons of a vector file or an index, or the valid pixels of rasters.

    The file is read once, for however many CRSs the area is wanted in.

    Args:
        path: A vector file, an index or catalogue (.parquet), a raster, or a folder or glob of rasters.
        crs: Coordinate reference system of the result.

    Returns:
        The area; empty if it lies far from where the CRS can be used.

    Raises:
        FileNotFoundError: If there is no such file, or a folder or glob holds no raster.
        ValueError: If it is neither raster nor vector, has no CRS or no area.
    """
    outlines, own = _read(path, _changed(path))
    if own is None:
        raise ValueError(f"{path} has no coordinate reference system; give it one to use it as an area.")
    if not (shapely.area(outlines) > 0).any():
        raise ValueError(f"{path} holds no polygon and no valid pixel: it is no area.")
    if own.is_geographic and not crs.is_geographic:
        outlines = _near(outlines, crs)
    warped = _reached(warp_outlines(list(outlines), [own] * len(outlines), crs), path, crs)
    return shapely.union_all(shapely.make_valid(warped))


def _changed(path: str) -> int | None:
    """When a file or folder was changed; None for a glob or a remote file.

    Raises:
        FileNotFoundError: If there is none.
    """
    if os.path.exists(path):
        return os.stat(path).st_mtime_ns
    if path.startswith("/vsi") or "://" in path or has_magic(path):
        return None
    raise FileNotFoundError(f"No such file for the area: {path!r} (seen from {os.getcwd()}).")


@lru_cache(maxsize=16)
def _read(path: str, changed: int | None) -> tuple[Geometries, CRS | None]:
    """Outlines, and their CRS; ``changed`` makes a new version of a file another one."""
    if os.path.isdir(path) or path.lower().endswith(CATALOGUES) or changed is None:
        return read_outlines([path]).geometry.to_numpy(), LONLAT
    try:
        outline, own = outline_any(path)
    except RasterioIOError:
        return _polygons(path)
    return np.array([outline], dtype=object), own


def _polygons(path: str) -> tuple[Geometries, CRS | None]:
    try:
        frame = gpd.read_file(path)
    except Exception as error:
        raise ValueError(f"{path} is neither a raster nor a vector file that GDAL reads: {error}") from error
    return frame.geometry.to_numpy(), frame.crs


def _near(degrees: Geometries, crs: CRS) -> Geometries:
    """What of some outlines lies where a projected CRS is used; all of it where nothing says."""
    authority = crs.to_authority()
    area = None if authority is None else CRS.from_authority(*authority).area_of_use  # files do not keep it
    if area is None:
        return degrees
    west, east = area.west - BEYOND, area.west + (area.east - area.west) % 360 + BEYOND
    south, north = area.south - BEYOND, area.north + BEYOND
    turns = (-360, 0, 360)
    box = shapely.union_all([shapely.box(west + turn, south, east + turn, north) for turn in turns])
    near = shapely.intersection(shapely.make_valid(degrees), box)
    return near[~shapely.is_empty(near)]


def _reached(warped: list[BaseGeometry], path: str, crs: CRS) -> list[BaseGeometry]:
    """Outlines without those all of which lies where a CRS does not reach.

    Raises:
        ValueError: If some of an outline does, and some does not.
    """
    xy, row = shapely.get_coordinates(warped, return_index=True)
    count = np.bincount(row, minlength=len(warped))
    finite = np.bincount(row, np.isfinite(xy).all(axis=1), minlength=len(warped))
    if ((finite > 0) & (finite < count)).any():
        raise ValueError(
            f"{path} holds an outline that reaches to where {crs.name!r} has no coordinates. Cut it to the "
            "surroundings of the images."
        )
    return [warped[number] for number in np.flatnonzero((finite == count) & (count > 0)).tolist()]
