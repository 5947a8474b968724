import numpy as np
import pyarrow as pa
import pytest
import shapely
from shapely import affinity, box

from xstars_lightning.samplers.convex import lost_shares
from xstars_lightning.samplers.pair_ground import PairGround

SIDE, SIZE = 1000.0, 300.0


def rotated(angle):
    return affinity.translate(affinity.rotate(box(0, 0, SIDE, 1.3 * SIDE), angle), 400_000, 5_000_000)


def sliver():
    """One edge that windows see at a right angle, another nearly so."""
    return shapely.Polygon([(0, 0), (2000, 0), (2000, 1000 + 1e-7), (0, 1000)])


CONVEX = {
    "upright": rotated(0),
    "rotated": rotated(12),
    "clockwise": rotated(77).reverse(),
    "octagon": rotated(5).intersection(rotated(50)),
    "triangle": shapely.Polygon([(0, 0), (1000, 200), (100, 900)]),
    "sliver": sliver(),
}
OTHER = {
    "concave": shapely.Polygon([(0, 0), (1000, 0), (500, 300), (1000, 1000), (0, 1000)]),
    "hidden turn": shapely.Polygon([(0, 0), (1000, 0), (500, 300), (500, 300), (1000, 1000), (0, 1000)]),
    "hole": box(0, 0, 1000, 1000).difference(box(400, 400, 600, 600)),
    "parts": box(0, 0, 1000, 1000).union(box(2000, 0, 3000, 1000)),
    "round": shapely.Point(0, 0).buffer(800),
}
OUTLINES = [*CONVEX.values(), *OTHER.values()]


def windows(outline, count=4000):
    low, high = np.split(shapely.bounds(outline), 2)
    corner = np.random.default_rng(0).uniform(low - SIZE / 2, high - SIZE / 2, (count, 2))
    return np.column_stack([corner, corner + SIZE])


def shares(outline, at):
    """Share of each window outside, all of it where the centre is, by exact geometries."""
    shared = shapely.area(shapely.intersection(outline, shapely.box(*at.T))) / SIZE**2
    return np.where(shapely.contains_xy(outline, *(at[:, :2] + at[:, 2:]).T / 2), 1 - shared, 1)


def lost(number, at):
    wkb = pa.array([b"", *shapely.to_wkb(OUTLINES)], pa.large_binary())[1:]  # a slice begins elsewhere
    centres = ((at[:, :2] + at[:, 2:]) / 2).view(complex)[:, 0]
    return lost_shares(wkb, np.full(len(at), number), centres, SIZE)


@pytest.mark.parametrize("name", CONVEX)
def test_the_share_lies_between_the_bounds_and_mostly_both_are_the_same(name):
    at = windows(CONVEX[name])
    true, (least, most) = shares(CONVEX[name], at), lost(list(CONVEX).index(name), at)
    assert np.all((least <= true + 2e-6) & (true <= most + 2e-6))
    assert np.mean(most - least < 1e-9) > 0.7
    inside = true < 1e-12
    assert inside.any()
    np.testing.assert_allclose(most[inside], 0, atol=2e-6)


@pytest.mark.parametrize("name", OTHER)
def test_nothing_is_said_of_other_outlines(name):
    least, most = lost(OUTLINES.index(OTHER[name]), windows(OTHER[name], 10))
    assert np.all(least == 0)
    assert np.all(most == 1)


@pytest.mark.parametrize("min_valid", [0.05, 0.5, 0.95, 1.0])
def test_windows_are_accepted_as_by_exact_geometries(min_valid, make_pairs):
    ground = PairGround(make_pairs(OUTLINES), SIZE, min_valid, None, "train")
    at = [windows(outline) for outline in OUTLINES]
    true = np.concatenate([shares(outline, some) for outline, some in zip(OUTLINES, at, strict=True)])
    pair = np.repeat(np.arange(len(OUTLINES)), [len(some) for some in at])
    accepted = ground.accepts(np.column_stack([pair, np.concatenate(at)]))
    box_pairs = ground._is_box[pair]  # of these, windows are clipped without regard to their centre
    expected = 1 - true >= min_valid * (1 - 1e-6)
    np.testing.assert_array_equal(accepted[~box_pairs], expected[~box_pairs])
    assert 0.05 < expected.mean() < 0.95
