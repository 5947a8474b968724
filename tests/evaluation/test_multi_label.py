"""Several labels per image: precision over all images, probes of one class against the rest."""

import pytest
import torch

from xstars_lightning.evaluation.bootstrap import interval, resample_macro_precision, resample_mean
from xstars_lightning.evaluation.knn import knn_shares
from xstars_lightning.evaluation.label_draws import draw_labels
from xstars_lightning.evaluation.multi_label import average_precision, one_vs_rest_probe
from xstars_lightning.evaluation.protocol import RankedProbeScore, score_knn, score_probes
from xstars_lightning.evaluation.scores import EmbeddedSplit

CLASSES = ("field", "lake", "wood")


def samples(count, seed, spread=0.3):
    """Every class adds a direction of its own to the features."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(count, 3, generator=generator) < torch.tensor([0.5, 0.3, 0.1])).long()
    labels[labels.sum(1) == 0, 0] = 1
    features = labels.float() @ torch.eye(3, 5) + spread * torch.randn(count, 5, generator=generator)
    return features, labels


def split(count, seed, **options):
    features, labels = samples(count, seed, **options)
    return EmbeddedSplit(features, labels, [f"{seed}/{n}" for n in range(count)], CLASSES)


def test_average_precision_by_hand():
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.7], [0.2, 0.6]])
    targets = torch.tensor([[1, 0], [0, 1], [1, 0]])
    macro, micro, per_class = average_precision(scores, targets)
    assert per_class == pytest.approx([(1 + 2 / 3) / 2, 1.0])
    assert macro == pytest.approx(11 / 12)
    # in one ranking: 0.9 hit, 0.8, 0.7 hit, 0.6, 0.2 hit, 0.1
    assert micro == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_precision_is_not_that_of_batches():
    generator = torch.Generator().manual_seed(0)
    scores, targets = torch.rand(64, 1, generator=generator), torch.arange(64)[:, None] % 4 == 0
    whole = average_precision(scores, targets)[0]
    parts = [average_precision(s, t)[0] for s, t in zip(scores.split(8), targets.split(8), strict=True)]
    assert abs(whole - sum(parts) / 8) > 0.05


def test_class_that_does_not_occur_does_not_count():
    macro, _, per_class = average_precision(torch.rand(4, 2), torch.tensor([[1, 0]] * 4))
    assert (macro, per_class) == (1.0, [1.0, None])
    with pytest.raises(ValueError, match="nothing to rank"):
        average_precision(torch.rand(4, 2), torch.zeros(4, 2))


def test_probe_finds_every_class_and_lets_validation_choose():
    (features, labels), held_out, (test, truth) = samples(150, 0), samples(150, 1), samples(300, 2)
    result = one_vs_rest_probe(features, labels, test, validation=held_out, strengths=(1e-6, 1.0))
    assert result.strength == 1.0
    assert average_precision(result.scores, truth)[0] > 0.95


def test_class_of_none_is_ranked_equally():
    features, labels = samples(40, 0)
    labels[:, 2] = 0
    assert one_vs_rest_probe(features, labels, features).scores[:, 2].unique().tolist() == [0.0]
    with pytest.raises(ValueError, match="all or of none of the 40"):
        one_vs_rest_probe(features, torch.ones(40, 3), features)


def test_shares_of_neighbours():
    bank, labels = torch.eye(3), torch.tensor([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    query = torch.tensor([[1.0, 1.0, 0.0]])
    torch.testing.assert_close(knn_shares(bank, labels, query, k=2), torch.tensor([[0.5, 1.0, 0.0]]))


def test_scores_are_of_all_images_with_every_draw():
    splits = {"train": split(300, 0), "val": split(100, 1), "test": split(200, 2)}
    knn = score_knn(splits["train"], splits["test"], 5, 0.07)
    assert 0.8 < knn.macro < 1
    assert knn.interval[0] < knn.macro < knn.interval[1]
    few, every, shots = score_probes(splits, (0.1, 1.0), draws=2, seed=0, shots=(5,))
    assert isinstance(few.draws[0], RankedProbeScore)
    assert [len(few.draws), len(every.draws), len(shots.draws)] == [2, 1, 2]
    assert every.mean == every.draws[0].macro > few.mean
    assert (shots.fraction, shots.shots, shots.heading) == (None, 5, "5 labels per class")


def test_draws_give_every_class_its_share():
    labels = samples(1000, 0)[1]
    totals = labels.sum(dim=0)
    chosen = draw_labels(labels, 3, CLASSES, fraction=0.1)
    counts = labels[chosen].sum(dim=0)
    assert bool((counts >= (0.1 * totals).round()).all())
    assert bool((counts <= 0.13 * totals + 1).all())
    assert chosen.tolist() == draw_labels(labels, 3, CLASSES, fraction=0.1).tolist()
    assert chosen.tolist() != draw_labels(labels, 4, CLASSES, fraction=0.1).tolist()
    assert bool((labels[draw_labels(labels, 0, CLASSES, shots=7)].sum(dim=0) >= 7).all())
    assert len(draw_labels(labels, 0, CLASSES, fraction=1.0)) == 1000


def test_a_rare_class_is_never_empty():
    labels = torch.tensor([[1, 0, 0]] * 500 + [[1, 1, 0]] * 3 + [[0, 0, 1]])
    assert labels[draw_labels(labels, 0, CLASSES, fraction=0.01)].sum(dim=0).tolist() == [5, 1, 1]


@pytest.mark.parametrize(
    ("amount", "message"),
    [({"shots": 200}, "'wood' has .* at least 200"), ({"fraction": 2.0}, "got 2.0"), ({"shots": 0}, "got 0")],
)
def test_draw_errors(amount, message):
    with pytest.raises(ValueError, match=message):
        draw_labels(samples(1000, 0)[1], 0, CLASSES, **amount)


def test_labels_must_be_columns_of_classes():
    with pytest.raises(ValueError, match=r"\(N, 3\) of 0 and 1.*\(2, 2\)"):
        EmbeddedSplit(torch.ones(2, 4), torch.ones(2, 2), ["a", "b"], CLASSES)
    with pytest.raises(ValueError, match="no image"):
        EmbeddedSplit(torch.ones(0, 4), torch.ones(0), [], CLASSES)


def test_interval_of_a_share_is_that_of_the_binomial():
    low, high = interval(resample_mean(torch.arange(400) % 4 == 0))
    assert (low, high) == (pytest.approx(0.2075, abs=0.006), pytest.approx(0.2925, abs=0.006))


@pytest.mark.parametrize("steps", [0, 3])
def test_interval_of_precision_surrounds_it_where_scores_are_tied(steps):
    """Images in the order of their labels, which must not matter."""
    targets = (torch.arange(300) < 60).long()[:, None]
    scores = (torch.rand(300, 1, generator=torch.Generator().manual_seed(0)) * steps).round()
    low, high = interval(resample_macro_precision(scores, targets))
    assert low < average_precision(scores, targets)[0] < high
    assert high < 0.4


def test_interval_of_precision_surrounds_it():
    scores, targets = torch.rand(300, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(300, 2)
    targets[::5] = 1
    samples_ = resample_macro_precision(scores, targets)
    low, high = interval(samples_)
    assert low < average_precision(scores, targets)[0] < high
    assert samples_.mean() == pytest.approx(average_precision(scores, targets)[0], abs=0.03)
    assert samples_.tolist() == resample_macro_precision(scores, targets).tolist()
