"""Our own encoder, or the weights of others in it, as an extractor of features."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import cast

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from xstars_lightning.models.backbones import fitting_backbone
from xstars_lightning.models.encoder import CrossSensorEncoder
from xstars_lightning.models.initialize import initialize
from xstars_lightning.models.peers.extractor import FeatureExtractor, Features, pick_bands
from xstars_lightning.models.peers.plausible import check_standardized, warn_of_reflectance
from xstars_lightning.models.pretrained import Pretrained, read_weights
from xstars_lightning.models.weights import load_encoder, read_file
from xstars_lightning.sensors import Sensor

__all__ = ["EncoderFeatures", "open_encoder", "random_encoder"]


class EncoderFeatures(FeatureExtractor):
    """A :class:`CrossSensorEncoder`, which standardises by itself, seen through one sensor.

    An encoder that does not know the sensor uses the patch embedding of one whose bands the images
    have, with the statistics of the images, and warns of it.

    Args:
        name: For tables.
        encoder: It learns the sensor if it does not know it.
        sensor_name: Name of the sensor in the encoder.
        sensor: Bands and statistics of the images.
        weights_sha256: Hash of the file; None of random weights.

    Raises:
        ValueError: If the images lack a band of every patch embedding, or the encoder knows the sensor
            with another value range.
    """

    def __init__(
        self,
        name: str,
        encoder: CrossSensorEncoder,
        sensor_name: str,
        sensor: Sensor,
        weights_sha256: str | None = None,
    ) -> None:
        if sensor_name not in encoder.sensors:
            _learn(name, encoder, sensor_name, sensor)
        known = encoder.sensors[sensor_name]
        if known.value_range != sensor.value_range:
            raise ValueError(
                f"The images of {sensor_name!r} have value_range {sensor.value_range}, but {name} was "
                f"trained with {known.value_range}; give the sensor that range, or the model sees other "
                "values. If it is another sensor, give it another name."
            )
        statistics = {"mean": list(known.mean), "std": list(known.std)}
        super().__init__(name, sensor, known.bands, encoder, statistics, encoder.patch_size, weights_sha256)
        self.sensor_name = sensor_name

    def extract(self, image: Tensor) -> Features:
        """As :meth:`FeatureExtractor.extract`."""
        tokens = self.network(image, self.sensor_name)
        side = cast(int, self.patch_size)
        grid = (image.shape[-2] // side, image.shape[-1] // side)
        return Features(tokens[:, 0], tokens[:, 1:].unflatten(1, grid))


def _learn(name: str, encoder: CrossSensorEncoder, sensor_name: str, sensor: Sensor) -> None:
    """Make the sensor known by the bands that the encoder knows best; say whose statistics are used."""
    known = dict(encoder.sensors)
    stems = [other.bands for other in known.values() if {*other.bands} <= {*sensor.bands}]
    bands = max(stems, key=lambda stem: (stem == sensor.bands, len(stem)), default=sensor.bands)
    seen = _restrict(sensor, bands)
    encoder.add_sensor(sensor_name, seen)
    rank_zero_warn(
        f"{name} knows {', '.join(known)}, but no sensor {sensor_name!r}: the statistics of the images are "
        f"used (mean {seen.mean}, std {seen.std}). If the images are of a sensor that it knows, name it so, "
        "sensors={name: ...}, and the statistics of the weights are used."
    )


def _restrict(sensor: Sensor, bands: tuple[str, ...]) -> Sensor:
    """The sensor with these of its bands alone."""
    chosen = [sensor.bands.index(band) for band in bands]
    mean, std = (tuple(values[index] for index in chosen) for values in (sensor.mean, sensor.std))
    shown = sensor.rgb_bands if {*sensor.rgb_bands} <= {*bands} else (bands[0],) * 3
    return replace(sensor, bands=bands, mean=mean, std=std, rgb_bands=shown)


def open_encoder(path: str, sensor_name: str, sensor: Sensor, backbone: str) -> EncoderFeatures:
    """Open a checkpoint or an exported file of ours, or a file of others.

    Args:
        path: As :func:`~xstars_lightning.models.pretrained.read_weights` takes files.
        sensor_name: Name of the sensor in the encoder.
        sensor: Bands and statistics of the images.
        backbone: For files of others whose tensors fit no plain transformer of timm.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no vision transformer, only a part of one, or one that does not fit
            the images.
    """
    ours = read_file(Path(path))[1] is not None
    encoder = load_encoder(path) if ours else _open_foreign(path, sensor_name, sensor, backbone)
    return EncoderFeatures(path, encoder, sensor_name, sensor, sha256(Path(path).read_bytes()).hexdigest())


def _open_foreign(path: str, sensor_name: str, sensor: Sensor, backbone: str) -> CrossSensorEncoder:
    """An encoder for one sensor in which every tensor is that of a file of others."""
    weights = read_weights(path)
    if not weights.stems:
        raise ValueError(
            f"{path} has no patch embedding of shape (D, C, p, p); give weights that are complete."
        )
    ((bands, stem),) = weights.stems.items()
    pick_bands(path, sensor, bands)
    seen = _as_trained(weights, _restrict(sensor, bands))
    encoder = CrossSensorEncoder({sensor_name: seen}, fitting_backbone(weights) or backbone)
    if encoder.patch_size != (side := stem[0].shape[-1]):
        raise ValueError(
            f"{path} has patches of {side} pixels, {encoder.backbone} of {encoder.patch_size}; give the "
            "backbone that it is of."
        )
    rank_zero_info(str(initialize(encoder, weights)))
    return encoder


def _as_trained(weights: Pretrained, sensor: Sensor) -> Sensor:
    """The sensor with the statistics that the weights tell, if they do."""
    if weights.statistics is None or len(weights.statistics[0]) != len(sensor.bands):
        rank_zero_warn(
            f"{weights.source} does not tell the statistics that it was trained with: those of the images "
            f"are used (mean {sensor.mean}, std {sensor.std}). If it was trained with others, give a sensor "
            "that has them as mean and std (of values in [0, 1]), as a YAML file or in full: "
            "sensors={name: ...}; or, where timm has the model, timm:NAME=FILE, which applies timm's."
        )
        return sensor
    mean, std = weights.statistics
    check_standardized(weights.source, sensor, sensor.bands, mean, std)
    warn_of_reflectance(weights.source, sensor)
    return replace(sensor, mean=mean, std=std)


def random_encoder(backbone: str, seed: int, sensor_name: str, sensor: Sensor) -> EncoderFeatures:
    """An encoder as it is before training; the random numbers of the process stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = CrossSensorEncoder({sensor_name: sensor}, backbone)
    return EncoderFeatures(f"random {backbone}", encoder, sensor_name, sensor)
