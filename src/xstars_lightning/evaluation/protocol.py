"""What is reported about frozen features: kNN, and linear probes over amounts of labels."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev

import numpy as np
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from xstars_lightning.evaluation.bootstrap import Array, interval, resample_macro_precision, resample_mean
from xstars_lightning.evaluation.knn import knn_classify, knn_shares
from xstars_lightning.evaluation.label_draws import draw_labels
from xstars_lightning.evaluation.linear_probe import linear_probe
from xstars_lightning.evaluation.multi_label import average_precision, one_vs_rest_probe
from xstars_lightning.evaluation.scores import (
    EmbeddedSplit,
    FewLabelScore,
    ProbeScore,
    RankedProbeScore,
    RankedScore,
    Score,
)
from xstars_lightning.evaluation.splits import split_hash

__all__ = [
    "EmbeddedSplit",
    "FewLabelScore",
    "ProbeScore",
    "RankedProbeScore",
    "RankedScore",
    "Score",
    "score_knn",
    "score_predictions",
    "score_probes",
]


def score_knn(train: EmbeddedSplit, test: EmbeddedSplit, k: int, temperature: float) -> Score | RankedScore:
    """Score of the k nearest neighbours with all training images as the bank.

    Accuracy of :func:`knn_classify`; where images have several labels, average precision of
    :func:`knn_shares`.
    """
    if test.several:
        shares = knn_shares(train.features, train.labels, test.features, k, temperature)
        return _ranked(RankedScore, shares, test)[0]
    classes = len(test.class_names)
    predictions = knn_classify(
        train.features, train.labels, test.features, k, temperature, num_classes=classes
    )
    return _classified(Score, predictions, test)[0]


def score_predictions(predictions: Tensor, test: EmbeddedSplit) -> Score:
    """Accuracy of classes (N,) that were predicted for the test images, in whatever way."""
    return _classified(Score, predictions, test)[0]


def score_probes(
    splits: Mapping[str, EmbeddedSplit],
    fractions: Sequence[float],
    draws: int,
    seed: int,
    shots: Sequence[int] = (),
) -> Iterator[FewLabelScore]:
    """Score of linear probes for every amount of training labels.

    That of :func:`linear_probe`, or, where images have several labels, of :func:`one_vs_rest_probe`.

    Args:
        splits: ``train`` and ``test``; ``val``, where it is given, chooses the penalty with all
            its labels, whatever the amount.
        fractions: Shares of the training labels, in (0, 1].
        draws: Draws of each amount but all, seeded ``seed``, ``seed + 1``, ...
        seed: Of the first draw.
        shots: Labels of every class, after the fractions.
    """
    amounts: list[tuple[float | None, int | None]] = [(fraction, None) for fraction in fractions]
    for fraction, count in amounts + [(None, count) for count in shots]:
        seeds = range(seed, seed + (1 if fraction == 1 else draws))
        results = [_score_probe(splits, draw, fraction, count) for draw in seeds]
        scores = [score for score, _ in results]
        values = [score.main for score in scores]
        spread = stdev(values) if len(values) > 1 else None
        sure = interval(np.mean([samples for _, samples in results], axis=0))
        yield FewLabelScore(fraction, fmean(values), spread, scores, count, sure)


def _score_probe(
    splits: Mapping[str, EmbeddedSplit], seed: int, fraction: float | None, shots: int | None
) -> tuple[ProbeScore | RankedProbeScore, Array]:
    """The score of one draw, and that of the resampled test images."""
    train, test, held_out = splits["train"], splits["test"], splits.get("val")
    chosen = draw_labels(train.labels, seed, train.class_names, fraction, shots)
    names_hash = split_hash([train.names[index] for index in chosen.tolist()])
    data = (train.features[chosen], train.labels[chosen], test.features)
    validation = (held_out.features, held_out.labels) if held_out else None
    if test.several:
        ranked = one_vs_rest_probe(*data, validation=validation)
        about = (seed, len(chosen), names_hash, ranked.strength)
        return _ranked(RankedProbeScore, ranked.scores, test, *about)
    result = linear_probe(*data, validation=validation)
    about = (seed, len(chosen), names_hash, result.strength)
    return _classified(ProbeScore, result.predictions, test, *about)


def _ranked[S: RankedScore](
    kind: type[S], scores: Tensor, test: EmbeddedSplit, *about: float | str
) -> tuple[S, Array]:
    macro, micro, values = average_precision(scores, test.labels)
    per_class = dict(zip(test.class_names, values, strict=True))
    samples = resample_macro_precision(scores, test.labels)
    return kind(macro, micro, per_class, *about, interval=interval(samples)), samples


def _classified[S: Score](
    kind: type[S], predictions: Tensor, test: EmbeddedSplit, *about: float | str
) -> tuple[S, Array]:
    confusion = multiclass_confusion_matrix(predictions, test.labels, num_classes=len(test.class_names))
    counts, correct = confusion.sum(dim=1).tolist(), confusion.diagonal().tolist()
    per_class = {
        name: right / count if count else None
        for name, right, count in zip(test.class_names, correct, counts, strict=True)
    }
    samples = resample_mean(predictions == test.labels)
    accuracy = sum(correct) / sum(counts)
    return kind(accuracy, per_class, confusion.tolist(), *about, interval=interval(samples)), samples
