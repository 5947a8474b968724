"""What the weights of TorchGeo take: the bands, and mean and deviation of values in [0, 1]."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from xstars_lightning.models.peers.plausible import check_standardized, warn_of_reflectance
from xstars_lightning.models.stems import name_bands
from xstars_lightning.sensors import Sensor

__all__ = ["read_statistics"]

_COLOURS = {"r": "red", "g": "green", "b": "blue", "n": "nir"}

# Members whose transforms cannot be right for images that are scaled by a sensor's value range.
_WRONG = {
    "SENTINEL2_RGB_SECO": (
        "TorchGeo's transform applies the statistics of values up to 1 to values up to 255, and has the "
        "quantiles of red and blue exchanged against the authors' repository"
    ),
    "SENTINEL1_*_SATLAS": "it takes values up to 255, and decibels would all come out about 0",
    "LANDSAT_*_SATLAS": (
        "it takes 16-bit digital numbers less 4000, and what reflectance these stand for is not said"
    ),
}


def read_statistics(
    weights: Any, name: str, sensor: Sensor
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    """Bands, mean and deviation of weights: all normalisations of their transforms, made one.

    Args:
        weights: Member of a ``WeightsEnum`` of TorchGeo, with ``in_chans``.
        name: Its name, such as ``ViTSmall16_Weights.SENTINEL2_ALL_DINO``.
        sensor: Bands, value range and statistics of the images.

    Returns:
        C names of bands, and of each what is subtracted from values in [0, 1] and what they are
        divided by.

    Raises:
        ValueError: If TorchGeo's transform cannot be right, the images lack a band, or come out of it as
            no network knows them.
    """
    if why := next((why for wrong, why in _WRONG.items() if fnmatchcase(name, f"*.{wrong}")), None):
        raise ValueError(f"{name} cannot be evaluated: {why}. Choose other weights.")
    bands = _name_bands(weights, name.partition(".")[2])
    mean, std = _compose(weights, name, sensor)
    check_standardized(name, sensor, bands, mean, std)
    return bands, mean, std


def _name_bands(weights: Any, member: str) -> tuple[str, ...]:
    numbers = weights.meta.get("bands") or ()
    named = name_bands(weights.meta["in_chans"], numbers, member)
    if len(numbers) != len(named):
        return named
    own = [_COLOURS.get(number.lower(), number.lower()) for number in numbers]
    return tuple(mine if name.startswith("band_") else name for name, mine in zip(named, own, strict=True))


def _compose(weights: Any, name: str, sensor: Sensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of values in [0, 1]."""
    count = weights.meta["in_chans"]
    steps = list(_normalizations(weights.transforms, count))
    low, one = _zero_and_one(steps, name, sensor)
    mean, std = torch.full((2, count), 1 / (one - low), dtype=torch.float64)
    mean = -low * mean
    # (x - m) / s after (v - mean) / std is (v - (mean + std m)) / (std s).
    for m, s in steps:
        mean, std = mean + std * m, std * s
    return tuple(mean.tolist()), tuple(std.tolist())


def _normalizations(transforms: Any, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Means and deviations (C,) of every normalisation, in order."""
    for step in transforms if isinstance(transforms, nn.Sequential) else [transforms]:
        if hasattr(step, "mean") and hasattr(step, "std"):
            mean, std = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (step.mean, step.std))
            yield mean.expand(count), std.expand(count)


def _zero_and_one(steps: list[tuple[Tensor, Tensor]], name: str, sensor: Sensor) -> tuple[float, float]:
    """The digital numbers of the weights that 0 and 1 of the images stand for.

    References:
        [0] SSL4EO-L, 2023, https://arxiv.org/abs/2306.09424
    """
    member, bytes_ = name.partition(".")[2], sensor.value_range == (0, 255)
    if member.startswith("SENTINEL1"):
        return sensor.value_range
    if member.startswith("LANDSAT") and member.endswith(("_MOCO", "_SIMCLR")) and not bytes_:
        # SSL4EO-L [0] made bytes of 0 to 0.4 (top of atmosphere) and 0 to 0.3 (surface) of reflectance.
        return 0.0, 255 / (0.3 if "_SR_" in member else 0.4)
    low, high = (float(x) for x in steps[0][1].aminmax()) if steps else (1.0, 1.0)
    if high > 1000 and (low < 1 or 255 in steps[0][1]):
        raise ValueError(f"{name} mixes 8-bit bands and reflectance; such weights cannot be evaluated.")
    if high <= 1000:
        warn_of_reflectance(name, sensor)
        return 0.0, 255.0 if high > 1 else 1.0
    if bytes_:
        rank_zero_warn(
            f"{name} was trained on reflectance, the images of {sensor.name!r} are 8-bit pictures: 255 is "
            "taken for a reflectance of 1."
        )
    return 0.0, 10000.0
