"""Degrees are right where longitudes jump or end."""

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer

from xstars_lightning.datasets.archive.antimeridian import boxes, joined
from xstars_lightning.datasets.archive.lonlat import to_lonlat


def one(outline, crs):
    degrees, bounds = to_lonlat(np.array([outline], dtype=object), np.zeros(1, int), [CRS(crs)])
    return degrees[0], bounds[0]


def at(lon, lat, crs, side=10_000.0):
    x, y = Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(lon, lat)
    return shapely.box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def test_an_ordinary_scene_has_the_box_of_its_densified_edges():
    outline = at(4.5, 60.0, "EPSG:32631", 100_000)
    _, (west, south, east, north) = one(outline, "EPSG:32631")
    dense = shapely.get_coordinates(shapely.segmentize(outline, 100)).T
    lon, lat = Transformer.from_crs("EPSG:32631", "OGC:CRS84", always_xy=True).transform(*dense)
    assert np.allclose([west, south, east, north], [lon.min(), lat.min(), lon.max(), lat.max()], atol=5e-4)


@pytest.mark.parametrize("crs", ["EPSG:32701", "EPSG:32760"])
def test_across_the_antimeridian_west_is_beyond_east_and_the_outline_is_cut(crs):
    degrees, (west, south, east, north) = one(at(180.0, -17.0, crs), crs)
    assert 179.94 < west < 179.96
    assert -179.96 < east < -179.94
    assert -17.06 < south < -17.04
    assert -16.96 < north < -16.94
    assert degrees.geom_type == "MultiPolygon"
    assert np.abs(shapely.get_coordinates(degrees)[:, 0]).max() <= 180
    assert degrees.area == pytest.approx(
        at(180.0, -17.0, crs).area / 111_320**2 / np.cos(np.radians(17)), rel=0.01
    )


def test_a_hole_stays_a_hole_across_the_antimeridian():
    outer, inner = at(180.0, -17.0, "EPSG:32701", 20_000), at(180.0, -17.0, "EPSG:32701", 10_000)
    degrees, _ = one(outer - inner, "EPSG:32701")
    whole, _ = one(outer, "EPSG:32701")
    assert degrees.area == pytest.approx(0.75 * whole.area, rel=1e-3)


def test_degrees_beyond_180_are_turned_back():
    degrees, bounds = one(shapely.box(170, -10, 190, 10), "EPSG:4326")
    assert bounds.tolist() == [170, -10, -170, 10]
    assert degrees.area == pytest.approx(400)
    assert one(shapely.box(190, -10, 200, 10), "EPSG:4326")[1].tolist() == [-170, -10, -160, 10]


@pytest.mark.parametrize("shift", [0, -1e-4])
def test_the_whole_world_is_the_whole_world(shift):
    _, bounds = one(shapely.box(-180 + shift, -90, 180 + shift, 90), "EPSG:4326")
    assert bounds.tolist() == [-180, -90, 180, 90]


@pytest.mark.parametrize(("crs", "sign"), [("EPSG:3413", 1), ("EPSG:3031", -1), ("EPSG:32661", 1)])
def test_a_scene_around_a_pole_spans_all_longitudes(crs, sign):
    x, y = Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(0.0, sign * 90.0)
    degrees, bounds = one(shapely.box(x - 2e5, y - 1e5, x + 3e5, y + 2e5), crs)
    assert bounds[[0, 2]].tolist() == [-180, 180]
    assert bounds[3 if sign > 0 else 1] == sign * 90
    assert 86 < min(abs(bounds[1]), abs(bounds[3])) < 88
    assert shapely.contains_xy(degrees, 12.0, sign * 89.5)


def test_a_tile_whose_corner_is_the_pole_spans_a_quarter():
    _, (west, _, east, north) = one(shapely.box(0, 0, 1e5, 1e5), "EPSG:3413")
    assert north == pytest.approx(90)
    assert [west, east] == pytest.approx([45, 135], abs=1e-6)


def test_a_polar_scene_beside_the_pole_keeps_its_own_longitudes():
    _, (west, _, east, north) = one(at(-179.0, 88.0, "EPSG:3413", 50_000), "EPSG:3413")
    assert north < 89
    assert west > 170
    assert east < -160


def test_rotated_outlines_are_not_their_boxes():
    corners = [Affine.rotation(30) @ corner for corner in ((0, 0), (1e4, 0), (1e4, 1e4), (0, 1e4))]
    degrees, _ = one(shapely.Polygon([(500_000 + x, 5_000_000 + y) for x, y in corners]), "EPSG:32631")
    assert degrees.area < 0.6 * degrees.envelope.area


def test_outlines_in_degrees_are_joined_whether_they_are_cut_or_not():
    cut = shapely.MultiPolygon([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -178, 1)])
    uncut = shapely.Polygon([(179, 0), (-178, 0), (-178, 1), (179, 1)])
    pole = shapely.Polygon([(-180, 80), (-90, 80), (0, 80), (90, 80), (180, 80), (180, 90), (-180, 90)])
    several = joined(np.array([cut, uncut, pole], dtype=object))
    assert boxes(several).tolist() == [[179, 0, -178, 1], [179, 0, -178, 1], [-180, 80, 180, 90]]
    assert several[0].geom_type == "Polygon"
    assert several[0].area == pytest.approx(3)


@pytest.mark.filterwarnings("error")
def test_places_that_a_crs_does_not_reach_give_no_warning():
    outlines = np.array([shapely.box(9e7, 9e7, 9.1e7, 9.1e7)], dtype=object)
    crs = [CRS("EPSG:32631")]
    assert not np.isfinite(to_lonlat(outlines, np.zeros(1, dtype=int), crs)[1]).all()
