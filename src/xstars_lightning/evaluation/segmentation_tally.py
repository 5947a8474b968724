"""Predictions of tiles, counted by the image that they come from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xstars_lightning.evaluation.segmentation import SegmentationScore, confusions, score_segmentation
from xstars_lightning.evaluation.segmentation_report import Overlay

__all__ = ["SegmentationTally"]


class SegmentationTally:
    """Confusions of a test, and the first tiles of the first images for a picture.

    Args:
        class_names: Names of the classes.
        names: Names of the images.
        shown: Positions of red, green and blue among the bands.
        pictures: Images to keep for the picture.
    """

    def __init__(
        self, class_names: Sequence[str], names: Sequence[str], shown: Sequence[int], pictures: int = 0
    ) -> None:
        self.class_names, self.names = class_names, names
        self._shown, self._pictures = list(shown), pictures
        self._counts: list[Tensor] = []
        self._numbers: list[Tensor] = []
        self._overlays: dict[int, Overlay] = {}

    def add(self, prediction: Tensor, mask: Tensor, index: Tensor, image: Tensor) -> None:
        """Count the tiles of a batch.

        Args:
            prediction: Classes (B, H, W).
            mask: True classes (B, H, W), ``IGNORED`` where nothing counts.
            index: Numbers (B,) of the images that the tiles come from.
            image: Tiles (B, C, H, W), or (B, 2, C, H, W) of two dates.

        Raises:
            ValueError: If a true class is unknown.
        """
        self._counts.append(confusions(prediction, mask, len(self.class_names)).cpu())
        self._numbers.append(index.cpu())
        for tile, number in enumerate(index.tolist()):
            if number not in self._overlays and len(self._overlays) < self._pictures:
                dates = image[tile].view(-1, *image.shape[-3:])[:, self._shown].cpu()
                pair = mask[tile].cpu(), prediction[tile].cpu()
                self._overlays[number] = Overlay([*dates], *pair, self.names[number])

    @property
    def images(self) -> list[str]:
        """Names of the images that were counted."""
        return [self.names[number] for number in torch.cat(self._numbers).unique().tolist()]

    @property
    def overlays(self) -> list[Overlay]:
        """What was kept for the picture."""
        return list(self._overlays.values())

    @property
    def counts(self) -> Tensor:
        """Confusions of every image that was counted (N, C, C), in the order of ``images``."""
        found, image = torch.cat(self._numbers).unique(return_inverse=True)
        tiles = torch.cat(self._counts)
        return tiles.new_zeros(len(found), *tiles.shape[1:]).index_add_(0, image, tiles)

    def score(self, seed: int = 0) -> SegmentationScore:
        """Score what was counted; ``seed`` is that of the bootstrap over images."""
        return score_segmentation(self.counts, self.class_names, seed)
