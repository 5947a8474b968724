"""What must be known of a raster file before reading from it, checked when it is indexed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.footprint import raster_box, valid_outline
from xstars_lightning.datasets.handles import open_raster
from xstars_lightning.datasets.remote import persist
from xstars_lightning.sensors import Sensor

__all__ = ["RasterFile", "check_bands", "inspect_raster", "metres_per_unit", "pyproj_crs", "uniform"]


@dataclass(frozen=True)
class RasterFile:
    """A file's place on the ground.

    Args:
        path: The file, or the folder of a product.
        crs: Its coordinate reference system.
        transform: Pixel (column, row) to coordinates in ``crs``.
        width: Columns.
        height: Rows.
        box: Quadrilateral of the image in ``crs``.
        footprint: Outline of the valid pixels in ``crs``.
    """

    path: str
    crs: CRS
    transform: Affine
    width: int
    height: int
    box: BaseGeometry
    footprint: BaseGeometry

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Width and height of a pixel in units of ``crs``, also of a rotated image."""
        a, b, _, d, e, _ = self.transform[:6]
        return float(np.hypot(a, d)), float(np.hypot(b, e))

    @cached_property
    def north_up(self) -> bool:
        """Whether rows run east and columns south, to a thousandth of a pixel over the image."""
        a, b, _, d, e, _ = self.transform[:6]
        return bool(a > 0 > e and abs(b) * self.height < 1e-3 * a and abs(d) * self.width < -1e-3 * e)


def inspect_raster(path: str, sensor: Sensor, outline: bool = True) -> RasterFile:
    """Describe a raster file and check that it can be used.

    Args:
        path: The file, or the folder of a product.
        sensor: Its bands, and nodata of last resort.
        outline: Whether to look for the outline of the valid pixels, which reads the file at a low
            resolution; else the image's box stands for it.

    Raises:
        OSError: If it cannot be opened, or its last block not be read (it is truncated).
        ValueError: If it has no CRS or geotransform, its bands are not the sensor's, a product lacks one,
            or no pixel of it is valid.
    """
    raster = open_raster(path, sensor)
    source = raster.source
    _check_georeference(path, source)
    check_bands(source, sensor)
    _check_complete(path, source)
    box = raster_box(source)
    footprint = valid_outline(raster, sensor) if outline else box
    if footprint.is_empty:
        raise ValueError(
            f"{path} has no valid pixel: all are nodata ({source.nodata}; sensor {sensor.name!r}: "
            f"{sensor.nodata}) or masked. Remove the file, or correct its nodata."
        )
    size = (source.width, source.height)
    return RasterFile(path, pyproj_crs(source), source.transform, *size, box, footprint)


def uniform(files: Iterable[RasterFile]) -> list[RasterFile]:
    """Check that the pixels of one sensor's files are of one size, and make equal CRSs one object.

    Raises:
        ValueError: If pixel sizes differ by more than 1 %.
    """
    known: dict[str, CRS] = {}
    # One object per CRS: comparing an object with itself costs nothing.
    shared = [replace(file, crs=known.setdefault(file.crs.to_wkt(), file.crs)) for file in files]
    _check_same_resolution(shared)
    return shared


def pyproj_crs(source: DatasetReader) -> CRS:
    """The CRS of an open raster as TorchGeo holds it."""
    with rasterio.Env(OSR_WKT_FORMAT="WKT2_2018"):
        return CRS.from_user_input(source.crs)


def _check_georeference(path: str, source: DatasetReader) -> None:
    if source.crs is None:
        raise ValueError(
            f"{path} has no coordinate reference system. "
            "Add it with `rio edit-info --crs EPSG:... FILE` or `gdal_edit.py -a_srs EPSG:... FILE`."
        )
    if not np.isfinite(source.transform).all():
        raise ValueError(
            f"{path} has the geotransform {tuple(source.transform)[:6]}, which is no place. Correct it with "
            "`gdal_edit.py -a_ullr ULX ULY LRX LRY FILE`."
        )
    if source.transform.is_identity:
        raise ValueError(
            f"{path} has no geotransform: nothing says where its pixels lie. "
            "Add it with `gdal_edit.py -a_ullr ULX ULY LRX LRY FILE`, or rectify the file with `gdalwarp`."
        )


def check_bands(source: DatasetReader, sensor: Sensor) -> None:
    """Check that a raster has as many bands as its sensor.

    Raises:
        ValueError: If not.
    """
    alpha = source.colorinterp[-1] == ColorInterp.alpha
    count = source.count - alpha
    if count != len(sensor.bands):
        raise ValueError(
            f"{source.name} has {count} bands{' and alpha' if alpha else ''}, but sensor {sensor.name!r} has "
            f"{len(sensor.bands)}: {', '.join(sensor.bands)}. Choose the sensor that matches the files, or "
            "declare one of your own with the bands in the files' order."
        )


def _check_complete(path: str, source: DatasetReader) -> None:
    """Read the last block: of a file cut short, it is the one that is missing."""
    height, width = source.block_shapes[-1]
    row, col = (source.height - 1) // height * height, (source.width - 1) // width * width
    window = Window(col, row, source.width - col, source.height - row)
    try:
        # The bands of a product are files of their own.
        bands = None if source.driver == "VRT" else source.count
        persist(path, lambda: source.read(bands, window=window))
    except RasterioIOError as error:
        raise OSError(
            f"{path} is truncated or corrupt: its last block cannot be read "
            f"({error.__cause__ or error}). Restore the file from its source, or remove it."
        ) from error


def metres_per_unit(crs: CRS) -> float:
    """Length of a unit of a projected CRS."""
    return float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0


def _check_same_resolution(files: Sequence[RasterFile]) -> None:
    """Refuse files whose pixels differ in size by more than one percent.

    Raises:
        ValueError: The message names two such files. Files in degrees are compared with each other,
            files in metres with each other.
    """
    for geographic in (True, False):
        group = [file for file in files if file.crs.is_geographic == geographic]
        if not group:
            continue
        sizes = np.array([file.pixel_size for file in group])
        if not geographic:
            sizes *= np.array([metres_per_unit(file.crs) for file in group])[:, None]
        other = int(np.abs(sizes / sizes[0] - 1).max(axis=1).argmax())
        if np.abs(sizes[other] / sizes[0] - 1).max() > 0.01:
            raise ValueError(
                f"{group[0].path} has pixels of {tuple(sizes[0].tolist())}, {group[other].path} of "
                f"{tuple(sizes[other].tolist())} {'degrees' if geographic else 'metres'}. The files of one "
                "sensor must agree within 1 %: give other resolutions as a sensor of their own."
            )
