import pytest
import shapely

from xstars_lightning.samplers import GridWindowSampler, RandomWindowSampler, split_at, split_blocks

AREA = shapely.box(0, 0, 10_000, 10_000).difference(shapely.box(0, 0, 3000, 4000))
SNAP = (30.0, 30.0, 0.0, 0.0)


def covered(sampler):
    return shapely.union_all([shapely.box(x.start, y.start, x.stop, y.stop) for x, y in sampler])


@pytest.mark.parametrize("seed", [0, 1])
def test_no_ground_is_shared(seed):
    split = split_blocks(AREA, 900, 0.2, seed, margin=60)
    train = covered(RandomWindowSampler(AREA, 300, 2000, SNAP, split.train))
    val = covered(GridWindowSampler(AREA, 300, SNAP, split.val))
    assert train.distance(val) >= 60
    assert val.area / AREA.area == pytest.approx(0.2, abs=0.03)
    assert val.area + train.area > 0.75 * AREA.area


def test_choice_depends_on_the_seed_only():
    assert split_blocks(AREA, 900, 0.2, 3).val.equals(split_blocks(AREA, 900, 0.2, 3).val)
    assert not split_blocks(AREA, 900, 0.2, 3).val.equals(split_blocks(AREA, 900, 0.2, 4).val)


def test_fraction():
    assert split_blocks(AREA, 900, 0).val.is_empty
    assert split_blocks(AREA, 900, 1e-6).val.area == 900**2
    with pytest.raises(ValueError, match="val_fraction must lie"):
        split_blocks(AREA, 900, 1)
    with pytest.raises(ValueError, match=r"fits into one block.*val_area"):
        split_blocks(AREA, 20_000, 0.2)


def test_given_area():
    held_out = shapely.Point(6000, 6000).buffer(2000)
    split = split_at(AREA, held_out, margin=60)
    train = covered(RandomWindowSampler(AREA, 300, 1000, SNAP, split.train))
    assert train.distance(held_out) >= 60 - 1e-6
    assert held_out.covers(covered(GridWindowSampler(AREA, 300, SNAP, split.val)))
    with pytest.raises(ValueError, match="shares no ground"):
        split_at(AREA, shapely.box(-500, -500, -100, -100))
