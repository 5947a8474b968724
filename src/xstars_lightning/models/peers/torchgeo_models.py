"""Pretrained models of TorchGeo, with the bands and the statistics of their weights."""

import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xstars_lightning.models.peers.tokens import NetworkFeatures, file_tensors, load_tensors
from xstars_lightning.models.stems import name_bands
from xstars_lightning.sensors import Sensor

__all__ = ["open_torchgeo"]

_COLOURS = {"r": "red", "g": "green", "b": "blue", "n": "nir"}


def open_torchgeo(name: str, sensor: Sensor) -> NetworkFeatures:
    """Open weights of TorchGeo: ResNet, vision transformer or Swin transformer.

    TorchGeo normalises digital numbers. Images come as values in [0, 1], and are multiplied by what
    1 stands for in those numbers: 10,000 of reflectance, 255 of 8-bit images. Where the weights know
    decibels (Sentinel-1), by the value range of the sensor; Landsat as SSL4EO-L [0] has it.

    Args:
        name: ``ViTSmall16_Weights.SENTINEL2_ALL_DINO``, or that followed by ``=FILE`` where the tensors
            lie in a file.
        sensor: Bands and value range of the images.

    Raises:
        FileNotFoundError: If the file is missing.
        OSError: If the weights cannot be downloaded.
        ValueError: If TorchGeo has no such weights, they are of another kind of network, the file does
            not fit, or the images lack a band.

    References:
        [0] https://arxiv.org/abs/2306.09424
    """
    from torchgeo import models  # takes seconds: it brings everything that TorchGeo has

    name, _, file = name.partition("=")
    try:
        weights: Any = models.get_weight(name)
    except ValueError as error:
        raise ValueError(f"TorchGeo has no weights {name!r}; see torchgeo.models.list_models().") from error
    network = _build(models, weights, name)
    load_tensors(network, file_tensors(file) if file else _download(name, weights), file or name)
    bands = _name_bands(weights, name.partition(".")[2])
    mean, std = _statistics(weights, name, sensor)
    digest = sha256(Path(file).read_bytes()).hexdigest() if file else None
    return NetworkFeatures(name, sensor, bands, network, mean, std, digest)


def _build(models: Any, weights: Any, name: str) -> nn.Module:
    """The network of the weights, with random values and without a head."""
    builders = [
        builder for builder in models.list_models() if builder.startswith(("resnet", "vit_", "swin_"))
    ]
    builder = next((b for b in builders if models.get_model_weights(b) is type(weights)), None)
    if builder is None or "in_chans" not in weights.meta:
        raise ValueError(
            f"{name} is of a network that takes more than images of one sensor; those named ResNet, ViT and "
            "Swin can be evaluated."
        )
    channels = weights.meta["in_chans"]
    if builder.startswith("swin"):
        network = models.get_model(builder)
        first = network.features[0][0]
        network.features[0][0] = nn.Conv2d(channels, first.out_channels, first.kernel_size, first.stride)
        network.head = nn.Identity()
        return network
    options: dict[str, Any] = {"dynamic_img_size": True} if builder.startswith("vit") else {}
    if "img_size" in weights.meta:
        options["img_size"] = weights.meta["img_size"]
    return models.get_model(builder, in_chans=channels, num_classes=0, **options)


def _download(name: str, weights: Any) -> dict[str, Tensor]:
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except OSError as error:
        raise OSError(
            f"{name} could not be downloaded; download {weights.url} elsewhere and give {name}=FILE. {error}"
        ) from error


def _name_bands(weights: Any, member: str) -> tuple[str, ...]:
    numbers = weights.meta.get("bands") or ()
    named = name_bands(weights.meta["in_chans"], numbers, member)
    if len(numbers) != len(named):
        return named
    own = [_COLOURS.get(number.lower(), number.lower()) for number in numbers]
    return tuple(mine if name.startswith("band_") else name for name, mine in zip(named, own, strict=True))


def _statistics(weights: Any, name: str, sensor: Sensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of values in [0, 1]: all normalisations of the weights, made one."""
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
    """The digital numbers of the weights that 0 and 1 of the images stand for."""
    bytes_ = sensor.value_range == (0, 255)
    if "SENTINEL1" in name:
        return sensor.value_range
    if "LANDSAT" in name and not bytes_:
        # SSL4EO-L [0] made bytes of 0 to 0.4 (top of atmosphere) and 0 to 0.3 (surface) of reflectance.
        return 0.0, 255 / (0.3 if "_SR_" in name else 0.4)
    low, high = (float(x) for x in steps[0][1].aminmax()) if steps else (1.0, 1.0)
    if high > 1000 and (low < 1 or 255 in steps[0][1]):
        raise ValueError(f"{name} mixes 8-bit bands and reflectance; such weights cannot be evaluated.")
    if high > 1000 and bytes_:
        warnings.warn(
            f"{name} was trained on reflectance, the images of {sensor.name!r} are 8-bit pictures: 255 is "
            "taken for a reflectance of 1.",
            stacklevel=2,
        )
    return (0.0, 10000.0) if high > 1000 else (0.0, 255.0) if high > 1 else (0.0, 1.0)
