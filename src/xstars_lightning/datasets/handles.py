"""Open raster files, kept open between reads but never across a fork."""

import atexit
import os
from functools import lru_cache

import rasterio
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader

__all__ = ["open_raster"]


@lru_cache(maxsize=128)
def open_raster(path: str) -> DatasetReader:
    """Open a raster for reading, or return the handle opened before.

    At most 128 files stay open per process. The caller must not close the handle.

    Args:
        path: File, or anything that GDAL opens (``/vsicurl/...``, ``s3://...``).

    Raises:
        OSError: If GDAL cannot open it; the message gives GDAL's reason.
    """
    try:
        return rasterio.open(path)
    except RasterioIOError as error:
        raise OSError(
            f"Cannot open the raster {path}: {error} Restore the file from its source, or remove it."
        ) from error


# A GDAL handle that parent and child share has one file position: reads return other blocks' bytes.
os.register_at_fork(after_in_child=open_raster.cache_clear)
# Handles that outlive the interpreter's shutdown print errors from GDAL's own.
atexit.register(open_raster.cache_clear)
