"""Scores are those of their parts, with what is needed to repeat them."""

from statistics import fmean, stdev

import pytest
import torch

from xstars_lightning.evaluation import EmbeddedSplit, score_knn, score_probes, split_hash
from xstars_lightning.evaluation.protocol import ProbeScore

CLASSES = ("field", "lake", "wood")


def split(count, seed, spread=0.6, classes=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    features = 2 * torch.eye(4)[labels] + spread * torch.randn(count, 4, generator=generator)
    return EmbeddedSplit(features, labels, [f"{seed}/{index}" for index in range(count)], CLASSES)


def test_knn_score_counts_per_class():
    train, test = split(60, 0, spread=0.01), split(9, 1, spread=0.01)
    test.labels[0] = 1  # a field, called a lake
    score = score_knn(train, test, k=5, temperature=0.07)
    assert score.accuracy == pytest.approx(8 / 9)
    assert score.per_class == {"field": 1.0, "lake": 0.75, "wood": 1.0}
    assert score.confusion == [[2, 0, 0], [1, 3, 0], [0, 0, 3]]


def test_class_without_test_images_has_no_accuracy():
    assert score_knn(split(60, 0), split(8, 1, classes=2), 5, 0.07).per_class["wood"] is None


def test_probes_report_every_draw():
    splits = {"train": split(120, 0), "val": split(60, 1), "test": split(90, 2)}
    few, every = score_probes(splits, (0.1, 1.0), draws=3, seed=7)
    assert [draw.seed for draw in few.draws] == [7, 8, 9]
    assert [draw.labels for draw in few.draws] == [12, 12, 12]
    assert len({draw.labels_hash for draw in few.draws}) == 3
    values = [draw.accuracy for draw in few.draws]
    assert (few.mean, few.spread) == (pytest.approx(fmean(values)), pytest.approx(stdev(values)))
    assert (every.spread, len(every.draws), every.draws[0].labels) == (None, 1, 120)
    assert every.draws[0].labels_hash == split_hash(splits["train"].names)
    assert every.mean > few.mean > 0.5


def test_probes_do_without_validation():
    (score,) = score_probes({"train": split(60, 0), "test": split(30, 1)}, (1.0,), draws=1, seed=0)
    assert isinstance(score.draws[0], ProbeScore)


def test_errors():
    features = torch.ones(2, 3)
    with pytest.raises(ValueError, match="from 0 to 3, but there are 3 classes"):
        EmbeddedSplit(features, torch.tensor([0, 3]), ["a", "b"], CLASSES)
    with pytest.raises(ValueError, match="not finite"):
        EmbeddedSplit(features * torch.nan, torch.tensor([0, 1]), ["a", "b"], CLASSES)
    with pytest.raises(ValueError, match="'wood' has 0"):
        list(score_probes({"train": split(60, 0, classes=2), "test": split(9, 1)}, (1.0,), 1, 0))
