"""Pixels that travel in the type of their files and are scaled where the batch is."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchgeo.datasets import stack_samples

from xstars_lightning.sensors import Sensor

__all__ = ["scale_batch", "stack_raw", "stack_scaled"]

Batch = dict[str, Tensor]


def scale_batch(batch: Mapping[str, Tensor], sensors: Mapping[str, Sensor]) -> Batch:
    """Make images of unscaled values, on the device on which they are.

    Args:
        batch: Samples or batches with ``raw_<key>`` (..., C, H, W), of any type, and ``valid_<key>``
            (..., 1, H, W) for all, some or none of the sensors.
        sensors: The sensors by key.

    Returns:
        The same, with ``image_<key>`` float32 instead of ``raw_<key>``: the sensor's value range becomes
        [0, 1], nothing is clipped, and invalid pixels are 0.
    """
    scaled = dict(batch)
    for key, sensor in sensors.items():
        if (values := scaled.pop(f"raw_{key}", None)) is not None:
            low, high = sensor.value_range
            image = values.to(torch.float32, copy=True).sub_(low).div_(high - low)
            scaled[f"image_{key}"] = image.masked_fill_(~scaled[f"valid_{key}"], 0)
    return scaled


def stack_raw(samples: Sequence[Mapping[str, Tensor]]) -> Batch:
    """Stack samples; where their types differ, as files of one sensor may, they become float32."""
    same = [dict(sample) for sample in samples]
    for key in same[0]:
        if len({sample[key].dtype for sample in same}) > 1:
            for sample in same:
                sample[key] = sample[key].float()
    return stack_samples(same)


def stack_scaled(samples: Sequence[Mapping[str, Tensor]], sensors: Mapping[str, Sensor]) -> Batch:
    """Stack samples and make images of them at once, for loaders whose batches no trainer scales."""
    return scale_batch(stack_raw(samples), sensors)
