"""Catalogues made elsewhere are taken as they are."""

import json
import os
from datetime import datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyproj import CRS, Transformer
from shapely.geometry.base import BaseGeometry

from xstars_lightning.datasets.archive.geoparquet import read_index, write_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.sensors import get_sensor

RGB = get_sensor("sentinel2_rgb")
PIXELS = np.random.default_rng(0).integers(1, 255, (3, 64, 64), dtype=np.uint8)


def plain(path, geometry, crs="OGC:CRS84", **columns):
    geometry = [geometry] if isinstance(geometry, BaseGeometry) else geometry
    columns = {"location": [f"{n}.tif" for n in range(len(geometry))]} | columns
    gpd.GeoDataFrame(columns, geometry=geometry, crs=crs).to_parquet(path)
    return path


def stac(path, geometry, assets, **columns):
    """A file as stac-geoparquet writes it: nested assets, timestamps, WKB in OGC:CRS84."""
    time = pa.array([datetime(2023, 6, 12, 10, 36, 29)] * len(geometry), pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "id": [f"scene{n}" for n in range(len(geometry))],
            "geometry": pa.array(shapely.to_wkb(np.array(geometry)), pa.binary()),
            "assets": pa.array(assets),
            "datetime": time,
            **columns,
        }
    )
    geo = {"version": "1.1.0", "primary_column": "geometry"}
    geo["columns"] = {"geometry": {"encoding": "WKB", "geometry_types": []}}
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    return path


def in_degrees(outline, crs):
    move = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform
    return shapely.transform(outline, lambda xy: np.stack(move(*xy.T), axis=1))


SCENE = shapely.box(500_000, 4_999_360, 500_640, 5_000_000)


@pytest.mark.parametrize("assets", [("data",), ("thumbnail", "data")])
def test_stac_with_a_grid_is_read_without_opening_a_raster(tmp_path, assets):
    links = {key: {"href": f"s3://bucket/{key}.tif", "roles": [key]} for key in assets}
    path = stac(
        tmp_path / "c.parquet",
        [in_degrees(SCENE, "EPSG:32631")],
        [links],
        **{
            "proj:code": ["EPSG:32631"],
            "proj:transform": [[10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0, 0.0, 0.0, 1.0]],
            "proj:shape": [[64, 64]],
        },
    )
    index = read_index(path)
    assert index.path.to_pylist() == ["s3://bucket/data.tif"]
    assert index.time.tolist() == [[np.datetime64("2023-06-12T10:36:29", "us").item()] * 2]
    file = index.file(0, RGB)
    assert file.crs == CRS("EPSG:32631")
    assert (file.width, file.height) == (64, 64)
    assert tuple(file.transform)[:6] == (10, 0, 500_000, 0, -10, 5_000_000)
    assert file.footprint.symmetric_difference(SCENE).area < 1


def test_without_a_grid_the_zone_counts_until_the_file_is_opened(write_raster, tmp_path):
    write_raster("0.tif", PIXELS, (500_000, 5_000_000), crs="EPSG:3035", res=10.0)
    box = shapely.box(500_000, 4_999_360, 500_640, 5_000_000)
    index = read_index(plain(tmp_path / "c.parquet", in_degrees(box, "EPSG:3035")))
    assert index.path[0].as_py() == str(tmp_path / "0.tif")
    assert index.shape.tolist() == [[0, 0]]
    zone = index.crs[index.crs_of[0]].to_epsg()
    west, _, east, _ = index.bounds[0]
    assert zone == 32601 + int((west + east) / 2 + 180) // 6
    file = index.file(0, RGB)
    assert file.crs == CRS("EPSG:3035")
    assert (file.width, file.transform.c) == (64, 500_000)
    assert file.footprint.symmetric_difference(box).area < 0.01 * box.area


def test_a_file_that_lies_elsewhere_than_the_catalogue_says_is_named(write_raster, tmp_path):
    write_raster("0.tif", PIXELS, (500_000, 5_000_000))
    index = read_index(plain(tmp_path / "c.parquet", shapely.box(50, 50, 51, 51)))
    with pytest.raises(
        ValueError, match=r"0\.tif does not lie where the index .*c\.parquet says: its box is POLYGON"
    ):
        index.file(0, RGB)


def test_a_file_that_a_catalogue_names_and_is_not_there(tmp_path):
    index = read_index(plain(tmp_path / "c.parquet", shapely.box(50, 50, 51, 51)))
    with pytest.raises(FileNotFoundError, match=r"0\.tif is in the index .*c\.parquet"):
        index.file(0, RGB)


@pytest.mark.parametrize(
    ("geometry", "epsg", "box"),
    [
        (shapely.box(2, 45, 2.1, 45.1), 32631, [2, 45, 2.1, 45.1]),
        (shapely.box(2, -45.1, 2.1, -45), 32731, [2, -45.1, 2.1, -45]),
        (shapely.box(179.9, 1, 180.1, 1.1), 32601, [179.9, 1, -179.9, 1.1]),
        (shapely.MultiPolygon([shapely.box(179.9, 1, 180, 1.1), shapely.box(-180, 1, -179.95, 1.1)]), 32660,
         [179.9, 1, -179.95, 1.1]),
        (shapely.box(10, 85, 12, 86), 32661, [10, 85, 12, 86]),
        (shapely.box(-180, -90, 180, -85), 32761, [-180, -90, 180, -85]),
    ],
)  # fmt: skip
def test_zones_and_boxes_are_right_all_over_the_world(tmp_path, geometry, epsg, box):
    index = read_index(plain(tmp_path / "c.parquet", geometry))
    assert index.crs[index.crs_of[0]].to_epsg() == epsg
    assert index.bounds[0] == pytest.approx(box)
    outline = index.outlines([0])[0]
    assert outline.is_valid
    assert outline.geom_type == "Polygon"
    lat = np.radians(shapely.get_coordinates(geometry)[:, 1])
    width = np.radians((box[2] - box[0]) % 360 or 360)
    sphere = 6_371_000**2 * width * (np.sin(lat.max()) - np.sin(lat.min()))
    assert outline.area == pytest.approx(sphere, rel=0.02)


def test_geometries_in_another_crs_are_moved(tmp_path):
    index = read_index(plain(tmp_path / "c.parquet", SCENE, "EPSG:32631"))
    assert index.bounds[0] == pytest.approx(shapely.bounds(in_degrees(SCENE, "EPSG:32631")), abs=1e-6)


@pytest.mark.parametrize("column", ["path", "filepath", "href", "url"])
def test_files_may_stand_in_columns_of_several_names(tmp_path, column):
    frame = gpd.GeoDataFrame(
        {column: ["/a/0.tif"]}, geometry=[shapely.box(2, 45, 2.1, 45.1)], crs="EPSG:4326"
    )
    frame.to_parquet(tmp_path / "c.parquet")
    assert read_index(tmp_path / "c.parquet").path.to_pylist() == ["/a/0.tif"]


def test_times_may_be_texts_and_begin_and_end(tmp_path):
    path = plain(
        tmp_path / "c.parquet",
        shapely.box(2, 45, 2.1, 45.1),
        start_datetime=["2023-06-12T10:00:00+02:00"],
        end_datetime=pd.to_datetime(["2023-06-13"]),
    )
    expected = np.array([["2023-06-12T08:00", "2023-06-13"]], dtype="datetime64[us]")
    assert np.array_equal(read_index(path).time, expected)


def test_a_text_that_is_no_time_is_named(tmp_path):
    path = plain(tmp_path / "c.parquet", shapely.box(2, 45, 2.1, 45.1), datetime=["in June"])
    with pytest.raises(ValueError, match=r"c\.parquet, column 'datetime': .*in June"):
        read_index(path)


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ([shapely.box(0, 0, 1, 1), None], r"1\.tif is null or has no area"),
        ([shapely.box(0, 0, 1, 1), shapely.Point(0, 0)], r"1\.tif is null or has no area"),
        ([shapely.box(5e5, 5e6, 6e5, 6e6)], r"0\.tif is not in degrees.*POLYGON \(\(600000"),
    ],
)
def test_absurd_geometries_are_named(tmp_path, geometry, message):
    with pytest.raises(ValueError, match=message):
        read_index(plain(tmp_path / "c.parquet", geometry))


def test_a_code_that_is_no_crs_is_named(tmp_path):
    path = plain(tmp_path / "c.parquet", shapely.box(0, 0, 1, 1), **{"proj:code": ["EPSG:none"]})
    with pytest.raises(ValueError, match=r"c\.parquet, column 'proj:code': 'EPSG:none' is no CRS"):
        read_index(path)


def test_one_object_stands_for_the_crs_of_file_and_index(write_raster, tmp_path):
    write_raster("0.tif", PIXELS, (500_000, 5_000_000))
    index = read_index(plain(tmp_path / "c.parquet", in_degrees(SCENE, "EPSG:32631")))
    assert index.file(0, RGB).crs is index.crs[index.crs_of[0]]


def test_files_that_occur_twice_are_named(tmp_path):
    path = plain(tmp_path / "c.parquet", [shapely.box(0, 0, 1, 1)] * 2, location=["a.tif"] * 2)
    with pytest.raises(ValueError, match=r"a\.tif is twice in .*c\.parquet"):
        read_index(path)


def test_catalogues_that_name_no_file_are_refused(tmp_path):
    gpd.GeoDataFrame({"name": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326).to_parquet(
        tmp_path / "c.parquet"
    )
    with pytest.raises(ValueError, match=r"c\.parquet names no files.*`path`"):
        read_index(tmp_path / "c.parquet")
    links = {key: {"href": f"{key}.tif"} for key in ("red", "green")}
    with pytest.raises(ValueError, match=r"assets (red, green|green, red): which"):
        read_index(stac(tmp_path / "s.parquet", [shapely.box(0, 0, 1, 1)], [links]))


def test_a_catalogue_becomes_an_index_of_ours(write_raster, tmp_path):
    write_raster("0.tif", PIXELS, (500_000, 5_000_000))
    catalogue = read_index(plain(tmp_path / "c.parquet", in_degrees(SCENE, "EPSG:32631")))
    write_index(catalogue, tmp_path / "i.parquet")
    index = read_index(tmp_path / "i.parquet")
    assert index.file(0, RGB).footprint.equals(catalogue.file(0, RGB).footprint)
    scanned = scan(tmp_path, RGB, known=index)  # it knows no stamps, so that the file is opened
    assert scanned.stamp[0, 0] == os.stat(tmp_path / "0.tif").st_size
