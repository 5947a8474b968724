"""Areas are read from all that says where something lies."""

import os

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import CRS

from xstars_lightning.datamodules import areas
from xstars_lightning.datamodules.areas import read_area
from xstars_lightning.datasets.archive.geoparquet import write_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.sensors import get_sensor

ZONE = CRS("EPSG:32631")
PIXELS = np.ones((3, 64, 64), dtype=np.uint8)
GROUND = shapely.union(
    shapely.box(5e5, 4_999_360, 500_640, 5e6), shapely.box(501_000, 4_999_360, 501_640, 5e6)
)


@pytest.fixture
def given(write_raster, tmp_path):
    """The same two scenes as a folder, a glob, an index and a vector file."""
    write_raster("s/a.tif", PIXELS, (500_000, 5_000_000))
    write_raster("s/b.tif", PIXELS, (501_000, 5_000_000))
    write_index(scan(tmp_path / "s", get_sensor("sentinel2_rgb")), tmp_path / "i.parquet")
    gpd.GeoSeries([GROUND], crs=ZONE).to_file(tmp_path / "v.gpkg")
    gpd.GeoSeries([GROUND], crs=ZONE).to_crs(4326).to_file(tmp_path / "v.geojson")
    return tmp_path


@pytest.mark.parametrize("name", ["s", "s/*.tif", "i.parquet", "v.gpkg", "v.geojson"])
def test_scenes_of_every_kind_are_an_area(given, name):
    assert read_area(str(given / name), ZONE).symmetric_difference(GROUND).area < 1e-4 * GROUND.area
    degrees = read_area(str(given / name), CRS("OGC:CRS84"))
    assert degrees.bounds == pytest.approx((3, 45.1477, 3.0209, 45.1535), abs=1e-4)


def test_a_raster_is_an_area(given):
    assert read_area(str(given / "s" / "a.tif"), ZONE).equals(shapely.box(5e5, 4_999_360, 500_640, 5e6))


def test_a_file_is_read_once_for_many_crs_and_again_when_it_changes(given, monkeypatch):
    read, path = [], str(given / "i.parquet")

    def count(paths, kept=areas.read_outlines):
        read.append(paths)
        return kept(paths)

    monkeypatch.setattr(areas, "read_outlines", count)
    for zone in (32630, 32631, 32632):
        read_area(path, CRS.from_epsg(zone))
    assert read == [[path]]
    os.utime(path, ns=(1, 1))
    read_area(path, ZONE)
    assert len(read) == 2


def test_scenes_all_over_the_world_do_not_disturb_a_zone(tmp_path):
    here = shapely.box(3, 45, 3.1, 45.1)
    places = [shapely.box(x, y, x + 0.1, y + 0.1) for x in range(-180, 180, 15) for y in range(-88, 88, 16)]
    frame = gpd.GeoDataFrame(geometry=[here, shapely.box(-179, 60, 179, 61), *places], crs=4326)
    frame.to_file(tmp_path / "world.gpkg")
    area = read_area(str(tmp_path / "world.gpkg"), ZONE)
    expected = gpd.GeoSeries([here], crs=4326).to_crs(ZONE)[0]
    seen = area.intersection(shapely.box(400_000, 4_900_000, 600_000, 5_100_000))
    assert seen.symmetric_difference(expected).area < 1e-3 * expected.area
    far = gpd.GeoDataFrame(geometry=[shapely.box(-120, -40, -119, -39)], crs=4326)
    far.to_file(tmp_path / "far.gpkg")
    assert read_area(str(tmp_path / "far.gpkg"), ZONE).is_empty


def test_zones_at_the_antimeridian_see_both_of_its_sides(tmp_path):
    sides = [shapely.box(179.9, 1, 180, 1.1), shapely.box(-180, 1, -179.9, 1.1)]
    gpd.GeoDataFrame(geometry=sides, crs=4326).to_file(tmp_path / "sides.gpkg")
    for zone in (32601, 32660):
        area = read_area(str(tmp_path / "sides.gpkg"), CRS.from_epsg(zone))
        assert area.area == pytest.approx(2 * 11_132 * 11_058, rel=0.01)
        assert area.bounds[2] - area.bounds[0] < 23_000


def test_what_is_no_area_is_named(tmp_path, write_raster):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no polygon")
    gpd.GeoSeries([shapely.Point(0, 0)], crs=4326).to_file(tmp_path / "point.gpkg")
    lost = write_raster("lost.tif", PIXELS, crs=None)
    for path, error, message in (
        ("nowhere.gpkg", FileNotFoundError, r"No such file for the area.*nowhere\.gpkg"),
        (tmp_path / "empty", FileNotFoundError, "No raster in"),
        (tmp_path / "text.txt", ValueError, "neither a raster nor a vector file"),
        (tmp_path / "point.gpkg", ValueError, r"point\.gpkg holds no polygon"),
        (lost, ValueError, r"lost\.tif has no coordinate reference system"),
    ):
        with pytest.raises(error, match=message):
            read_area(str(path), ZONE)
