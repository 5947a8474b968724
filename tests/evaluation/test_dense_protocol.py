"""Which images are labelled, and what is said of probes on few of them."""

import numpy as np
import pytest
import torch

from xstars_lightning.evaluation import split_hash
from xstars_lightning.evaluation.dense_protocol import DenseSplit, fit_probes, gather
from xstars_lightning.evaluation.segmentation import confusions, resample_mean_iou, score_segmentation

NAMES = ("field", "lake", "wood")


def split(images=20, tokens=8, empty=()):
    """Half of the tokens of an image are field; the others lake, of every fifth image wood."""
    generator = torch.Generator().manual_seed(0)
    number = torch.arange(images).repeat_interleave(tokens)
    label = torch.arange(tokens).repeat(images) % 2
    label[(number % 5 == 0) & (label == 1)] = 2
    features = torch.eye(3)[label] + 0.1 * torch.randn(len(label), 3, generator=generator)
    shares = torch.eye(3)[label]
    held = torch.zeros(images, 3).index_add_(0, number, shares) > 0
    used = ~torch.isin(number, torch.tensor(empty))
    return DenseSplit(features[used], shares[used], number[used], held, [f"{n}.png" for n in range(images)])


def test_shots_are_images_of_every_class():
    for shots, seed in ((1, 0), (3, 1)):
        (probe,) = fit_probes({"train": split()}, NAMES, (), 1, seed, (shots,))
        kinds = [int(name[:-4]) % 5 == 0 for name in probe.names]
        assert (kinds.count(True), kinds.count(False)) == (shots, shots)  # field is in all of them
        assert (probe.shots, probe.fraction, probe.missing) == (shots, None, [])


def test_a_class_with_fewer_images_is_named():
    with pytest.raises(ValueError, match="Class 'wood' has 4 samples, at least 5 are needed"):
        list(fit_probes({"train": split()}, NAMES, (), 1, 0, (5,)))


def test_no_class_is_empty_at_a_small_share():
    for probe in fit_probes({"train": split()}, NAMES, (0.05,), 8, 0):
        assert probe.missing == []
        assert len(probe.names) == 2


def test_a_class_that_no_image_has_is_told_by_its_name():
    train = split()
    four = DenseSplit(
        train.tokens,
        torch.nn.functional.pad(train.shares, (0, 1)),
        train.images,
        torch.nn.functional.pad(train.held, (0, 1)),
        train.names,
    )
    probes = list(fit_probes({"train": four}, (*NAMES, "town"), (0.1, 1.0), 1, 0, (1,)))
    assert [probe.missing for probe in probes] == [["town"]] * 3


def test_images_without_a_labelled_token_are_not_drawn():
    (probe,) = fit_probes({"train": split(empty=[0, 1])}, NAMES, (1.0,), 1, 0)
    assert len(probe.names) == 18
    assert not {"0.png", "1.png"} & {*probe.names}


def test_amounts_in_words():
    probes = fit_probes({"train": split()}, NAMES, (0.05, 1.0), 1, 0, (1, 2))
    headings = [probe.heading for probe in probes]
    assert headings == ["5 % of images", "100 % of images", "1 image per class", "2 images per class"]


def test_scores_of_an_amount_are_put_together():
    probes = list(fit_probes({"train": split()}, NAMES, (0.2, 1.0), 2, 3, (2,)))
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(3, (6, 9, 9), generator=generator)
    counts = []
    for number in range(len(probes)):
        wrong = torch.rand(truth.shape, generator=generator) < 0.1 * (number + 1)
        counts.append(confusions(torch.where(wrong, 0, truth), truth, 3))
    scores = [score_segmentation(each, NAMES) for each in counts]
    samples = [resample_mean_iou(each) for each in counts]
    rows = gather(probes, scores, samples)
    assert [(row.fraction, row.shots) for row in rows] == [(0.2, None), (1.0, None), (None, 2)]
    assert [[draw["seed"] for draw in row.draws] for row in rows] == [[3, 4], [3], [3, 4]]
    assert rows[0].draws[1]["images_hash"] == split_hash(probes[1].names)
    assert rows[0].mean == pytest.approx((scores[0].mean_iou + scores[1].mean_iou) / 2)
    assert rows[0].spread == pytest.approx(abs(scores[0].mean_iou - scores[1].mean_iou) / 2**0.5)
    assert (rows[1].spread, rows[1].interval) == (None, scores[2].interval)
    assert rows[0].interval == pytest.approx(np.percentile((samples[0] + samples[1]) / 2, (2.5, 97.5)))
