"""Probes of patch tokens at one share of the resolution, and what they predict of the test images."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from xstars_lightning.evaluation.dense_protocol import FewImagesScore, FittedProbe, gather
from xstars_lightning.evaluation.segmentation import resample_mean_iou
from xstars_lightning.evaluation.segmentation_tally import SegmentationTally

__all__ = ["ProbedPixels"]


class ProbedPixels:
    """Counts the pixels that every probe predicts.

    Args:
        probes: The probes.
        class_names: Names of the classes.
        names: Names of the test images.
        shown: Positions of red, green and blue among the bands.
        pictures: Images to keep for the picture.
    """

    def __init__(
        self,
        probes: Sequence[FittedProbe],
        class_names: Sequence[str],
        names: Sequence[str],
        shown: Sequence[int],
        pictures: int,
    ) -> None:
        self.probes = probes
        self.tallies = [SegmentationTally(class_names, names, shown, pictures) for _ in probes]

    def warn(self) -> None:
        """Say which classes a probe has not seen."""
        draws: dict[tuple[str, str], list[str]] = defaultdict(list)
        for each in self.probes:
            if each.missing:
                draws[each.heading, ", ".join(each.missing)].append(str(each.seed))
        for (heading, missing), seeds in draws.items():
            rank_zero_warn(
                f"{heading}, draw {', '.join(seeds)}: no pixel of {missing}, which cannot be predicted."
            )

    def add(self, tokens: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Predict the pixels of a batch from its tokens (B, h, w, D), and count."""
        image, mask, index = batch["image"], batch["mask"], batch["index"]
        for tally, each in zip(self.tallies, self.probes, strict=True):
            logits = each.probe(tokens).permute(0, 3, 1, 2)
            prediction = F.interpolate(logits, mask.shape[-2:], mode="bilinear").argmax(dim=1)
            tally.add(prediction, mask, index, image)

    def score(self, seed: int) -> list[FewImagesScore]:
        """Scores by amount of labelled images; ``seed`` is that of the bootstrap."""
        samples = [resample_mean_iou(tally.counts, seed) for tally in self.tallies]
        return gather(self.probes, [tally.score(seed) for tally in self.tallies], samples)
