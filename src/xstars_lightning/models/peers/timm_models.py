"""Pretrained models of timm, convolutional ones too, with the statistics of their weights."""

from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any

import timm
from torch import nn

from xstars_lightning.models.peers.plausible import check_standardized, warn_of_reflectance
from xstars_lightning.models.peers.tokens import NetworkFeatures, file_tensors, load_tensors
from xstars_lightning.models.stems import name_bands
from xstars_lightning.sensors import Sensor

__all__ = ["open_timm"]


def open_timm(name: str, sensor: Sensor) -> NetworkFeatures:
    """Open a pretrained model of timm.

    Args:
        name: ``resnet50.a1_in1k``, or ``resnet50.a1_in1k=FILE`` where the tensors lie in a file. The
            mean and deviation are those that timm gives for the name.
        sensor: Bands and value range of the images.

    Raises:
        FileNotFoundError: If the file is missing.
        OSError: If the weights cannot be downloaded.
        ValueError: If timm has no such weights, the file does not fit, or the images lack a band.
    """
    name, _, file = name.partition("=")
    if not timm.is_model(name) or not timm.is_model_pretrained(name):
        near = get_close_matches(name, timm.list_pretrained(), n=3, cutoff=0.0)
        raise ValueError(f"timm has no pretrained model {name!r}. Did you mean {' or '.join(near)}?")
    network: Any = _create(name, pretrained=not file)
    if file:
        load_tensors(network, file_tensors(file), file)
    config = network.pretrained_cfg
    bands = name_bands(config["input_size"][0])
    check_standardized(f"timm:{name}", sensor, bands, config["mean"], config["std"])
    warn_of_reflectance(f"timm:{name}", sensor)
    digest = sha256(Path(file).read_bytes()).hexdigest() if file else None
    return NetworkFeatures(f"timm:{name}", sensor, bands, network, config["mean"], config["std"], digest)


def _create(name: str, pretrained: bool) -> nn.Module:
    """A model without head that takes images of any size, if it can."""
    tried: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
    for options in tried:
        try:
            return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
        except TypeError:  # an option that it does not have
            if not options:
                raise
        except OSError as error:
            raise OSError(
                f"timm:{name} could not be downloaded; download it elsewhere and give "
                f"timm:{name}=FILE. {error}"
            ) from error
    raise AssertionError("unreachable")
