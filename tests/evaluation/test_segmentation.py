"""Scores of pixels, against torchmetrics and against counts by hand."""

import pytest
import torch
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from xstars_lightning.evaluation.segmentation import (
    IGNORED,
    confusions,
    score_segmentation,
    token_shares,
)

NAMES = ("field", "lake", "wood", "town")


def pixels(images=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 4, (images, 12, 10), generator=generator)
    wrong = torch.rand(truth.shape, generator=generator) < 0.4
    predictions = torch.where(wrong, torch.randint(0, 4, truth.shape, generator=generator), truth)
    truth[torch.rand(truth.shape, generator=generator) < 0.1] = IGNORED
    return predictions, truth


def test_scores_are_those_of_the_whole_dataset_without_ignored_pixels():
    predictions, truth = pixels()
    score = score_segmentation(confusions(predictions, truth, 4), NAMES)
    options = {"num_classes": 4, "average": "none", "ignore_index": IGNORED}
    jaccard = multiclass_jaccard_index(predictions, truth, **options)
    f1 = multiclass_f1_score(predictions, truth, **options)
    assert list(score.iou.values()) == pytest.approx(jaccard.tolist())
    assert list(score.f1.values()) == pytest.approx(f1.tolist())
    assert score.mean_iou == pytest.approx(jaccard.mean().item())
    used = truth != IGNORED
    assert score.accuracy == pytest.approx((predictions == truth)[used].float().mean().item())
    assert sum(map(sum, score.confusion)) == used.sum()


def test_the_mean_is_not_that_of_the_images():
    """One image has a single pixel of lake, taken for field: it must not weigh half of the lakes."""
    truth = torch.ones(2, 10, 10, dtype=torch.long)
    truth[1] = 0
    truth[1, 0, 0] = 1
    predictions = truth.clone()
    predictions[1, 0, 0] = 0
    score = score_segmentation(confusions(predictions, truth, 2), NAMES[:2])
    assert score.iou["lake"] == pytest.approx(100 / 101)
    assert score.mean_iou == pytest.approx((100 / 101 + 99 / 100) / 2)


def test_rows_are_true_classes():
    counts = confusions(torch.tensor([[[1, 1, 0]]]), torch.tensor([[[0, 0, 0]]]), 2)
    assert counts.tolist() == [[[1, 2], [0, 0]]]


def test_a_class_that_never_comes_up_is_not_averaged():
    truth = torch.tensor([[[0, 1, 1, 1]]])
    score = score_segmentation(confusions(truth, truth, 3), NAMES[:3])
    assert score.iou == {"field": 1.0, "lake": 1.0, "wood": None}
    assert score.mean_iou == 1.0


def test_the_interval_comes_from_drawing_images():
    alike = score_segmentation(confusions(*pixels(1), 4).expand(20, 4, 4), NAMES)
    assert alike.interval == pytest.approx((alike.mean_iou, alike.mean_iou))
    counts = confusions(*pixels(8), 4)
    few, many = score_segmentation(counts, NAMES), score_segmentation(counts.repeat(16, 1, 1), NAMES)
    assert few.interval[0] < few.mean_iou < few.interval[1]
    widths = [score.interval[1] - score.interval[0] for score in (few, many)]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)  # as the root of the number of images
    assert score_segmentation(counts, NAMES) == few


@pytest.mark.parametrize("label", [4, -1, 200])
def test_labels_outside_the_classes_are_an_error(label):
    truth = torch.zeros(1, 4, 4, dtype=torch.long)
    truth[0, 0, 0] = label
    with pytest.raises(ValueError, match=f"{label}.* there are 4 classes"):
        confusions(torch.zeros_like(truth), truth, 4)


def test_nothing_labelled_is_an_error():
    truth = torch.full((2, 4, 4), IGNORED)
    with pytest.raises(ValueError, match="No pixel"):
        score_segmentation(confusions(truth * 0, truth, 2), NAMES[:2])


def test_shares_of_the_classes_on_a_token():
    mask = torch.tensor([[[0, 0, 1, 2], [0, IGNORED, 2, 2]]])
    shares = token_shares(mask, (1, 2), 3)
    assert shares.tolist() == [[[[0.75, 0, 0], [0, 0.25, 0.75]]]]


def test_a_grid_that_does_not_divide_the_mask():
    mask = torch.randint(0, 3, (2, 13, 17), generator=torch.Generator().manual_seed(0))
    shares = token_shares(mask, (3, 4), 3)
    assert shares.shape == (2, 3, 4, 3)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 3, 4))
