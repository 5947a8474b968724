import itertools

import numpy as np
import pytest
import shapely

from xstars_lightning.samplers import RandomWindowSampler

SNAP = (30.0, 30.0, 7.0, 11.0)
AREA = shapely.union_all([shapely.box(0, 0, 3000, 3000), shapely.box(9000, 0, 10000, 1000)])


def sampler(**changes):
    return RandomWindowSampler(**({"area": AREA, "size": 300, "length": 96, "snap": SNAP} | changes))


def boxes(windows):
    return [(x.start, y.start, x.stop, y.stop) for x, y in windows]


def test_windows_are_snapped_squares_on_valid_ground():
    windows = boxes(sampler(min_valid=0.8))
    assert len(windows) == 96
    for xmin, ymin, xmax, ymax in windows:
        assert (xmax - xmin, ymax - ymin) == (300, 300)
        assert ((xmin - 7) / 30) % 1 == 0
        assert ((ymax - 11) / 30) % 1 == 0
        assert shapely.box(xmin, ymin, xmax, ymax).intersection(AREA).area >= 0.8 * 300**2 - 1


def test_places_are_uniform():
    windows = np.array(boxes(sampler(length=20_000, snap=(0.1, 0.1, 0, 0), min_valid=1)))
    far = windows[:, 0] > 5000
    assert far.mean() == pytest.approx(700**2 / (700**2 + 2700**2), abs=0.01)
    assert np.histogram(windows[~far, 0], bins=9)[0].std() < 0.05 * len(windows) / 9


@pytest.mark.parametrize("world", [1, 2, 4])
def test_one_stream_for_any_number_of_processes(world):
    ranks = [boxes(sampler(rank=rank, world_size=world)) for rank in range(world)]
    assert {len(rank) for rank in ranks} == {96 // world}
    assert {len(sampler(rank=rank, world_size=world)) for rank in range(world)} == {96 // world}
    interleaved = [window for turn in zip(*ranks, strict=True) for window in turn]
    assert interleaved == boxes(sampler())


def test_epochs_and_seeds_differ_and_repeat():
    one = sampler()
    first = boxes(one)
    assert first == boxes(one)
    one.set_epoch(1)
    assert len(set(boxes(one)) & set(first)) < 5
    one.set_epoch(0)
    assert boxes(one) == first
    assert len(set(boxes(sampler(seed=1))) & set(first)) < 5


def test_a_longer_epoch_begins_like_a_shorter_one():
    assert boxes(sampler(length=10_000))[:96] == boxes(sampler())


def test_resume():
    whole = sampler()
    whole.set_epoch(3)
    state = {"epoch": 3, "start": 40}
    rest = sampler()
    rest.load_state_dict(state)
    assert rest.state_dict() == state
    rest.set_epoch(3)  # Lightning says so again at the epoch's start
    assert boxes(rest) == boxes(whole)[40:]
    rest.set_epoch(4)
    assert len(boxes(rest)) == len(rest) == 96


def test_stream_across_epochs():
    one = sampler()
    epochs = [boxes(one)]
    one.set_epoch(1)
    epochs.append(boxes(one))
    joined = list(itertools.chain(*epochs))
    assert boxes(sampler().since(50)) == joined[50 : 50 + 96]


def test_region_holds_whole_windows():
    region = shapely.box(0, 0, 1000, 3000)
    for window in boxes(sampler(region=region)):
        assert region.covers(shapely.box(*window))


def test_no_room():
    with pytest.raises(ValueError, match=r"No window of 5000 x 5000 .*largest part .* 3000 x 3000"):
        sampler(size=5000)
    with pytest.raises(ValueError, match="within its region"):
        sampler(region=shapely.box(0, 0, 200, 200))
    with pytest.raises(ValueError, match="No valid ground at all"):
        sampler(region=shapely.box(-900, -900, -500, -500))
    with pytest.raises(ValueError, match="no window for each of 4"):
        sampler(length=3, world_size=4, rank=0)


def test_many_footprints_are_fast():
    places = np.random.default_rng(0).uniform(0, 1e6, (5000, 2))
    area = shapely.union_all(shapely.box(*places.T, *(places + 1000).T))
    assert len(boxes(sampler(area=area, length=2000))) == 2000
