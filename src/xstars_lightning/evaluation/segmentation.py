"""Predicted against true classes of pixels: confusions, intersection over union, and their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from xstars_lightning.evaluation.bootstrap import Array, interval

__all__ = [
    "IGNORED",
    "SegmentationScore",
    "confusions",
    "resample_mean_iou",
    "score_segmentation",
    "token_shares",
]

#: Value of pixels in ``mask`` that count nowhere.
IGNORED = 255

_RESAMPLES = 1000


@dataclass(frozen=True)
class SegmentationScore:
    """Scores in [0, 1]; None where a class neither occurs nor is predicted.

    Args:
        mean_iou: Intersection over union from the confusions of the whole dataset, averaged over
            the classes that occur or are predicted.
        interval: 95 % bootstrap interval of it, from images drawn with replacement.
        accuracy: Share of the pixels that are right.
        iou: Intersection over union by class.
        f1: Harmonic mean of precision and recall by class.
        confusion: ``confusion[i][j]`` counts the pixels of class i that were taken for class j.
    """

    mean_iou: float
    interval: tuple[float, float]
    accuracy: float
    iou: Mapping[str, float | None]
    f1: Mapping[str, float | None]
    confusion: Sequence[Sequence[int]]


def confusions(predictions: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count the pixels of every image by true and predicted class.

    Args:
        predictions: Classes (B, H, W).
        truth: Classes (B, H, W); ``IGNORED`` is left out.
        classes: Their number C, at most 255.

    Returns:
        Counts (B, C, C), true classes in the rows, int64.

    Raises:
        ValueError: If a true class is neither below C nor ``IGNORED``.
    """
    used = truth != IGNORED
    labels = truth[used]
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise ValueError(
            f"Labels range from {int(labels.min())} to {int(labels.max())}, but there are {classes} classes; "
            f"labels must be positions among them, or {IGNORED} where they do not count."
        )
    image = torch.arange(len(truth), device=truth.device)[:, None, None].expand_as(truth)
    cells = (image[used] * classes + labels) * classes + predictions[used]
    return cells.bincount(minlength=len(truth) * classes**2).view(len(truth), classes, classes)


def score_segmentation(counts: Tensor, class_names: Sequence[str], seed: int = 0) -> SegmentationScore:
    """Score the confusions of a dataset.

    Args:
        counts: Of every image (N, C, C), as :func:`confusions` has them.
        class_names: Names of the C classes.
        seed: Of the bootstrap.

    Raises:
        ValueError: If no pixel counts.
    """
    total = counts.sum(dim=0)
    if not int(total.sum()):
        raise ValueError("No pixel of the test images has a label; give other images or masks.")
    hits, truth, predicted = total.diagonal(), total.sum(dim=1), total.sum(dim=0)
    return SegmentationScore(
        mean_iou=float(_mean_iou(total[None])),
        interval=interval(resample_mean_iou(counts, seed)),
        accuracy=float(hits.sum() / total.sum()),
        iou=_by_name(class_names, hits, truth + predicted - hits),
        f1=_by_name(class_names, 2 * hits, truth + predicted),
        confusion=total.tolist(),
    )


def _by_name(names: Sequence[str], numerator: Tensor, denominator: Tensor) -> dict[str, float | None]:
    shares = zip(numerator.tolist(), denominator.tolist(), strict=True)
    values = (above / below if below else None for above, below in shares)
    return dict(zip(names, values, strict=True))


def _mean_iou(totals: Tensor) -> Tensor:
    """Counts (R, C, C) -> mean over the classes that occur or are predicted (R,)."""
    totals = totals.double()
    hits = totals.diagonal(dim1=1, dim2=2)
    union = totals.sum(dim=1) + totals.sum(dim=2) - hits
    return (hits / union).nanmean(dim=1)  # a class without pixels is 0 / 0


def resample_mean_iou(counts: Tensor, seed: int = 0) -> Array:
    """Mean intersection over union of as many images drawn with replacement.

    Args:
        counts: Of every image (N, C, C), as :func:`confusions` has them.
        seed: The same seed and number draw the same images, so that means may be averaged over runs.

    Returns:
        (1000,), without draws in which no pixel counts.
    """
    images, generator = len(counts), Generator().manual_seed(seed)
    drawn = torch.randint(images, (_RESAMPLES, images), generator=generator)
    times = torch.zeros(_RESAMPLES, images, dtype=torch.float64)
    times.scatter_add_(1, drawn, torch.ones_like(times))
    resampled = (times @ counts.flatten(1).double()).view(_RESAMPLES, *counts.shape[1:])
    values = _mean_iou(resampled)
    return values[~values.isnan()].numpy()


def token_shares(mask: Tensor, grid: tuple[int, int], classes: int) -> Tensor:
    """How much of the ground of every token each class covers.

    Args:
        mask: Classes (B, H, W); ``IGNORED`` counts nowhere.
        grid: Tokens along the height and the width.
        classes: Number C of classes.

    Returns:
        Shares (B, h, w, C) in [0, 1]; their sum is the share of the token that has a label.
    """
    layers = [
        functional.adaptive_avg_pool2d((mask == number).float(), grid) for number in range(classes)
    ]  # one class after the other: all at once would be C times the memory of the images
    return torch.stack(layers, dim=-1)
