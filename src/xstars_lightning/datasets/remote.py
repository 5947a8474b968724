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
# Answers that another attempt does not change. Some stores refuse what is missing as if it were forbidden.
FINAL = re.compile(r"(code|error)\W+(401|403|404|410)\b|does not exist|Access ?Denied|NoSuch(Key|Bucket)")
REMEMBERED = 600.0  # seconds for which a raster that failed finally is not asked for again
NETWORK = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(_streaming)?[/?]")
# GDAL retries nothing by itself, and waits for ever, by default. What the environment says goes first.
SETTINGS = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_TIME": "20",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
}


_lost: dict[str, tuple[float, str]] = {}  # per path, when and why it failed finally


class RemoteReadError(OSError):
    """A remote raster that cannot be read: it is gone, forbidden, or several attempts failed."""


def gdal_name(path: str) -> str:
    """GDAL's name of a raster: ``https://...`` becomes ``/vsicurl/https://...``, ``s3://`` ``/vsis3/``."""
    scheme, separator, rest = path.partition("://")
    return SCHEMES[scheme] + rest if separator and scheme in SCHEMES else path


def is_remote(path: str) -> bool:
    """Whether a raster lies behind a network."""
    return NETWORK.search(gdal_name(path)) is not None


def persist[T](path: str, action: Callable[[], T]) -> T:
    """Read from a raster; from a remote one again if it fails, after 0.5, 2 and 8 s.

    Nothing is tried again where the server says that the raster is gone or forbidden (HTTP 401, 403, 404 or
    410), nor in this process within the ten minutes after.

    Args:
        path: The raster.
        action: Reads from it. GDAL forgets before each attempt what it knows of the file.

    Raises:
        RasterioIOError: If a local raster fails.
        RemoteReadError: If a remote one fails finally, or four times; the message names it and GDAL's reason.
    """
    if not is_remote(path):
        return action()
    if path in _lost and time.monotonic() - _lost[path][0] < REMEMBERED:
        raise _failure(path, _lost[path][1])
    with rasterio.Env(**{key: value for key, value in SETTINGS.items() if key not in os.environ}):
        for pause in PAUSES:
            try:
                return action()
            except RasterioIOError as error:
                if _note_final(path, error):
                    raise _failure(path, _reason(error)) from error
                logger.info("%s: %s Trying again in %g s.", path, _reason(error), pause)
            time.sleep(pause)
            invalidate(gdal_name(path))
        try:
            return action()
        except RasterioIOError as error:
            _note_final(path, error)
            _note_vanished(path)
            raise _failure(path, _reason(error), f" after {len(PAUSES) + 1} attempts") from error


def _reason(error: RasterioIOError) -> str:
    return str(error.__cause__ or error)


def _failure(path: str, reason: str, attempts: str = "") -> RemoteReadError:
    return RemoteReadError(
        f"Cannot read the remote raster {path}{attempts}: {reason}. Check that it still exists, the network "
        "and the credentials (GDAL's environment variables); or copy it to a local disk."
    )


def _note_final(path: str, error: RasterioIOError) -> bool:
    """Whether a failure is final; if so, it is remembered here, and not by GDAL, which would for ever."""
    if final := FINAL.search(f"{error} {error.__cause__}") is not None:
        _lost[path] = (time.monotonic(), _reason(error))
        invalidate(gdal_name(path))
    return final


def _note_vanished(path: str) -> None:
    """Ask for an open raster's file anew: of a block that cannot be read, GDAL does not say why."""
    invalidate(gdal_name(path))
    try:
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), rasterio.open(gdal_name(path)):
            pass
    except RasterioIOError as error:
        _note_final(path, error)
