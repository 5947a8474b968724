import pytest
import shapely

from xstars_lightning.samplers import GridWindowSampler

SNAP = (30.0, 30.0, 0.0, 0.0)


def boxes(windows):
    return shapely.box(*zip(*[(x.start, y.start, x.stop, y.stop) for x, y in windows], strict=True))


def test_windows_tile_the_area():
    sampler = GridWindowSampler(shapely.box(0, 0, 900, 600), 300, SNAP)
    assert len(sampler) == 6
    assert shapely.union_all(boxes(sampler)).area == 900 * 600
    assert list(sampler) == list(sampler)
    assert next(iter(sampler)) == (slice(0.0, 300.0), slice(300.0, 600.0))


def test_stride_and_min_valid():
    area = shapely.box(0, 0, 900, 600).difference(shapely.box(0, 0, 300, 200))
    assert len(GridWindowSampler(area, 300, SNAP)) == 5
    assert len(GridWindowSampler(area, 300, SNAP, min_valid=0.3)) == 6
    assert len(GridWindowSampler(area, 300, SNAP, stride=150)) > 10


def test_each_part_of_a_region_begins_its_own_grid():
    parts = [shapely.box(60, 0, 960, 900), shapely.box(1530, 120, 2430, 1020)]
    region = shapely.union_all(parts)
    sampler = GridWindowSampler(shapely.box(0, 0, 3000, 3000), 300, SNAP, region)
    assert len(sampler) == 18
    assert all(region.covers(box) for box in boxes(sampler))


def test_no_room():
    with pytest.raises(ValueError, match=r"No window of 300 x 300 .* 200 x 600.*smaller window"):
        GridWindowSampler(shapely.box(0, 0, 200, 600), 300, SNAP)
