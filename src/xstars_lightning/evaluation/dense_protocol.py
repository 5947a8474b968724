"""What is reported about frozen patch tokens: linear probes over amounts of labelled images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import torch
from torch import Tensor

from xstars_lightning.evaluation.bootstrap import Array, interval
from xstars_lightning.evaluation.dense_probe import DenseProbe, fit_dense_probe
from xstars_lightning.evaluation.label_draws import draw_labels
from xstars_lightning.evaluation.segmentation import SegmentationScore
from xstars_lightning.evaluation.splits import split_hash

__all__ = ["DenseSplit", "FewImagesScore", "FittedProbe", "fit_probes", "gather", "images_heading"]


@dataclass(frozen=True)
class DenseSplit:
    """Tokens of the images of one split.

    Args:
        tokens: Features (N, D), float32.
        shares: Shares (N, C) of the classes on the ground of each.
        images: Number (N,) of the image that each comes from.
        held: Which classes the mask of every image of the split holds (I, C), bool.
        names: Names of all images of the split.
    """

    tokens: Tensor
    shares: Tensor
    images: Tensor
    held: Tensor
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
        fraction: Share of the labelled images, in (0, 1]; None where ``shots`` says how many.
        shots: Labelled images of every class.
        seed: Of the draw.
        names: Names of the images that were drawn, sorted.
        missing: Classes of which their tokens have no pixel.
    """

    probe: DenseProbe
    fraction: float | None
    shots: int | None
    seed: int
    names: Sequence[str]
    missing: Sequence[str]

    @property
    def heading(self) -> str:
        """Which images, in words."""
        return images_heading(self.fraction, self.shots)


@dataclass(frozen=True)
class FewImagesScore:
    """Mean and sample standard deviation (None of a single draw) of the mean IoU over draws of the labels.

    ``fraction`` is the share of the labelled images, or None where ``shots`` images of every class were
    drawn. ``interval`` is that of the mean, by bootstrap over the test images.
    """

    fraction: float | None
    shots: int | None
    mean: float
    spread: float | None
    interval: tuple[float, float]
    draws: Sequence[Mapping[str, object]]
    scores: Sequence[SegmentationScore]

    @property
    def heading(self) -> str:
        """Which images, in words."""
        return images_heading(self.fraction, self.shots)


def images_heading(fraction: float | None, shots: int | None) -> str:
    """An amount of labelled images in words."""
    if fraction is None:
        return f"{shots} image{'' if shots == 1 else 's'} per class"
    return f"{100 * fraction:g} % of images"


def fit_probes(
    splits: Mapping[str, DenseSplit],
    class_names: Sequence[str],
    fractions: Sequence[float],
    draws: int,
    seed: int,
    shots: Sequence[int] = (),
) -> Iterator[FittedProbe]:
    """Fit a probe for every amount of labelled images and every draw of them.

    Images are drawn of every class, as :func:`draw_labels` does where images have several labels: an
    image counts for every class of which its mask has a pixel. Classes that no training image has are
    left out of the draw.

    Args:
        splits: ``train``; ``val``, where it is given, chooses the penalty, whatever the amount.
        class_names: Names of the C classes.
        fractions: Shares of the training images of every class, in (0, 1]; at least one is drawn.
        draws: Draws of each amount but all, seeded ``seed``, ``seed + 1``, ...
        seed: Of the first draw.
        shots: Images of every class, after the fractions.

    Raises:
        ValueError: If a class has fewer images than ``shots`` asks for; it is named.
    """
    train, held_out = splits["train"], splits.get("val")
    validation = (held_out.tokens, held_out.shares) if held_out else None
    amounts: list[tuple[float | None, int | None]] = [(fraction, None) for fraction in fractions]
    for fraction, count in amounts + [(None, count) for count in shots]:
        for draw in range(seed, seed + (1 if fraction == 1 else draws)):
            chosen = _draw(train, class_names, draw, fraction, count)
            used = torch.isin(train.images, chosen)
            shares = train.shares[used]
            probe = fit_dense_probe(train.tokens[used], shares, validation=validation)
            present = shares.sum(dim=0).tolist()
            missing = [name for name, share in zip(class_names, present, strict=True) if not share]
            names = sorted(train.names[number] for number in chosen.tolist())
            yield FittedProbe(probe, fraction, count, draw, names, missing)


def _draw(
    train: DenseSplit, class_names: Sequence[str], seed: int, fraction: float | None, shots: int | None
) -> Tensor:
    """Numbers of the images that are labelled."""
    numbers = train.images.unique()
    held = train.held[numbers]
    known = held.any(dim=0).nonzero()[:, 0]
    names = [class_names[number] for number in known.tolist()]
    return numbers[draw_labels(held[:, known].long(), seed, names, fraction, shots)]


def gather(
    fitted: Sequence[FittedProbe], scores: Sequence[SegmentationScore], samples: Sequence[Array]
) -> list[FewImagesScore]:
    """Put the scores of the probes of one amount together, in the order of the amounts.

    Args:
        fitted: The probes.
        scores: Score of each.
        samples: Its mean IoU on the resampled test images, the same for all.
    """
    rows = []
    for fraction, shots in dict.fromkeys((each.fraction, each.shots) for each in fitted):
        places = [n for n, each in enumerate(fitted) if (each.fraction, each.shots) == (fraction, shots)]
        values = [scores[place].mean_iou for place in places]
        row = FewImagesScore(
            fraction=fraction,
            shots=shots,
            mean=fmean(values),
            spread=stdev(values) if len(values) > 1 else None,
            interval=interval(np.mean([samples[place] for place in places], axis=0)),
            draws=[_describe(fitted[place]) for place in places],
            scores=[scores[place] for place in places],
        )
        rows.append(row)
    return rows


def _describe(fitted: FittedProbe) -> dict[str, object]:
    return {
        "seed": fitted.seed,
        "images": len(fitted.names),
        "images_hash": split_hash(fitted.names),
        "missing": fitted.missing,
        "strength": fitted.probe.strength,
    }
