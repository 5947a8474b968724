"""What is reported about frozen patch tokens: linear probes over shares of the labelled images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch
from torch import Generator, Tensor

from xstars_lightning.evaluation.dense_probe import DenseProbe, fit_dense_probe
from xstars_lightning.evaluation.segmentation import SegmentationScore
from xstars_lightning.evaluation.splits import split_hash

__all__ = ["DenseSplit", "FewImagesScore", "FittedProbe", "fit_probes", "gather"]


@dataclass(frozen=True)
class DenseSplit:
    """Tokens of the images of one split.

    Args:
        tokens: Features (N, D), float32.
        shares: Shares (N, C) of the classes on the ground of each.
        images: Number (N,) of the image that each comes from.
        names: Names of all images of the split.
    """

    tokens: Tensor
    shares: Tensor
    images: Tensor
    names: Sequence[str]

    @property
    def used(self) -> list[str]:
        """Names of the images that tokens come from."""
        return [self.names[number] for number in self.images.unique().tolist()]


@dataclass(frozen=True)
class FittedProbe:
    """A probe, and the labels behind it.

    Args:
        probe: The probe.
        fraction: Share of the labelled images, in (0, 1].
        seed: Of the draw.
        names: Names of the images that were drawn, sorted.
        missing: Classes of which they have no pixel.
    """

    probe: DenseProbe
    fraction: float
    seed: int
    names: Sequence[str]
    missing: Sequence[str]


@dataclass(frozen=True)
class FewImagesScore:
    """Mean and sample standard deviation (None of a single draw) of the mean IoU over draws of the labels."""

    fraction: float
    mean: float
    spread: float | None
    draws: Sequence[Mapping[str, object]]
    scores: Sequence[SegmentationScore]


def fit_probes(
    splits: Mapping[str, DenseSplit],
    class_names: Sequence[str],
    fractions: Sequence[float],
    draws: int,
    seed: int,
) -> Iterator[FittedProbe]:
    """Fit a probe for every share of the labelled images and every draw of them.

    With the same seed the images of a smaller share are among those of a larger one.

    Args:
        splits: ``train``; ``val``, where it is given, chooses the penalty, whatever the share.
        class_names: Names of the C classes.
        fractions: Shares of the training images, in (0, 1]; at least one image is drawn.
        draws: Draws of each share below 1, seeded ``seed``, ``seed + 1``, ...
        seed: Of the first draw.
    """
    train, held_out = splits["train"], splits.get("val")
    numbers = train.images.unique()
    for fraction in fractions:
        for draw in range(seed, seed + (draws if fraction < 1 else 1)):
            order = torch.randperm(len(numbers), generator=Generator().manual_seed(draw))
            chosen = numbers[order[: max(1, round(fraction * len(numbers)))]]
            used = torch.isin(train.images, chosen)
            shares = train.shares[used]
            probe = fit_dense_probe(
                train.tokens[used],
                shares,
                validation=(held_out.tokens, held_out.shares) if held_out else None,
            )
            present = shares.sum(dim=0).tolist()
            missing = [name for name, share in zip(class_names, present, strict=True) if not share]
            names = sorted(train.names[number] for number in chosen.tolist())
            yield FittedProbe(probe, fraction, draw, names, missing)


def gather(fitted: Sequence[FittedProbe], scores: Sequence[SegmentationScore]) -> list[FewImagesScore]:
    """Put the scores of the probes of one share together, in the order of the shares."""
    rows = []
    for fraction in dict.fromkeys(each.fraction for each in fitted):
        pairs = [(f, s) for f, s in zip(fitted, scores, strict=True) if f.fraction == fraction]
        values = [score.mean_iou for _, score in pairs]
        spread = stdev(values) if len(values) > 1 else None
        draws = [_describe(each) for each, _ in pairs]
        rows.append(FewImagesScore(fraction, fmean(values), spread, draws, [score for _, score in pairs]))
    return rows


def _describe(fitted: FittedProbe) -> dict[str, object]:
    return {
        "seed": fitted.seed,
        "images": len(fitted.names),
        "images_hash": split_hash(fitted.names),
        "missing": fitted.missing,
        "strength": fitted.probe.strength,
    }
