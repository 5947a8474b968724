"""What a network must beat: the pixels themselves, and filters that nobody trained."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xstars_lightning.models.peers.extractor import FeatureExtractor, Features, Standardize
from xstars_lightning.sensors import Sensor

__all__ = ["PixelFeatures", "RandomConvolution"]

_SIDE = 8  # of the grid to which pixels are pooled
_IMAGES = 8  # convolved at once: at full resolution every filter is an image


class PixelFeatures(FeatureExtractor):
    """Pixels pooled to 8 x 8 places; in place of a class token all of them as one vector (B, 64 C)."""

    def __init__(self, sensor: Sensor) -> None:
        statistics = {"mean": list(sensor.mean), "std": list(sensor.std)}
        network = Standardize(sensor.mean, sensor.std)
        super().__init__("pixels", sensor, sensor.bands, network, statistics)

    def extract(self, image: Tensor) -> Features:
        """As :meth:`FeatureExtractor.extract`."""
        pooled = F.adaptive_avg_pool2d(self.network(image), _SIDE)
        return Features(pooled.flatten(1), pooled.permute(0, 2, 3, 1))


class RandomConvolution(FeatureExtractor):
    """One convolution with Gaussian filters, rectified on both sides, pooled to patches of 16 pixels.

    A strong baseline on satellite images [0]. In place of a class token the mean over the image.

    Args:
        sensor: Bands and statistics of the images.
        seed: Of the filters.
        filters: How many; there are twice as many features.
        side: Of a filter, in pixels.

    References:
        [0] MOSAIKS, 2021, https://doi.org/10.1038/s41467-021-24638-z
    """

    def __init__(self, sensor: Sensor, seed: int = 0, filters: int = 128, side: int = 5) -> None:
        convolution = nn.Conv2d(len(sensor.bands), filters, side, padding=side // 2, padding_mode="reflect")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in convolution.parameters():
                parameter.normal_(generator=generator)
        network = nn.Sequential(Standardize(sensor.mean, sensor.std), convolution)
        statistics = {"mean": list(sensor.mean), "std": list(sensor.std)}
        super().__init__("random-convolution", sensor, sensor.bands, network, statistics, patch_size=16)

    def extract(self, image: Tensor) -> Features:
        """As :meth:`FeatureExtractor.extract`."""
        maps = torch.cat([self._pooled(part) for part in image.split(_IMAGES)])
        return Features(maps.mean(dim=(2, 3)), maps.permute(0, 2, 3, 1))

    def _pooled(self, image: Tensor) -> Tensor:
        response = self.network(image)
        return torch.cat([F.avg_pool2d(F.relu(x), 16) for x in (response, -response)], dim=1)
