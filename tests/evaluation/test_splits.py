"""Splits are stratified, seeded, nested, and told apart by their hash."""

import pytest
import torch

from xstars_lightning.evaluation import label_subset, labels_per_class, split_hash, stratified_split

LABELS = torch.tensor([0] * 50 + [1] * 300 + [2] * 20)[
    torch.randperm(370, generator=torch.Generator().manual_seed(0))
]


def counts(indices):
    return LABELS[indices].bincount(minlength=3).tolist()


def test_split_has_the_same_shares_of_every_class():
    parts = stratified_split(LABELS, (0.6, 0.2, 0.2), seed=3)
    assert [counts(part) for part in parts] == [[30, 180, 12], [10, 60, 4], [10, 60, 4]]
    assert torch.cat(parts).sort().values.tolist() == list(range(370))


def test_split_is_in_mixed_order():
    part = stratified_split(LABELS, seed=3)[0]
    assert len(set(LABELS[part[:20]].tolist())) > 1
    assert part.tolist() != sorted(part.tolist())


def test_seed_decides():
    first, again, other = (stratified_split(LABELS, seed=seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again
    assert set(first) != set(other)


@pytest.mark.parametrize("count", [3, 4, 7])
def test_no_part_of_a_small_class_is_empty(count):
    parts = stratified_split(torch.zeros(count, dtype=torch.long), (0.8, 0.1, 0.1))
    assert min(len(part) for part in parts) >= 1
    assert sum(len(part) for part in parts) == count


def test_split_errors():
    with pytest.raises(ValueError, match="'lake' has 2 samples, at least 3"):
        stratified_split(torch.tensor([0, 0, 0, 1, 1]), class_names=["field", "lake"])
    with pytest.raises(ValueError, match="sum to 1"):
        stratified_split(LABELS, (0.6, 0.6))


def test_subset_counts_and_nesting():
    small, large = (label_subset(LABELS, fraction, seed=5) for fraction in (0.01, 0.1))
    assert counts(small) == [1, 3, 1]
    assert counts(large) == [5, 30, 2]
    assert set(small.tolist()) < set(large.tolist())
    assert label_subset(LABELS, 1.0, seed=5).tolist() == list(range(370))
    assert label_subset(LABELS, 0.1, seed=6).tolist() != large.tolist()


def test_subset_errors():
    with pytest.raises(ValueError, match="'wood' has 0 samples"):
        label_subset(LABELS, 0.1, 0, ["field", "lake", "town", "wood"])
    for fraction in (0.0, 1.5):
        with pytest.raises(ValueError, match="fraction"):
            label_subset(LABELS, fraction, 0)


def test_every_class_gives_as_many_labels():
    few, more = (labels_per_class(LABELS, count, seed=5) for count in (3, 20))
    assert (counts(few), counts(more)) == ([3, 3, 3], [20, 20, 20])
    assert few.tolist() == sorted(few.tolist())
    assert set(few.tolist()) < set(more.tolist())
    assert few.tolist() == labels_per_class(LABELS, 3, seed=5).tolist()
    assert few.tolist() != labels_per_class(LABELS, 3, seed=6).tolist()


def test_too_few_labels_are_an_error():
    with pytest.raises(ValueError, match="'town' has 20 samples, at least 21"):
        labels_per_class(LABELS, 21, 0, ["field", "lake", "town"])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        labels_per_class(LABELS, 0, 0)


def test_hash_is_that_of_the_set_and_stays():
    # printf 'a/1\nb/2' | sha256sum
    known = "8bd12b24d6eb14c9a141597ec482f69a14c9a5024036441d727b4a968e67a33f"
    assert split_hash(["b/2", "a/1"]) == split_hash(["a/1", "b/2"]) == known
    assert split_hash(["a/1", "b/3"]) != known
