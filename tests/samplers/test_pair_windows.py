import itertools
import logging
import tracemalloc

import numpy as np
import pytest
import shapely
from pyproj import Transformer
from shapely import Point, box

from xstars_lightning.datasets.archive.avoiding import without
from xstars_lightning.samplers import Cells, PairGridSampler, PairWindowSampler

NORTH = 5_000_000


def square(x, side, y=NORTH):
    return box(x, y, x + side, y + side)


@pytest.fixture
def pairs(make_pairs):
    """Boxes of 3 and 1 km, a disc of 2 km radius in another zone, and a box too small for 300 m."""
    outlines = [
        square(500_000, 3000),
        square(520_000, 1000),
        Point(500_000, NORTH).buffer(2000),
        square(0, 100),
    ]
    return make_pairs(outlines, ["EPSG:32631", "EPSG:32631", "EPSG:32633", "EPSG:32631"])


@pytest.fixture
def sampler(pairs):
    def make(**changes):
        return PairWindowSampler(**({"pairs": pairs, "size": 300, "length": 96} | changes))

    return make


def test_windows_are_squares_on_the_ground_of_their_pair(sampler, pairs):
    outlines = pairs.outlines(slice(None))
    windows = list(sampler(min_valid=0.8, length=2000))
    assert len(windows) == 2000
    for pair, *box_ in windows:
        assert box_[2] - box_[0] == pytest.approx(300)
        assert box_[3] - box_[1] == pytest.approx(300)
        assert shapely.box(*box_).intersection(outlines[pair]).area >= 0.8 * 300**2 - 1
    shares = [shapely.box(*box_).intersection(outlines[pair]).area / 300**2 for pair, *box_ in windows]
    assert 0.8 < min(shares) < 0.85


def test_pairs_are_drawn_by_their_area(sampler):
    pair = np.array([window.pair for window in sampler(size=50, length=40_000)])
    share = np.bincount(pair, minlength=4) / len(pair)
    disc = np.pi * 4
    expected = np.array([9, 1, disc, 0]) / (10 + disc)
    np.testing.assert_allclose(share, expected, atol=0.01)


def test_places_are_uniform_where_the_window_fits(sampler, pairs):
    windows = [window for window in sampler(length=40_000, min_valid=1) if window.pair == 0]
    x = np.array([(window.xmin - 500_000) / 2700 for window in windows])
    y = np.array([(window.ymin - NORTH) / 2700 for window in windows])
    for place in (x, y):
        assert 0 <= place.min() < place.max() <= 1 + 1e-9
        counts = np.histogram(place, bins=9, range=(0, 1))[0]
        assert counts.std() < 0.05 * len(place) / 9


def test_a_pair_of_the_size_of_a_window_has_one(make_pairs):
    pairs = make_pairs(
        [square(500_000, 300), square(600_000, 295), box(700_000, NORTH, 700_290, NORTH + 600)]
    )
    windows = list(PairWindowSampler(pairs, 300, 100, min_valid=0.9))
    assert {window.pair for window in windows} == {0, 1, 2}
    for pair, *place in windows:
        if pair == 0:
            assert place == pytest.approx([500_000, NORTH, 500_300, NORTH + 300])
        if pair == 1:
            assert shapely.box(*place).covers(square(600_000, 295).buffer(-1e-6))


def test_pairs_too_small_are_said_once(sampler, caplog):
    with caplog.at_level(logging.WARNING):
        list(sampler(rank=0, world_size=2))
        sampler(rank=1, world_size=2)
    assert caplog.messages == ["1 of 4 pairs are too small for windows of 300 m and left out."]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_one_stream_for_any_number_of_processes(world, sampler):
    ranks = [list(sampler(rank=rank, world_size=world)) for rank in range(world)]
    assert {len(rank) for rank in ranks} == {len(sampler(rank=0, world_size=world))} == {96 // world}
    interleaved = [window for turn in zip(*ranks, strict=True) for window in turn]
    assert interleaved == list(sampler())
    assert len(set(interleaved)) == 96


def test_epochs_and_seeds_differ_and_repeat(sampler):
    one = sampler()
    first = list(one)
    assert first == list(one)
    one.set_epoch(1)
    assert not set(one) & set(first)
    one.set_epoch(0)
    assert list(one) == first
    assert not set(sampler(seed=1)) & set(first)
    assert list(sampler(length=10_000))[:96] == first


def test_resume(sampler):
    whole, rest = sampler(), sampler()
    whole.set_epoch(3)
    rest.load_state_dict({"epoch": 3, "start": 40})
    assert list(rest) == list(whole)[40:]
    epochs = []
    for epoch in (0, 1):
        whole.set_epoch(epoch)
        epochs.append(list(whole))
    assert list(whole.since(50)) == list(itertools.chain(*epochs))[50 : 50 + 96]


def test_no_room(sampler, make_pairs):
    with pytest.raises(ValueError, match=r"No window of 5000 x 5000 m .*largest of 4 .* 4000 x 4000"):
        sampler(size=5000)
    with pytest.raises(ValueError, match=r"blocks of 600 m or more"):
        sampler(cells=Cells(400, 0.5))
    # A ring has room by its area and its box, but none for a window.
    ring = Point(500_000, NORTH).buffer(1000).difference(Point(500_000, NORTH).buffer(900))
    with pytest.raises(ValueError, match="No window of 400 x 400"):
        PairWindowSampler(make_pairs([ring]), 400, 10)


def test_no_cell_of_the_part_wants_smaller_blocks(pairs, sampler):
    held_out = (
        r"None of the val cells \(blocks of 10000 m, val_fraction 0, seed 0\) meets the ground of 4 pairs"
    )
    with pytest.raises(ValueError, match=held_out):
        sampler(cells=Cells(10_000, 0.0), part="val")
    for make in (sampler, lambda **split: PairGridSampler(pairs, 300, limit=10, **split)):
        with pytest.raises(
            ValueError, match=r"of the val cells .*Give smaller blocks, another seed"
        ) as error:
            make(cells=Cells(500_000, 0.01, seed=1), part="val")
        assert "window" not in str(error.value)
    with pytest.raises(ValueError, match=r"of the train cells .*val_fraction 1, .*another val_fraction"):
        sampler(cells=Cells(10_000, 1.0))


def test_windows_that_fit_only_across_the_borders_of_cells_want_larger_ones(make_pairs):
    border = 7500 * 180 / int(180 * 111_195 / 2000) - 90  # between two rows of cells, at 45 north
    y = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform(3.0, border)[1]
    pairs = make_pairs([box(500_000, y - 250, 502_000, y + 250)])
    with pytest.raises(ValueError, match=r"fits in the val cells .*smaller window, larger blocks"):
        PairGridSampler(pairs, 450, cells=Cells(2000, 0.5, seed=0, margin=200))


@pytest.mark.parametrize("limit", [None, 10])
def test_windows_that_fit_nowhere_are_not_blamed_on_the_cells(pairs, limit):
    with pytest.raises(ValueError, match=r"No window of 5000 .* fits\. The largest of 4") as error:
        PairGridSampler(pairs, 5000, cells=Cells(100_000, 0.1), limit=limit)
    assert "block" not in str(error.value)


def test_pairs_without_ground_are_not_called_small(make_pairs):
    avoided = box(499_000, NORTH - 1000, 599_000, NORTH + 9000)
    pairs = make_pairs([square(500_000, 2000), square(600_000, 200)])
    some = without(pairs, lambda _: avoided)
    with pytest.raises(
        ValueError, match=r"of 2 pairs \(1 of them without ground, because all of it is avoided"
    ):
        PairGridSampler(some, 300)
    with pytest.raises(ValueError, match=r"^None of 2 pairs has ground left.* \(avoid\)"):
        PairGridSampler(without(pairs, lambda _: avoided, 10_000), 300)


def test_training_and_validation_windows_share_no_ground(make_pairs):
    pairs = make_pairs([square(500_000, 30_000), Point(510_000, NORTH + 10_000).buffer(9000)])
    cells = Cells(3000, 0.3, margin=100)
    train = list(PairWindowSampler(pairs, 1000, 3000, cells=cells))
    val = list(PairGridSampler(pairs, 1000, cells=cells, stride=250))
    area = shapely.union_all([shapely.box(*window[1:]) for window in train])
    held = shapely.union_all([shapely.box(*window[1:]) for window in val])
    assert area.distance(held) > 2 * 100
    assert area.area > 0.3 * 9e8
    assert held.area > 0.05 * 9e8


def test_a_grid_of_windows(pairs):
    sampler = PairGridSampler(pairs, 300)
    windows = list(sampler)
    assert len(sampler) == len(windows)
    assert [window.pair for window in windows].count(0) == 100
    assert [window.pair for window in windows].count(1) == 9
    assert windows[:2] == [
        (0, 500_000, NORTH + 2700, 500_300, NORTH + 3000),
        (0, 500_300, NORTH + 2700, 500_600, NORTH + 3000),
    ]
    disc = [shapely.box(*window[1:]) for window in windows if window.pair == 2]
    assert shapely.union_all(disc).area == pytest.approx(len(disc) * 9e4)
    assert len(PairGridSampler(pairs, 300, stride=100)) > 8 * len(windows)


def test_a_limited_grid_takes_some_of_all_pairs(make_pairs):
    pairs = make_pairs([square(500_000 + 1000 * number, 900) for number in range(50)])
    windows = list(PairGridSampler(pairs, 300, limit=90))
    assert len(windows) == 90
    assert windows == list(PairGridSampler(pairs, 300, limit=90))
    chosen = [window.pair for window in windows]
    assert chosen == sorted(chosen)
    assert max(chosen) - min(chosen) > 30
    assert list(PairGridSampler(pairs, 300, limit=10_000)) == list(PairGridSampler(pairs, 300))


def test_a_limited_grid_of_large_pairs_is_spread_over_all_and_takes_little_memory(make_pairs):
    pairs = make_pairs([square(200_000 + 110_000 * number, 110_000) for number in range(40)])
    tracemalloc.start()
    sampler = PairGridSampler(pairs, 320, cells=Cells(3200, 0.1), limit=1024)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6  # the windows of all grids take 190 MB
    windows = sampler.windows
    assert len(np.unique(windows, axis=0)) == 1024
    counts = np.bincount(windows[:, 0].astype(int), minlength=40)
    assert 5 < counts.min() <= counts.max() < 60
    inside = (windows[:, 1] - pairs.bounds[windows[:, 0].astype(int), 0]) / 110_000
    assert np.histogram(inside, 4, (0, 1))[0].min() > 180


def test_a_limited_grid_takes_windows_and_not_pairs(make_pairs):
    pairs = make_pairs([square(500_000, 30_000), *(square(600_000 + 1000 * n, 300) for n in range(100))])
    chosen = [window.pair for window in PairGridSampler(pairs, 300, limit=500)]
    assert 480 < chosen.count(0) < 500


def test_a_grid_is_the_same_in_chunks_of_any_number_of_windows(make_pairs, monkeypatch):
    pairs = make_pairs([square(500_000 + 5000 * number, 2000 + 100 * number) for number in range(9)])
    whole = list(PairGridSampler(pairs, 300))
    monkeypatch.setattr("xstars_lightning.samplers.pair_grid.CHUNK", 7)
    assert list(PairGridSampler(pairs, 300)) == whole


def test_a_grid_without_limit_holds_no_more_than_its_windows(make_pairs):
    pairs = make_pairs([square(200_000 + 110_000 * number, 110_000) for number in range(10)])
    tracemalloc.start()
    sampler = PairGridSampler(pairs, 320, cells=Cells(3200, 0.02))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 5_000 < len(sampler) < 30_000  # of 1.2 million candidates, which take 47 MB
    assert peak < 20e6


def test_a_grid_in_a_pair_of_the_size_of_a_window(make_pairs):
    windows = list(PairGridSampler(make_pairs([square(500_000, 300), square(600_000, 200)]), 300))
    assert windows == [(0, 500_000, NORTH, 500_300, NORTH + 300)]
