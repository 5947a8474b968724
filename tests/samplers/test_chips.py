"""Chips in a random order, the same for any number of processes; whole groups held out."""

import numpy as np
import pytest

from xstars_lightning.samplers.chips import ChipSampler, split_groups

CHIPS = np.array([3, 5, 8, 13, 21, 34, 55])


def test_each_chip_comes_once_before_any_comes_again():
    numbers = [number for number, _ in ChipSampler(CHIPS, 14)]
    assert sorted(numbers[:7]) == sorted(numbers[7:]) == CHIPS.tolist()
    assert numbers[:7] != numbers[7:]


def test_crops_differ_when_a_chip_comes_again():
    draws = {}
    for number, draw in ChipSampler(CHIPS, 70):
        draws.setdefault(number, set()).add(draw)
    assert all(len(places) == 10 for places in draws.values())
    assert all(isinstance(draw, int) for _, draw in ChipSampler(CHIPS, 3))


def test_epochs_and_seeds_differ_and_come_again():
    first, again, other = ChipSampler(CHIPS, 7), ChipSampler(CHIPS, 7), ChipSampler(CHIPS, 7, seed=1)
    epoch = list(first)
    assert epoch == list(again) != list(other)
    first.set_epoch(1)
    assert list(first) != epoch


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_stream_of_one(world):
    alone = list(ChipSampler(CHIPS, 12).since(17))
    parts = [ChipSampler(CHIPS, 12, rank=rank, world_size=world).since(17) for rank in range(world)]
    assert [chip for turn in zip(*parts, strict=True) for chip in turn] == alone


def test_it_goes_on_at_any_position():
    sampler = ChipSampler(CHIPS, 10)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        epochs += list(sampler)
    assert list(sampler.since(0)) == epochs[:10]
    assert list(sampler.since(14)) == epochs[14:24]


def test_no_chips():
    with pytest.raises(ValueError, match="No chip is left"):
        ChipSampler(CHIPS[:0], 10)


GROUPS = ["Bordeaux"] * 10 + ["Grenoble"] * 30 + ["Lyon"] * 20 + ["Nice"] * 25 + ["Toulouse"] * 15


def test_whole_groups_are_held_out():
    for seed in range(20):
        held_out = split_groups(GROUPS, 0.3, seed)
        trained, validated = ({GROUPS[i] for i in np.flatnonzero(part)} for part in (~held_out, held_out))
        assert trained.isdisjoint(validated)
        assert 0.15 <= held_out.mean() <= 0.45
    assert len({split_groups(GROUPS, 0.3, seed).tobytes() for seed in range(20)}) > 5


def test_some_are_held_out_and_some_are_left():
    assert split_groups(["a", "b"], 0.01).sum() == 1
    assert split_groups(["a", "b"], 0.99).sum() == 1
    assert not split_groups(["a"], 0).any()


def test_what_cannot_be_divided():
    with pytest.raises(ValueError, match=r"All 3 chips belong to the group 'Lyon'.*val_fraction 0"):
        split_groups(["Lyon"] * 3, 0.2)
    with pytest.raises(ValueError, match=r"val_fraction must lie in \[0, 1\), got 1"):
        split_groups(GROUPS, 1)
