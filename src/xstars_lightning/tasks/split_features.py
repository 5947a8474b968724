"""Features of the images of a split, by the network of its sensor."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xstars_lightning.models.features import FeatureExtractor, Pooling, open_features, pool
from xstars_lightning.sensors import Sensor
from xstars_lightning.tasks.embedding import Embedded, check_scaled

__all__ = ["SplitFeatures"]


class SplitFeatures(nn.Module):
    """A frozen network for the training and validation images, and one for the test images.

    Both are the same unless the test images are of another sensor.

    Args:
        sensors: One, or two of which one is the test sensor.
        test_sensor: Sensor of the test images; None: that of training.
        weights: As for :func:`open_features`, likewise the next two.
        backbone: For the random initialisation.
        seed: Of random weights.
        image_size: Side in pixels to which images are resized.
        how: How tokens become one vector.
        shares: Of the resolution at which images are read.

    Raises:
        FileNotFoundError: If there are no such weights.
        ValueError: If the sensors are others, the weights do not fit them or ``image_size`` the weights.
    """

    def __init__(
        self,
        sensors: Mapping[str, Sensor],
        test_sensor: str | None,
        weights: str | None,
        backbone: str,
        seed: int,
        image_size: int,
        how: Pooling,
        shares: Sequence[float],
    ) -> None:
        super().__init__()
        others = [name for name in sensors if name != test_sensor]
        if len(others) != 1 or test_sensor not in (None, *sensors):
            raise ValueError(
                f"One sensor is evaluated at a time, got {', '.join(sensors)}; choose one, or two of which "
                "one is the test_sensor."
            )
        self.sensor, self.test_sensor = others[0], test_sensor or others[0]
        self.image_size, self.how, self.shares = image_size, how, tuple(shares)
        options = (backbone, seed)
        self.fitted = open_features(weights, self.sensor, sensors[self.sensor], *options)
        self.tested = self.fitted
        if test_sensor is not None:
            self.tested = open_features(weights, test_sensor, sensors[test_sensor], *options)
        patch = self.fitted.patch_size or 1
        if image_size < patch or image_size % patch:
            raise ValueError(f"image_size must be a multiple of the patch size {patch}, got {image_size}.")

    def extractor(self, split: str) -> FeatureExtractor:
        """The network of a split."""
        return self.tested if split == "test" else self.fitted

    def image(self, batch: Mapping[str, Tensor], split: str) -> Tensor:
        """The images of a batch (B, C, H, W): ``image_<sensor>``, or else ``image``."""
        name = f"image_{self.test_sensor if split == 'test' else self.sensor}"
        return batch[name] if name in batch else batch["image"]

    def resize(self, image: Tensor, share: float = 1.0) -> Tensor:
        """Images at a share of their resolution, averaged over areas, then of ``image_size``."""
        if share < 1:
            height, width = (max(1, round(share * side)) for side in image.shape[-2:])
            image = F.interpolate(image, (height, width), mode="area")
        return F.interpolate(image, (self.image_size,) * 2, mode="bilinear", antialias=True)

    def forward(self, image: Tensor, split: str = "train", share: float = 1.0) -> Tensor:
        """Images (B, C, H, W) with values in about [0, 1] -> features (B, F), float32."""
        return pool(self.extractor(split)(self.resize(image, share)), self.how)

    def embed(self, batch: Mapping[str, Tensor], split: str) -> Embedded:
        """A batch -> features (B, R, F) at every share of the resolution, and labels, on the CPU.

        Raises:
            ValueError: If the images are not scaled or smaller than a patch.
        """
        image, extractor = self.image(batch, split), self.extractor(split)
        check_scaled(image)
        if min(image.shape[-2:]) < (extractor.patch_size or 1):
            raise ValueError(
                f"Images of {image.shape[-2]} x {image.shape[-1]} pixels are smaller than a patch of "
                f"{extractor.name} ({extractor.patch_size} pixels); choose larger images."
            )
        features = [self(image, split, share) for share in self.shares]
        return torch.stack(features, dim=1).cpu(), batch["label"].cpu()
