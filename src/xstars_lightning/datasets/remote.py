"""Rasters behind a network: their names for GDAL, and attempts repeated with growing pauses."""

import logging
import os
import re
import time
from collections.abc import Callable

import rasterio
from rasterio.cache import invalidate
from rasterio.errors import RasterioIOError

__all__ = ["RemoteReadError", "gdal_name", "is_remote", "persist"]

logger = logging.getLogger(__name__)

PAUSES = (0.5, 2.0, 8.0)  # seconds between attempts
SCHEMES = {"http": "/vsicurl/http://", "https": "/vsicurl/https://", "ftp": "/vsicurl/ftp://"}
SCHEMES |= {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/", "oss": "/vsioss/"}
NETWORK = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(_streaming)?[/?]")
# GDAL waits for ever by default. What the environment says goes first.
SETTINGS = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_TIME": "20",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
}


class RemoteReadError(OSError):
    """A remote raster that cannot be read after several attempts."""


def gdal_name(path: str) -> str:
    """GDAL's name of a raster: ``https://...`` becomes ``/vsicurl/https://...``, ``s3://`` ``/vsis3/``."""
    scheme, separator, rest = path.partition("://")
    return SCHEMES[scheme] + rest if separator and scheme in SCHEMES else path


def is_remote(path: str) -> bool:
    """Whether a raster lies behind a network."""
    return NETWORK.search(gdal_name(path)) is not None


def persist[T](path: str, action: Callable[[], T]) -> T:
    """Read from a raster; from a remote one again if it fails, after 0.5, 2 and 8 s.

    Args:
        path: The raster.
        action: Reads from it. GDAL forgets before each attempt what it knows of the file.

    Raises:
        RasterioIOError: If a local raster fails.
        RemoteReadError: If a remote one fails four times; the message names it and GDAL's reason.
    """
    if not is_remote(path):
        return action()
    with rasterio.Env(**{key: value for key, value in SETTINGS.items() if key not in os.environ}):
        for pause in PAUSES:
            try:
                return action()
            except RasterioIOError as error:
                logger.info("%s: %s Trying again in %g s.", path, error.__cause__ or error, pause)
            time.sleep(pause)
            invalidate(gdal_name(path))
        try:
            return action()
        except RasterioIOError as error:
            raise RemoteReadError(
                f"Cannot read the remote raster {path} after {len(PAUSES) + 1} attempts: "
                f"{error.__cause__ or error}. Check that it still exists, the network and the credentials "
                "(GDAL's environment variables); or copy it to a local disk."
            ) from error
