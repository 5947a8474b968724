"""Open raster files, kept open between reads but never across a fork."""

import atexit
import os
from dataclasses import dataclass
from functools import lru_cache

import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader

from xstars_lightning.datasets.masks import QualityBand
from xstars_lightning.datasets.products import open_product
from xstars_lightning.datasets.remote import RemoteReadError, gdal_name, is_remote, persist
from xstars_lightning.sensors import Sensor

__all__ = ["OpenRaster", "RemoteReadError", "open_alone", "open_limit", "open_raster"]


@dataclass(frozen=True)
class OpenRaster:
    """An open raster, and what reading it must know of it, asked of GDAL once.

    Args:
        path: As it was named.
        source: GDAL's handle; not to be closed.
        nodata: As the file declares it, per band.
        masked: Whether an alpha band or an internal mask says which pixels are valid.
        quality: Says of a product which pixels are valid, beside nodata.
    """

    path: str
    source: DatasetReader
    nodata: tuple[float | None, ...]
    masked: bool
    quality: QualityBand | None = None

    @property
    def all_valid(self) -> bool:
        """Whether the file declares nothing by which a pixel could be invalid."""
        return not self.masked and self.quality is None and all(value is None for value in self.nodata)


def open_raster(path: str, sensor: Sensor) -> OpenRaster:
    """Open a raster for reading, or return the one opened before.

    Per process, 256 rasters stay open, or as many as the environment's XSTARS_OPEN_FILES says.

    Args:
        path: File, folder of a product, or anything that GDAL opens (``/vsicurl/...``, ``https://...``,
            ``s3://...``).
        sensor: Its bands are looked for in a product.

    Raises:
        OSError: If GDAL cannot open it, a remote raster (:class:`RemoteReadError`) after several attempts
            unless it is gone or forbidden; the message gives GDAL's reason.
        ValueError: If a product lacks a band.
    """
    return _opened(path, sensor.bands)


def open_alone(path: str, sensor: Sensor) -> OpenRaster:
    """Open a raster once more: threads that read the same file need a handle each."""
    return _opened.__wrapped__(path, sensor.bands)


def open_limit() -> int:
    """Number of rasters that stay open per process."""
    value = os.environ.get("XSTARS_OPEN_FILES", "256")
    if not value.isdecimal() or int(value) < 1:
        raise ValueError(f"XSTARS_OPEN_FILES={value!r}: give the number of files to keep open, 1 or more.")
    return int(value)


@lru_cache(maxsize=open_limit())
def _opened(path: str, bands: tuple[str, ...]) -> OpenRaster:
    try:
        if os.path.isdir(path):
            return _open_folder(path, bands)
        return persist(path, lambda: _open_file(path))
    except RasterioIOError as error:
        raise OSError(
            f"Cannot open the raster {path}: {error} Restore the file from its source, or remove it."
        ) from error


def _open_file(path: str) -> OpenRaster:
    # Listing a folder of thousands to find side files (.msk, .ovr) takes longer than asking for each of
    # them; behind a network both do, and such files are not looked for.
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR" if is_remote(path) else "TRUE"):
        source = rasterio.open(gdal_name(path))
        masked = MaskFlags.per_dataset in source.mask_flag_enums[0]
    return OpenRaster(path, source, source.nodatavals, masked)


def _open_folder(path: str, bands: tuple[str, ...]) -> OpenRaster:
    product = open_product(path, bands)
    source, quality = rasterio.open(product.image), None
    if product.quality is not None and product.valid is not None:
        quality = QualityBand(rasterio.open(product.quality), product.valid)
    return OpenRaster(path, source, source.nodatavals, masked=False, quality=quality)


# A GDAL handle that parent and child share has one file position: reads return other blocks' bytes.
os.register_at_fork(after_in_child=_opened.cache_clear)
# Handles that outlive the interpreter's shutdown print errors from GDAL's own.
atexit.register(_opened.cache_clear)
