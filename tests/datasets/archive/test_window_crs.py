from dataclasses import replace

import numpy as np
import pytest
from pyproj import Transformer
from shapely import box

from xstars_lightning.datasets.archive.joining import join
from xstars_lightning.datasets.archive.window_crs import pixel_sizes, utm_zones, window_crs


@pytest.fixture
def scene(make_footprints):
    """One scene of 2 km around a place in degrees, with pixels of 10 units."""

    def make(crs, lon, lat):
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
        return make_footprints([(box(x - 1000, y - 1000, x + 1000, y + 1000), crs, None)], res=10)

    return make


def zone_of(index):
    crs, crs_of = window_crs(index)
    return crs[crs_of[0]].to_epsg()


@pytest.mark.parametrize(
    ("crs", "place", "zone"),
    [
        ("EPSG:3857", (2.0, 48.0), 32631),  # 1.49 metres of the map are one of the ground
        ("EPSG:3857", (2.0, -60.0), 32731),
        ("EPSG:3857", (2.0, 5.0), 3857),
        ("EPSG:6933", (2.0, 60.0), 32631),  # equal in area, not in length
        ("EPSG:32631", (2.0, 48.0), 32631),
        ("EPSG:32631", (7.0, 48.0), 32631),  # beyond its zone, as images are
        ("EPSG:3035", (-6.0, 37.0), 3035),
        ("EPSG:5070", (-120.0, 47.0), 5070),
        ("EPSG:2154", (2.0, 48.0), 2154),
        ("EPSG:3413", (-45.0, 60.5), 3413),
        ("EPSG:3031", (10.0, -88.0), 3031),
        ("EPSG:2263", (-74.0, 40.7), 32618),  # feet
    ],
)
def test_windows_lie_in_metres_of_the_ground(scene, crs, place, zone):
    assert zone_of(scene(crs, *place)) == zone


def test_scenes_of_one_crs_may_have_several_zones(make_footprints):
    high, low = box(222_000, 6_100_000, 223_000, 6_101_000), box(222_000, 100_000, 223_000, 101_000)
    index = make_footprints([(high, "EPSG:3857", None), (low, "EPSG:3857", None)])
    crs, crs_of = window_crs(index)
    assert [crs[number].to_epsg() for number in crs_of] == [32631, 3857]


def test_pixels_of_web_mercator_are_smaller_on_the_ground(scene):
    assert pixel_sizes(scene("EPSG:3857", 2.0, 48.0))[0] == pytest.approx(6.69, rel=2e-3)
    assert pixel_sizes(scene("EPSG:32631", 2.0, 48.0)).tolist() == [10]
    assert pixel_sizes(scene("EPSG:3413", -45.0, 60.5)).tolist() == [10]
    feet = scene("EPSG:2263", -74.0, 40.7)
    assert pixel_sizes(feet)[0] == pytest.approx(3.048, rel=1e-4)
    blind = replace(feet, transform=np.full((1, 6), np.nan))
    assert np.isnan(pixel_sizes(blind)).all()


def test_ground_of_web_mercator_is_measured_on_the_ground(scene):
    pairs = join({"map": scene("EPSG:3857", 2.0, 48.0), "utm": scene("EPSG:32631", 2.0, 48.0)}, "map")
    assert pairs.area[0] == pytest.approx((2000 / 1.4924) ** 2, rel=5e-3)
    assert pairs.crs[pairs.crs_of[0]].to_epsg() == 32631


@pytest.mark.parametrize(
    ("bounds", "zone"),
    [
        ([2, 45, 2.1, 45.1], 32631),
        ([2, -45.1, 2.1, -45], 32731),
        ([179.9, 1, -179.7, 1.1], 32601),
        ([179.7, 1, -179.9, 1.1], 32660),
        ([10, 83.5, 12, 84.2], 32661),
        ([-180, 79, 180, 90], 32661),
        ([10, -80.5, 12, -79.4], 32761),
        ([10, 82, 12, 83.9], 32632),
    ],
)
def test_zones_all_over_the_world(bounds, zone):
    assert utm_zones(np.array([bounds])).tolist() == [zone]
