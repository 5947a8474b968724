import numpy as np
import pytest
from pyproj import Geod, Transformer

from xstars_lightning.samplers import Cells


def corners(x, y, size, crs):
    """Longitude and latitude of the four corners of windows centred at x, y."""
    move = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform
    x = x[:, None] + np.array([-1, 1, 1, -1]) * size / 2
    y = y[:, None] + np.array([-1, -1, 1, 1]) * size / 2
    return move(x, y)


def lattice(x, y, size, crs, count=21):
    """Longitude and latitude of count x count points in each window."""
    step = np.linspace(-size / 2, size / 2, count)
    dx, dy = (side.ravel() for side in np.meshgrid(step, step))
    return Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x[:, None] + dx, y[:, None] + dy)


def test_the_share_of_held_out_ground_is_as_asked():
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, 200_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 200_000)))
    for fraction in (0.0, 0.1, 0.5, 1.0):
        assert Cells(50_000, fraction).held_out(lon, lat).mean() == pytest.approx(fraction, abs=0.01)


def test_seeds_choose_other_cells():
    lon, lat = np.random.default_rng(0).uniform(-80, 80, (2, 5000))
    one = Cells(50_000, 0.5).held_out(lon, lat)
    np.testing.assert_array_equal(one, Cells(50_000, 0.5).held_out(lon, lat))
    assert 0.4 < (one == Cells(50_000, 0.5, seed=1).held_out(lon, lat)).mean() < 0.6


def test_cells_are_no_narrower_than_a_block_anywhere():
    cells = Cells(20_000, 0.5)
    for south in (-89.9, -60.0, 0.0, 45.0, 89.5):
        lat = np.full(200_000, south)
        lon = np.linspace(-180, 180, len(lat), endpoint=False)
        _, column = cells._cell(lon, lat)
        widths = np.bincount(column.astype(int)) / len(lat)
        around = Geod(ellps="WGS84").line_length(lon[::100], lat[::100])
        assert widths.min() * around > 0.99 * 20_000
        assert len(widths) == 1 or widths.max() * around < 2.1 * 20_000


PLACES = {
    "middle latitudes": ("EPSG:32631", (300_000, 700_000), (4_900_000, 5_300_000)),
    "far from the meridian": ("EPSG:32631", (0, 300_000), (6_900_000, 7_300_000)),
    "antimeridian": ("EPSG:32601", (100_000, 300_000), (7_000_000, 7_300_000)),
    "north pole": ("EPSG:32661", (1_900_000, 2_100_000), (1_900_000, 2_100_000)),
    "south pole": ("EPSG:3031", (-50_000, 50_000), (-50_000, 50_000)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("part", ["train", "val"])
def test_no_point_of_a_window_lies_in_a_cell_of_the_other_part(place, part):
    crs, xs, ys = PLACES[place]
    rng = np.random.default_rng(0)
    x, y = rng.uniform(*xs, 20_000), rng.uniform(*ys, 20_000)
    cells, size = Cells(9000, 0.5), 4500
    cells.check_size(size)
    within = cells.within(part, *corners(x, y, size, crs))
    assert within.mean() > 0.02
    lon, lat = lattice(x[within][:600], y[within][:600], size * 0.999, crs)
    held = cells.held_out(lon.ravel(), lat.ravel())
    assert held.all() if part == "val" else not held.any()


def test_most_windows_within_one_cell_belong_to_a_part():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(300_000, 700_000, 5000), rng.uniform(4_900_000, 5_300_000, 5000)
    degrees = corners(x, y, 300, "EPSG:32631")
    cells = Cells(30_000, 0.3)
    train, val = (cells.within(part, *degrees) for part in ("train", "val"))
    assert not (train & val).any()
    assert (train | val).mean() > 0.95


def test_a_margin_keeps_windows_from_the_border():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(300_000, 700_000, 20_000), rng.uniform(4_900_000, 5_300_000, 20_000)
    cells = Cells(9000, 0.5, margin=500)
    within = cells.within("train", *corners(x, y, 2000, "EPSG:32631"))
    assert 0.1 < within.mean() < 0.5
    lon, lat = lattice(x[within][:500], y[within][:500], 2 * 990 + 2 * 500 * 0.98, "EPSG:32631")
    assert not cells.held_out(lon.ravel(), lat.ravel()).any()


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match="val_fraction in"):
        Cells(1000, 1.5)
    with pytest.raises(ValueError, match="block must be positive"):
        Cells(0, 0.5)
    with pytest.raises(ValueError, match="blocks of 2200 m or more"):
        Cells(2000, 0.5, margin=50).check_size(1000)
