"""Frozen features of any weights, with the bands and the statistics that belong to them."""

import warnings

from xstars_lightning.models.peers.baselines import PixelFeatures, RandomConvolution
from xstars_lightning.models.peers.extractor import FeatureExtractor, Features, Pooling, pool
from xstars_lightning.models.peers.ours import open_encoder, random_encoder
from xstars_lightning.models.peers.timm_models import open_timm
from xstars_lightning.models.peers.torchgeo_models import open_torchgeo
from xstars_lightning.sensors import Sensor

__all__ = ["FeatureExtractor", "Features", "Pooling", "open_features", "pool"]


def open_features(
    weights: str | None,
    sensor_name: str,
    sensor: Sensor,
    backbone: str = "vit_tiny_patch16_224",
    seed: int = 0,
) -> FeatureExtractor:
    """Open a frozen network.

    Args:
        weights: None for the random initialisation of ``backbone``; a checkpoint or export of ours; a file
            of X-STARS, DINO, DINOv2, MAE or timm, as ``xstars fit`` takes it; ``timm:NAME``, any
            pretrained model of timm; a name of TorchGeo, such as
            ``ViTSmall16_Weights.SENTINEL2_ALL_DINO``; ``pixels``, the pixels pooled to 8 x 8; or
            ``random-convolution``, one layer of random filters. ``=FILE`` behind a name of timm or
            TorchGeo takes the tensors from a file.
        sensor_name: Name of the sensor in batches; our encoders use what they know of it.
        sensor: Bands and value range of the images. The bands that a network was trained on are
            picked by their names.
        backbone: Name of a timm vision transformer, for the random initialisation, and for files of others
            whose tensors fit no plain one.
        seed: Of random weights.

    Raises:
        FileNotFoundError: If a file is missing.
        OSError: If weights cannot be downloaded.
        ValueError: If there are no such weights, or the images lack a band that they need.
    """
    if weights is None:
        warnings.warn("No weights given: the RANDOM INITIALISATION is evaluated.", stacklevel=2)
        return random_encoder(backbone, seed, sensor_name, sensor)
    if weights == "pixels":
        return PixelFeatures(sensor)
    if weights == "random-convolution":
        return RandomConvolution(sensor, seed)
    if weights.startswith("timm:"):
        return open_timm(weights.removeprefix("timm:"), sensor)
    if "_Weights." in weights.partition("=")[0]:
        return open_torchgeo(weights, sensor)
    return open_encoder(weights, sensor_name, sensor, backbone)
