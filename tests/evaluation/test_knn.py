"""Nearest neighbours against a plain loop, and what decides a vote."""

import math

import pytest
import torch
from torch.nn import functional

from xstars_lightning.evaluation import knn_classify


def on_circle(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def by_loop(bank, labels, queries, k, temperature, classes):
    predictions = []
    for query in queries.double():
        similarity = functional.cosine_similarity(bank.double(), query[None], dim=1)
        votes = [0.0] * classes
        for index in similarity.argsort(descending=True)[:k]:
            votes[int(labels[index])] += math.exp(float(similarity[index]) / temperature)
        predictions.append(max(range(classes), key=votes.__getitem__))
    return predictions


@pytest.mark.parametrize("k", [1, 5, 20])
def test_agrees_with_a_loop(k):
    generator = torch.Generator().manual_seed(k)
    bank, queries = (torch.randn(size, 8, generator=generator) for size in (60, 30))
    labels = torch.randint(4, (60,), generator=generator)
    predictions = knn_classify(bank, labels, queries, k, 0.2, num_classes=4)
    assert predictions.tolist() == by_loop(bank, labels, queries, k, 0.2, 4)


def test_temperature_weighs_nearness_against_number():
    bank, labels = on_circle(5, 30, 31), torch.tensor([0, 1, 1])
    query = on_circle(0)
    assert knn_classify(bank, labels, query, 3, 0.01, num_classes=2).item() == 0
    assert knn_classify(bank, labels, query, 3, 10.0, num_classes=2).item() == 1


def test_length_of_features_does_not_count():
    bank = torch.tensor([[100.0, 10.0], [0.1, 1.0]])
    assert knn_classify(bank, torch.tensor([0, 1]), torch.tensor([[0.2, 0.01]]), 1, num_classes=2).item() == 0


def test_chunks_leave_the_order():
    bank = torch.eye(7)
    queries = torch.arange(2500) % 7
    predictions = knn_classify(bank, torch.arange(7), bank[queries], 1, num_classes=7)
    assert torch.equal(predictions, queries)


def test_small_temperature_stays_finite():
    assert (
        knn_classify(on_circle(0, 90), torch.tensor([1, 0]), on_circle(1), 2, 1e-4, num_classes=2).item() == 1
    )


def test_autocast_does_not_blur_neighbours():
    bank, query = on_circle(0, 0.5).float(), on_circle(0.4).float()
    with torch.autocast("cpu", torch.bfloat16):
        assert knn_classify(bank, torch.tensor([0, 1]), query, 1, num_classes=2).item() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 4, "num_classes": 2}, "k=4 .* bank holds 3"),
        ({"k": 0, "num_classes": 2}, "k=0"),
        ({"k": 1, "num_classes": 1}, "range from 0 to 1"),
        ({"k": 1, "num_classes": 2, "temperature": 0.0}, "temperature"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        knn_classify(torch.eye(3), torch.tensor([0, 1, 1]), torch.eye(3), **options)
