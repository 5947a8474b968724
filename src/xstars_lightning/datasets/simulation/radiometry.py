"""From reflectance to the digital numbers of a sensor, so that its declared statistics hold."""

import numpy as np
from numpy.typing import NDArray

from xstars_lightning.datasets.simulation.grids import FloatArray
from xstars_lightning.sensors import Sensor

__all__ = ["LEVELS", "encode", "histogram", "nodata_of", "pixel_type", "transfer_tables"]

LEVELS = 1 << 16
_STEP = 2.5e-5  # reflectance per level
_DARKEST = -0.05  # reflectance of level 0; noise can push dark pixels below zero
_CLIPPED = 0.008  # largest share of pixels that may fall at the darkest or beyond the brightest number
_BENDS = ((0.0, 1), *((stretch, power) for power in (4, 8, 16) for stretch in np.geomspace(0.05, 500, 50)))


def encode(reflectance: FloatArray) -> NDArray[np.uint16]:
    """Round reflectance to levels, fine enough for every sensor."""
    return np.round((reflectance - _DARKEST) / _STEP).clip(0, LEVELS - 1).astype(np.uint16)


def histogram(levels: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Count the levels of each band: (B, H, W) -> (B, LEVELS)."""
    return np.stack([np.bincount(band.ravel(), minlength=LEVELS) for band in levels])


def pixel_type(sensor: Sensor) -> type[np.uint8] | type[np.uint16]:
    """The integer type that holds a sensor's value range.

    Raises:
        ValueError: If no unsigned integers of 8 or 16 bits resolve it.
    """
    low, high = sensor.value_range
    if low < 0 or high > LEVELS - 1 or high - low < 50:
        raise ValueError(
            f"Sensor {sensor.name!r} has the value range {sensor.value_range}; simulated files hold integers "
            f"of 8 or 16 bits, so it must lie within (0, {LEVELS - 1}) and span at least 50."
        )
    return np.uint8 if high <= 255 else np.uint16


def nodata_of(sensor: Sensor) -> int:
    """The number that marks missing pixels: the sensor's own if a file can hold it, else 0."""
    largest, value = np.iinfo(pixel_type(sensor)).max, sensor.nodata
    return int(value) if value is not None and 0 <= value <= largest and value == int(value) else 0


def _curve(share: NDArray[np.float64], stretch: float, power: int) -> NDArray[np.float64]:
    """A monotone curve over the levels, (LEVELS,): straight in the dark, rising ever faster in the bright."""
    dark, bright = np.searchsorted(share.cumsum(), (0.001, 0.995))
    level = (np.arange(LEVELS) - dark) / max(bright - dark, 1)
    return level + stretch * level.clip(0, 1.3) ** power


def _numbers(
    share: NDArray[np.float64], sensor: Sensor, band: int, bend: tuple[float, int]
) -> NDArray[np.float64]:
    """Digital number of each level, before rounding: a curve, then the gain and offset that fit."""
    curve = _curve(share, *bend)
    mean = (share * curve).sum()
    std = max(np.sqrt((share * (curve - mean) ** 2).sum()), 1e-12)
    low, high = sensor.value_range
    return low + (sensor.mean[band] + sensor.std[band] * (curve - mean) / std) * (high - low)


def _table(counts: NDArray[np.int64], sensor: Sensor, band: int) -> NDArray[np.uint16]:
    """Digital number of each level of one band, (LEVELS,)."""
    largest, nodata = np.iinfo(pixel_type(sensor)).max, nodata_of(sensor)
    least = np.ceil(sensor.value_range[0])
    least += least == nodata
    share = counts / counts.sum()
    best, fewest = np.zeros(LEVELS), np.inf
    # A straight line if it will do. Where it would cut off the dark end (the mean is hardly more than
    # one standard deviation), bend it as the tone curves of 8-bit products do.
    for bend in _BENDS:
        numbers = _numbers(share, sensor, band, bend)
        clipped = share[(numbers < least + 0.5) | (numbers > largest + 0.5)].sum()
        if clipped < fewest:
            best, fewest = numbers, clipped
        if clipped < _CLIPPED:
            break
    numbers = best.round().clip(least, largest)
    numbers[numbers == nodata] = nodata + 1 if nodata < largest else nodata - 1
    return numbers.astype(np.uint16)


def transfer_tables(counts: NDArray[np.int64], sensor: Sensor) -> NDArray[np.uint16 | np.uint8]:
    """Choose each band's curve so that a whole set of scenes has the sensor's mean and deviation.

    Args:
        counts: How often each level occurs in the set, (B, LEVELS).
        sensor: Its statistics, value range and nodata value.

    Returns:
        Digital numbers (B, LEVELS), monotone, never equal to the nodata value.
    """
    tables = np.stack([_table(counts[band], sensor, band) for band in range(len(sensor.bands))])
    return tables.astype(pixel_type(sensor))
