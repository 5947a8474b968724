"""Pixels of one open raster file: values and validity, no georeferencing."""

import math

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from xstars_lightning.datasets.handles import OpenRaster
from xstars_lightning.datasets.masks import average_valid
from xstars_lightning.datasets.remote import persist
from xstars_lightning.sensors import Sensor

__all__ = ["read_pixels"]

Bool = NDArray[np.bool_]


def read_pixels(
    raster: OpenRaster,
    sensor: Sensor,
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
    resampling: Resampling = Resampling.nearest,
) -> tuple[NDArray[np.generic], Bool]:
    """Read the sensor's bands and say which pixels are valid.

    An alpha band or internal mask decides on validity; otherwise nodata does: the file's own or,
    where it declares none, the sensor's. A nodata value inside the sensor's value range occurs in
    single bands of genuine (dark) pixels, so a pixel is missing only where *all* bands hold it; one
    outside the range, or NaN, makes a pixel missing if *any* band holds it. In a product, the quality
    band (clouds) must call it valid too.

    Args:
        raster: An open file.
        sensor: Names the number of bands, the value range and the nodata of last resort.
        window: Part to read, inside the file; all of it by default.
        shape: Height and width to decimate to, if any; from overviews where there are some.
        resampling: How to decimate; only by the nearest neighbour where the file itself does not
            declare its nodata, lest they be mixed with values. GDAL would average clouds into pixels
            beside them: of a product, the pixels that its quality band calls valid are averaged here, to one
            that is valid where half of them are, and ``shape`` must divide the window.

    Returns:
        Values (C, H, W) in the file's type, in float32 where a product is averaged, not scaled; and validity
        (H, W).

    Raises:
        OSError: If a block cannot be read; a remote one (:class:`RemoteReadError`) after several attempts.
        ValueError: If a valid pixel is NaN or infinite.
    """
    try:
        data, valid = persist(raster.path, lambda: _read(raster, sensor, window, shape, resampling))
    except RasterioIOError as error:
        reason = error.__cause__ or error
        raise OSError(
            f"Cannot read {raster.path}, {_place(window)}: {reason}. The file is corrupt or truncated; "
            "restore it from its source, or remove it."
        ) from error
    _check_finite(data, valid, raster.path, window)
    return data, valid


def _read(
    raster: OpenRaster,
    sensor: Sensor,
    window: Window | None,
    shape: tuple[int, int] | None,
    resampling: Resampling,
) -> tuple[NDArray[np.generic], Bool]:
    if shape is not None and raster.quality is not None and resampling == Resampling.average:
        return average_valid(*_read(raster, sensor, window, None, Resampling.nearest), shape)
    source, count = raster.source, len(sensor.bands)
    bands = None if source.count == count else list(range(1, count + 1))
    if sensor.nodata is not None and not raster.masked and None in raster.nodata:
        resampling = Resampling.nearest
    out_shape = None if shape is None else (count, *shape)
    data = source.read(bands, window=window, out_shape=out_shape, resampling=resampling)
    if raster.masked:
        return data, source.dataset_mask(window=window, out_shape=shape, resampling=resampling) > 0
    valid = _not_missing(data, raster.nodata, sensor)
    if raster.quality is not None:
        valid &= raster.quality.read(window, shape)
    return data, valid


def _not_missing(data: NDArray[np.generic], declared: tuple[float | None, ...], sensor: Sensor) -> Bool:
    """Pixels (H, W) that do not hold nodata; see :func:`read_pixels` for the rule."""
    per_band = declared[: len(data)]
    if all(value is None for value in per_band):
        per_band = (sensor.nodata,) * len(data)
    low, high = sensor.value_range
    valid = np.ones(data.shape[1:], dtype=bool)
    if None in per_band and all(value is None or low <= value <= high for value in per_band):
        return valid
    seen = np.zeros_like(valid)
    for band, nodata in zip(data, per_band, strict=True):
        there = _differs(band, nodata)
        seen |= there
        if nodata is not None and not low <= nodata <= high:
            valid &= there
    return valid & seen


def _differs(band: NDArray[np.generic], nodata: float | None) -> Bool | np.bool_:
    if nodata is None:
        return np.True_
    if math.isnan(nodata):
        return ~np.isnan(band)
    # Plain numbers take the band's type: float32 nodata compare equal, and bytes are not made floats.
    whole = band.dtype.kind in "iu" and float(nodata).is_integer()
    return band != (int(nodata) if whole else float(nodata))


def _check_finite(data: NDArray[np.generic], valid: Bool, name: str, window: Window | None) -> None:
    if data.dtype.kind != "f":
        return
    bad = ~np.isfinite(data).all(axis=0) & valid
    if bad.any():
        raise ValueError(
            f"{name}: {int(bad.sum())} of {bad.size} pixels ({_place(window)}) are NaN or infinite though "
            "its mask calls them valid. If NaN marks missing pixels, say `nodata: nan` in the sensor; "
            "otherwise repair the file."
        )


def _place(window: Window | None) -> str:
    if window is None:
        return "whole image"
    col, row, width, height = (round(value) for value in window.flatten())
    return f"window col {col} row {row} width {width} height {height}"
