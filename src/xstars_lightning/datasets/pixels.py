"""Pixels of one open raster file: values and validity, no georeferencing."""

import math

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from xstars_lightning.sensors import Sensor

__all__ = ["read_pixels"]

Bool = NDArray[np.bool_]


def read_pixels(
    source: DatasetReader,
    sensor: Sensor,
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
) -> tuple[NDArray[np.generic], Bool]:
    """Read the sensor's bands and say which pixels are valid.

    An alpha band or internal mask decides on validity; otherwise nodata does: the file's own or,
    where it declares none, the sensor's. A nodata value inside the sensor's value range occurs in
    single bands of genuine (dark) pixels, so a pixel is missing only where *all* bands hold it; one
    outside the range, or NaN, makes a pixel missing if *any* band holds it.

    Args:
        source: An open file.
        sensor: Names the number of bands, the value range and the nodata of last resort.
        window: Part to read, inside the file; all of it by default.
        shape: Height and width to decimate to (nearest neighbour), if any.

    Returns:
        Values (C, H, W) in the file's type, not scaled, and validity (H, W).

    Raises:
        OSError: If a block cannot be read.
        ValueError: If a valid pixel is NaN or infinite.
    """
    count = len(sensor.bands)
    out_shape = None if shape is None else (count, *shape)
    try:
        data = source.read(list(range(1, count + 1)), window=window, out_shape=out_shape)
        valid = _declared(source, window, shape)
    except RasterioIOError as error:
        reason = error.__cause__ or error
        raise OSError(
            f"Cannot read {source.name}, {_place(window)}: {reason}. The file is corrupt or truncated; "
            "restore it from its source, or remove it."
        ) from error
    if valid is None:
        valid = ~_missing(data, source.nodatavals, sensor)
    _check_finite(data, valid, source.name, window)
    return data, valid


def _declared(source: DatasetReader, window: Window | None, shape: tuple[int, int] | None) -> Bool | None:
    """Validity (H, W) by an alpha band or mask, or None where the file has neither."""
    if MaskFlags.per_dataset not in source.mask_flag_enums[0]:
        return None
    return source.dataset_mask(window=window, out_shape=shape) > 0


def _missing(data: NDArray[np.generic], declared: tuple[float | None, ...], sensor: Sensor) -> Bool:
    """Pixels (H, W) that hold nodata; see :func:`read_pixels` for the rule."""
    per_band = declared[: len(data)]
    if all(value is None for value in per_band):
        per_band = (sensor.nodata,) * len(data)
    low, high = sensor.value_range
    any_band = np.zeros(data.shape[1:], dtype=bool)
    all_bands = np.ones(data.shape[1:], dtype=bool)
    for band, nodata in zip(data, per_band, strict=True):
        if nodata is None:
            all_bands[:] = False
            continue
        # A plain float takes the band's type, so that float32 nodata compare equal.
        match = np.isnan(band) if math.isnan(nodata) else band == float(nodata)
        all_bands &= match
        if not low <= nodata <= high:
            any_band |= match
    return any_band | all_bands


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
