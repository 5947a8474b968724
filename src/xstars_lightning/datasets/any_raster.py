"""The outline of a raster of which no sensor is known."""

import rasterio
from pyproj import CRS
from rasterio.enums import ColorInterp
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.footprint import valid_outline
from xstars_lightning.datasets.handles import open_raster
from xstars_lightning.datasets.raster_file import pyproj_crs
from xstars_lightning.datasets.remote import gdal_name
from xstars_lightning.sensors import Sensor

__all__ = ["outline_any"]


def outline_any(path: str) -> tuple[BaseGeometry, CRS | None]:
    """Outline the valid pixels of a raster of any kind.

    Args:
        path: The file.

    Returns:
        The outline in the raster's own CRS, and that CRS; None if it has none.

    Raises:
        RasterioIOError: If it is no raster.
    """
    with rasterio.open(gdal_name(path)) as source:
        count = source.count - (source.colorinterp[-1] == ColorInterp.alpha)
        crs = pyproj_crs(source) if source.crs else None
    bands = tuple(f"band_{number}" for number in range(1, count + 1))
    anything = Sensor(
        name=path,
        bands=bands,
        resolution=1,
        value_range=(float("-inf"), float("inf")),
        mean=(0.0,) * count,
        std=(1.0,) * count,
        rgb_bands=(bands[0],) * 3,
    )
    return valid_outline(open_raster(path, anything), anything), crs
