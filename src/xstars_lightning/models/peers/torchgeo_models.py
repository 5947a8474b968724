"""Pretrained models of TorchGeo, with the bands and the statistics of their weights."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from xstars_lightning.models.peers.tokens import NetworkFeatures, file_tensors, load_tensors
from xstars_lightning.models.peers.torchgeo_statistics import read_statistics
from xstars_lightning.sensors import Sensor

__all__ = ["find_builder", "open_torchgeo"]


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
        ValueError: If TorchGeo has no such weights, they are of another kind of network, its transform for
            them cannot be right or does not fit the images, the file does not fit, or the images lack a
            band.

    References:
        [0] https://arxiv.org/abs/2306.09424
    """
    from torchgeo import models  # takes seconds: it brings everything that TorchGeo has

    name, _, file = name.partition("=")
    try:
        weights: Any = models.get_weight(name)
    except ValueError as error:
        raise ValueError(f"TorchGeo has no weights {name!r}; see torchgeo.models.list_models().") from error
    builder = find_builder(models, weights, name)
    bands, mean, std = read_statistics(weights, name, sensor)
    network = _build(models, weights, builder)
    load_tensors(network, file_tensors(file) if file else _download(name, weights), file or name)
    digest = sha256(Path(file).read_bytes()).hexdigest() if file else None
    return NetworkFeatures(name, sensor, bands, network, mean, std, digest)


def find_builder(models: Any, weights: Any, name: str) -> str:
    """Name of the function of TorchGeo that builds the network of weights.

    Args:
        models: Module ``torchgeo.models``.
        weights: Member of a ``WeightsEnum``.
        name: Its name, for the message.

    Raises:
        ValueError: If the network is no ResNet, vision transformer or Swin transformer of one sensor.
    """
    builders = [
        builder for builder in models.list_models() if builder.startswith(("resnet", "vit_", "swin_"))
    ]
    builder: str | None = next((b for b in builders if models.get_model_weights(b) is type(weights)), None)
    if builder is None or "in_chans" not in weights.meta:
        raise ValueError(
            f"{name} is of a network that takes more than images of one sensor; those named ResNet, ViT and "
            "Swin can be evaluated."
        )
    return builder


def _build(models: Any, weights: Any, builder: str) -> nn.Module:
    """The network of the weights, with random values and without a head."""
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
