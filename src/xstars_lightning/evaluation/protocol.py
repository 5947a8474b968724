"""What is reported about frozen features: kNN, and linear probes over fractions of the labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from xstars_lightning.evaluation.knn import knn_classify
from xstars_lightning.evaluation.linear_probe import linear_probe
from xstars_lightning.evaluation.splits import label_subset, split_hash

__all__ = ["EmbeddedSplit", "FewLabelScore", "ProbeScore", "Score", "score_knn", "score_probes"]


@dataclass(frozen=True)
class EmbeddedSplit:
    """Features of the images of one split.

    Args:
        features: Features (N, D), float32.
        labels: Classes (N,).
        names: Name of every image, for hashes.
        class_names: Names of all classes.

    Raises:
        ValueError: If a feature is not finite or a label is not a position in ``class_names``.
    """

    features: Tensor
    labels: Tensor
    names: Sequence[str]
    class_names: Sequence[str]

    def __post_init__(self) -> None:
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.class_names):
            raise ValueError(
                f"Labels range from {low} to {high}, but there are {len(self.class_names)} classes "
                f"({', '.join(self.class_names)}); labels must be positions among them."
            )
        if not bool(self.features.isfinite().all()):
            raise ValueError(
                "The encoder gives features that are not finite; its weights come from a run that diverged, "
                "or the images hold NaN."
            )


@dataclass(frozen=True)
class Score:
    """Accuracy in [0, 1], over all and per class (None where there is no image), and what lies behind.

    ``confusion[i][j]`` counts the images of class i that were taken for class j.
    """

    accuracy: float
    per_class: Mapping[str, float | None]
    confusion: Sequence[Sequence[int]]


@dataclass(frozen=True)
class ProbeScore(Score):
    """Score of a linear probe fitted on the ``labels`` images of one draw."""

    seed: int
    labels: int
    labels_hash: str
    strength: float


@dataclass(frozen=True)
class FewLabelScore:
    """Mean and sample standard deviation (None of a single draw) over draws of the labels."""

    fraction: float
    mean: float
    spread: float | None
    draws: Sequence[ProbeScore]


def score_knn(train: EmbeddedSplit, test: EmbeddedSplit, k: int, temperature: float) -> Score:
    """Accuracy of :func:`knn_classify` with all training images as the bank."""
    predictions = knn_classify(
        train.features, train.labels, test.features, k, temperature, num_classes=len(test.class_names)
    )
    return Score(*_compare(predictions, test))


def score_probes(
    splits: Mapping[str, EmbeddedSplit], fractions: Sequence[float], draws: int, seed: int
) -> Iterator[FewLabelScore]:
    """Accuracy of :func:`linear_probe` for every fraction of the training labels.

    Args:
        splits: ``train`` and ``test``; ``val``, where it is given, chooses the penalty with all
            its labels, whatever the fraction.
        fractions: Shares of the training labels, in (0, 1].
        draws: Draws of each fraction below 1, seeded ``seed``, ``seed + 1``, ...
        seed: Of the first draw.
    """
    for fraction in fractions:
        seeds = range(seed, seed + (draws if fraction < 1 else 1))
        scores = [_score_probe(splits, fraction, draw) for draw in seeds]
        values = [score.accuracy for score in scores]
        yield FewLabelScore(fraction, fmean(values), stdev(values) if len(values) > 1 else None, scores)


def _score_probe(splits: Mapping[str, EmbeddedSplit], fraction: float, seed: int) -> ProbeScore:
    train, test, held_out = splits["train"], splits["test"], splits.get("val")
    chosen = label_subset(train.labels, fraction, seed, train.class_names)
    result = linear_probe(
        train.features[chosen],
        train.labels[chosen],
        test.features,
        validation=(held_out.features, held_out.labels) if held_out else None,
    )
    labels_hash = split_hash([train.names[index] for index in chosen.tolist()])
    return ProbeScore(*_compare(result.predictions, test), seed, len(chosen), labels_hash, result.strength)


def _compare(
    predictions: Tensor, test: EmbeddedSplit
) -> tuple[float, dict[str, float | None], list[list[int]]]:
    """Predicted classes (N,) -> the fields of a score."""
    confusion = multiclass_confusion_matrix(predictions, test.labels, num_classes=len(test.class_names))
    counts, correct = confusion.sum(dim=1).tolist(), confusion.diagonal().tolist()
    per_class = {
        name: right / count if count else None
        for name, right, count in zip(test.class_names, correct, counts, strict=True)
    }
    return sum(correct) / sum(counts), per_class, confusion.tolist()
