"""Checks of pixel values against what their sensor says of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xstars_lightning.sensors import Sensor

__all__ = ["Measured", "complaints", "inspect_windows", "measure"]


@dataclass(frozen=True)
class Measured:
    """Statistics of the valid pixels of some windows, in scaled values.

    Args:
        mean: Per band (C,).
        std: Per band (C,).
        outside: Share of values outside [0, 1], the sensor's value range.
        low: Least value.
        high: Largest value.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    outside: float
    low: float
    high: float


def inspect_windows(
    samples: Sequence[Mapping[str, Tensor]], sensors: Mapping[str, Sensor], everyone: bool
) -> list[str]:
    """Look at every sensor's pixels in some windows.

    Args:
        samples: Windows with ``image_<key>`` (C, H, W) and ``valid_<key>`` (1, H, W).
        sensors: The sensors by key.
        everyone: Whether each window must show all sensors. If not, one that no window shows is worth
            a message, no error: it may be chance.

    Returns:
        Messages with the remedy; none if all is well.

    Raises:
        ValueError: As :func:`measure`.
    """
    found = []
    for key, sensor in sensors.items():
        if everyone or any(sample[f"valid_{key}"].any() for sample in samples):
            found += complaints(key, sensor, measure(samples, key))
        else:
            found.append(
                f"Sensor {key!r}: none of the first {len(samples)} training windows shows it, and its values "
                "remain unchecked. Chance, if it covers little of the ground; else check that its files lie "
                "where the others' do, or raise min_sensors."
            )
    return found


def measure(samples: Iterable[Mapping[str, Tensor]], key: str) -> Measured:
    """Measure one sensor's pixels.

    Args:
        samples: Windows with ``image_<key>`` (C, H, W) and ``valid_<key>`` (1, H, W).
        key: The sensor.

    Raises:
        ValueError: If no pixel is valid, or a valid one is NaN or infinite.
    """
    pixels = torch.cat([sample[f"image_{key}"][:, sample[f"valid_{key}"][0]] for sample in samples], dim=1)
    if not pixels.numel():
        raise ValueError(f"Sensor {key!r}: no valid pixel in any window. Check its files and nodata.")
    values = pixels.double().numpy()
    if wrong := int((~np.isfinite(values)).sum()):
        raise ValueError(
            f"Sensor {key!r}: {wrong} of {values.size} values are NaN or infinite. "
            "Mark missing pixels in the sensor (`nodata: nan`), or repair the files."
        )
    outside = float(((values < 0) | (values > 1)).mean())
    return Measured(values.mean(axis=1), values.std(axis=1), outside, values.min(), values.max())


def complaints(key: str, sensor: Sensor, measured: Measured) -> list[str]:
    """What does not fit: values outside the sensor's range, statistics far from the declared ones.

    Returns:
        Messages with the remedy; none if all is well.
    """
    found = []
    low, high = sensor.value_range
    if measured.outside > 0:
        ends = (value * (high - low) + low for value in (measured.low, measured.high))
        found.append(
            f"Sensor {key!r}: {measured.outside:.2%} of the values lie outside its value_range "
            f"({low:g}, {high:g}); they run from {' to '.join(f'{end:g}' for end in ends)}. They are kept as "
            "they are; if the share is large, give the sensor a value_range that fits its files."
        )
    mean, std = np.array(sensor.mean), np.array(sensor.std)
    ratio = np.maximum(measured.std / std, std / np.maximum(measured.std, 1e-12))
    if (np.abs(measured.mean - mean) > std).any() or (ratio > 2).any():
        found.append(
            f"Sensor {key!r}: its pixels are far from the declared statistics (mean {_listed(mean)}, std "
            f"{_listed(std)}). If the measured ones are typical of your data, paste them into the sensor:\n"
            f"  mean: {_listed(measured.mean)}\n  std: {_listed(measured.std)}"
        )
    return found


def _listed(values: NDArray[np.float64]) -> str:
    return f"[{', '.join(f'{value:.4f}' for value in values)}]"
