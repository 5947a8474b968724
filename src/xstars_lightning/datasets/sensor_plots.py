"""Samples of several sensors as a figure."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from xstars_lightning.datasets.plots import plot_images
from xstars_lightning.sensors import Sensor

__all__ = ["plot_sensors"]


def plot_sensors(
    sample: Mapping[str, Tensor],
    sensors: Mapping[str, Sensor],
    resolutions: Mapping[str, float],
    **kwargs: Any,
) -> Figure:
    """Show the sensors of a sample beside each other, in their RGB bands.

    Args:
        sample: A sample, or a batch of which every window becomes a row, with ``image_<key>`` or
            ``raw_<key>`` and ``valid_<key>`` for each sensor.
        sensors: Sensors by key.
        resolutions: Their pixel sizes in metres, for titles.
        **kwargs: ``suptitle``, the figure's title.
    """
    batched = sample[f"valid_{next(iter(sensors))}"].ndim == 4
    batch = sample if batched else {name: value[None] for name, value in sample.items()}
    columns = []
    for key, sensor in sensors.items():
        values = batch[f"image_{key}" if f"image_{key}" in batch else f"raw_{key}"]
        rgb, title = values[:, list(sensor.rgb_indices)], f"{key}, {resolutions[key]:g} m"
        columns.append([(title, *images) for images in zip(rgb, batch[f"valid_{key}"], strict=True)])
    return plot_images(list(zip(*columns, strict=True)), **kwargs)
