"""Arrays that other libraries have read -> a sensor's bands and their validity."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.chips.base import Pixels
from xstars_lightning.sensors import Sensor

__all__ = ["chosen_bands", "with_validity"]


def chosen_bands(sensor: Sensor, there: Sequence[str]) -> list[int]:
    """Where the bands of a sensor stand among those of a file.

    Args:
        sensor: Its bands may be some of the file's, in any order.
        there: Common names of the file's bands, in its order.

    Raises:
        ValueError: If a band is not among them.
    """
    if missing := [band for band in sensor.bands if band not in there]:
        raise ValueError(
            f"Sensor {sensor.name!r} wants the bands {', '.join(missing)}, but the files hold "
            f"{', '.join(there)}. Describe the sensor by some of these."
        )
    return [there.index(band) for band in sensor.bands]


def with_validity(values: NDArray[np.generic], sensor: Sensor, name: str) -> Pixels:
    """Say which pixels of an array are valid.

    Args:
        values: Digital numbers (C, H, W).
        sensor: A pixel is missing where all bands hold its ``nodata``.
        name: Of the chip, for messages.

    Returns:
        The values, and validity (H, W).

    Raises:
        ValueError: If a valid pixel is NaN or infinite.
    """
    valid = np.ones(values.shape[1:], dtype=bool)
    if sensor.nodata is not None:
        same = np.isnan(values) if np.isnan(sensor.nodata) else values == sensor.nodata
        valid = ~same.all(axis=0)
    if wrong := int((valid & ~np.isfinite(values).all(axis=0)).sum()):
        raise ValueError(
            f"{name}: {wrong} of {valid.size} pixels of sensor {sensor.name!r} are NaN or infinite. If NaN "
            "marks missing pixels, say `nodata: nan` in the sensor; otherwise repair the file."
        )
    return values, valid
