"""Any weights in the benchmark ``torchgeo-bench`` [0], which the optional extra ``bench`` installs.

A model of its configuration is this class by its path, for example
``torchgeo-bench run model._target_=xstars_lightning.models.peers.torchgeo_bench.FrozenFeatures
+model.weights=runs/pretrain/version_0/checkpoints/last.ckpt model.name=xstars``.

References:
    [0] https://github.com/torchgeo/torchgeo-bench
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchgeo_bench.models.interface import BenchModel

from xstars_lightning.models.features import Pooling, open_features, pool
from xstars_lightning.sensors import Sensor

__all__ = ["FrozenFeatures", "sensor_of"]

_COMMON = {
    **{"b": "blue", "g": "green", "r": "red", "coastal_aerosol": "coastal", "water_vapour": "nir09"},
    **{"red_edge_1": "rededge071", "red_edge_2": "rededge075", "red_edge_3": "rededge078"},
    **{"red_edge_4": "nir08", "swir_cirrus": "cirrus", "swir_1": "swir16", "swir_2": "swir22"},
    **{"b01": "coastal", "b02": "blue", "b03": "green", "b04": "red", "b05": "rededge071"},
    **{"b06": "rededge075", "b07": "rededge078", "b08": "nir", "b8a": "nir08", "b09": "nir09"},
    **{"b10": "cirrus", "b11": "swir16", "b12": "swir22"},
}


def sensor_of(bands: Sequence[Any]) -> Sensor:
    """The sensor that the bands of a dataset of the benchmark are.

    Args:
        bands: Its ``BandSpec``; a maximum above 1000 is taken for reflectance times 10,000, one above
            10 for bytes, and less for reflectance.

    Raises:
        ValueError: If two bands have one name.
    """
    largest = max(band.max for band in bands)
    one = 10000.0 if largest > 1000 else 255.0 if largest > 10 else 1.0
    # OLI has no band as wide as B8 of Sentinel-2.
    narrow = {"nir": "nir08"} if bands[0].sensor == "landsat" else {}
    names = tuple((_COMMON | narrow).get(band.name, band.name) for band in bands)
    shown = ("red", "green", "blue") if {"red", "green", "blue"} <= {*names} else (names[0],) * 3
    return Sensor(
        name=bands[0].sensor,
        bands=names,
        resolution=10,
        value_range=(0, one),
        mean=tuple(band.mean / one for band in bands),
        std=tuple(max(band.std / one, 1e-6) for band in bands),
        rgb_bands=shown,
    )


class FrozenFeatures(BenchModel):
    """Features of :func:`open_features`, with the statistics that belong to the weights.

    Args:
        bands: The benchmark gives those of the dataset.
        weights: As for :func:`open_features`; None is the random initialisation.
        features: The class token, the mean of the patches, or both.
        image_size: Side in pixels to which images are resized.
        backbone: Of the random initialisation.
        sensor: Name under which our encoders know the sensor; that of the dataset where it is left out.
        seed: Of random weights.
        settings: What else the benchmark gives, such as its normalisation, which is not used.
    """

    def __init__(
        self,
        bands: Sequence[Any],
        weights: str | None = None,
        features: Pooling = "cls",
        image_size: int = 224,
        backbone: str = "vit_tiny_patch16_224",
        sensor: str | None = None,
        seed: int = 0,
        **settings: object,
    ) -> None:
        super().__init__(bands=list(bands), normalization="identity")
        known = sensor_of(bands)
        self.extractor = open_features(weights, sensor or known.name, known, backbone, seed)
        self.scale = known.value_range[1]
        self.pooling: Pooling = features
        self.image_size = image_size

    def _forward_patch_features(self, images: Tensor) -> Tensor:
        """Digital numbers (B, C, H, W) -> features (B, F)."""
        side = (self.image_size, self.image_size)
        resized = F.interpolate(images.float() / self.scale, side, mode="bilinear", antialias=True)
        return pool(self.extractor(resized), self.pooling)
