"""Our own encoder as an extractor of features."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from xstars_lightning.models.encoder import CrossSensorEncoder
from xstars_lightning.models.peers.extractor import FeatureExtractor, Features
from xstars_lightning.models.weights import load_encoder
from xstars_lightning.sensors import Sensor

__all__ = ["EncoderFeatures", "open_encoder", "random_encoder"]


class EncoderFeatures(FeatureExtractor):
    """A :class:`CrossSensorEncoder`, which standardises by itself, seen through one sensor.

    An encoder that does not know the sensor uses the patch embedding of one whose bands the images
    have, with the statistics of the images.

    Args:
        name: For tables.
        encoder: It learns the sensor if it does not know it.
        sensor_name: Name of the sensor in the encoder.
        sensor: Bands and statistics of the images.
        weights_sha256: Hash of the file; None of random weights.

    Raises:
        ValueError: If the images lack a band of every patch embedding.
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
            encoder.add_sensor(sensor_name, _as_known(encoder, sensor))
        known = encoder.sensors[sensor_name]
        statistics = {"mean": list(known.mean), "std": list(known.std)}
        super().__init__(name, sensor, known.bands, encoder, statistics, encoder.patch_size, weights_sha256)
        self.sensor_name = sensor_name

    def extract(self, image: Tensor) -> Features:
        """As :meth:`FeatureExtractor.extract`."""
        tokens = self.network(image, self.sensor_name)
        side = cast(int, self.patch_size)
        grid = (image.shape[-2] // side, image.shape[-1] // side)
        return Features(tokens[:, 0], tokens[:, 1:].unflatten(1, grid))


def _as_known(encoder: CrossSensorEncoder, sensor: Sensor) -> Sensor:
    """The sensor with those of its bands that the encoder knows best; as it is if there are none."""
    stems = [known.bands for known in encoder.sensors.values() if {*known.bands} <= {*sensor.bands}]
    if not stems or sensor.bands in stems:
        return sensor
    bands = max(stems, key=len)
    chosen = [sensor.bands.index(band) for band in bands]
    mean, std = (tuple(values[index] for index in chosen) for values in (sensor.mean, sensor.std))
    shown = sensor.rgb_bands if {*sensor.rgb_bands} <= {*bands} else (bands[0],) * 3
    return replace(sensor, bands=bands, mean=mean, std=std, rgb_bands=shown)


def open_encoder(path: str, sensor_name: str, sensor: Sensor) -> EncoderFeatures:
    """Open a checkpoint or an exported file of ours; errors as :func:`load_encoder`."""
    encoder = load_encoder(path)
    return EncoderFeatures(path, encoder, sensor_name, sensor, sha256(Path(path).read_bytes()).hexdigest())


def random_encoder(backbone: str, seed: int, sensor_name: str, sensor: Sensor) -> EncoderFeatures:
    """An encoder as it is before training; the random numbers of the process stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = CrossSensorEncoder({sensor_name: sensor}, backbone)
    return EncoderFeatures(f"random {backbone}", encoder, sensor_name, sensor)
