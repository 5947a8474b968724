"""An index is read as it was written, moves with its files, and stays whole."""

import errno
import json
import os
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from pyproj import CRS

from xstars_lightning.datasets.archive import geoparquet
from xstars_lightning.datasets.archive.describe import describe
from xstars_lightning.datasets.archive.footprints import Footprints, concatenate
from xstars_lightning.datasets.archive.geoparquet import read_about, read_index, write_index
from xstars_lightning.datasets.archive.ground import area_km2
from xstars_lightning.datasets.archive.paths import absolute_paths, relative_paths
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.sensors import get_sensor

RGB = get_sensor("sentinel2_rgb")
PIXELS = np.random.default_rng(0).integers(1, 255, (3, 64, 64), dtype=np.uint8)
CUSTOM = CRS("+proj=tmerc +lat_0=0 +lon_0=23 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m")


@pytest.fixture
def folder(write_raster, tmp_path):
    """Four scenes: two zones, a CRS without a code, one across the antimeridian."""
    write_raster("s/a_20230612.tif", PIXELS, (500_000, 5_000_000))
    write_raster("s/b.tif", PIXELS, (500_000, 5_000_000), crs="EPSG:32632")
    write_raster("s/c.tif", PIXELS, (0, -3_700_000), crs=CUSTOM.to_wkt())
    write_raster("s/d.tif", PIXELS, (180_000, 8_120_000), crs="EPSG:32701")
    return tmp_path / "s"


def assert_same(one: Footprints, other: Footprints):
    assert one.path == other.path
    assert one.outline == other.outline
    for name in ("transform", "shape", "bounds", "time", "stamp"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert [one.crs[n] for n in one.crs_of] == [other.crs[n] for n in other.crs_of]


@pytest.mark.parametrize("group", [1, 65_536])
def test_what_is_written_is_read(folder, tmp_path, group, monkeypatch):
    monkeypatch.setattr(geoparquet, "GROUP", group)
    found = scan(folder, RGB)
    write_index(found, tmp_path / "i.parquet", {"sensor": "sentinel2_rgb"})
    assert_same(read_index(tmp_path / "i.parquet"), found)
    assert read_about(tmp_path / "i.parquet") == {"sensor": "sentinel2_rgb"}


def test_unknown_grids_and_stamps_stay_unknown(folder, tmp_path):
    found = scan(folder, RGB)
    bare = replace(
        found,
        shape=found.shape * [[1], [0], [1], [0]],
        transform=np.where([[True], [False], [True], [False]], found.transform, np.nan),
        stamp=np.full((4, 2), -1),
    )
    write_index(bare, tmp_path / "i.parquet")
    assert_same(read_index(tmp_path / "i.parquet"), bare)


def test_others_read_it_as_geoparquet(folder, tmp_path):
    write_index(scan(folder, RGB), tmp_path / "i.parquet")
    frame = gpd.read_parquet(tmp_path / "i.parquet")
    assert frame.crs == CRS("OGC:CRS84")
    assert frame.geometry.is_valid.all()
    assert frame["path"].tolist() == ["s/a_20230612.tif", "s/b.tif", "s/c.tif", "s/d.tif"]
    assert frame["proj:code"].tolist()[:2] == ["EPSG:32631", "EPSG:32632"]
    assert frame["proj:shape"][0].tolist() == [64, 64]
    assert frame.geometry[3].geom_type in ("Polygon", "MultiPolygon")
    assert set(frame.columns) >= {"datetime", "start_datetime", "end_datetime", "proj:wkt2", "proj:transform"}


def test_boxes_are_offered_to_others_only_where_their_sides_are_in_order(folder, tmp_path):
    found = scan(folder, RGB)
    for rows in ([0, 1, 2], [0, 3]):
        part = found.take(rows)
        write_index(part, tmp_path / "i.parquet")
        about = json.loads(pq.read_schema(tmp_path / "i.parquet").metadata[b"geo"])["columns"]["geometry"]
        crossing = bool((part.bounds[:, 0] > part.bounds[:, 2]).any())
        assert crossing == (3 in rows)
        assert ("covering" in about) != crossing
        assert (about["bbox"][0] == -180) == crossing


def test_an_archive_moves_with_its_index(folder, tmp_path):
    write_index(scan(folder, RGB), folder / "i.parquet")
    folder.rename(tmp_path / "moved")
    index = read_index(tmp_path / "moved" / "i.parquet")
    assert index.path[0].as_py() == str(tmp_path / "moved" / "a_20230612.tif")
    assert index.file(0, RGB).path == index.path[0].as_py()


def test_an_index_elsewhere_keeps_whole_paths(folder, tmp_path):
    write_index(scan(folder, RGB), tmp_path / "x" / "i.parquet")
    (tmp_path / "x").rename(tmp_path / "y")
    assert read_index(tmp_path / "y" / "i.parquet").path[0].as_py() == str(folder / "a_20230612.tif")


def test_names_for_gdal_are_kept():
    names = ["/vsicurl/https://a/b.tif", "s3://a/b.tif", "/a/b.tif", "/ab/c.tif"]
    stored = relative_paths(pa.array(names, pa.large_string()), "/a")
    assert stored.to_pylist() == [*names[:2], "b.tif", names[3]]
    assert absolute_paths(stored, "/z/i.parquet").to_pylist() == [*names[:2], "/z/b.tif", names[3]]


@pytest.mark.parametrize("existed", [True, False])
def test_a_disk_that_fills_up_leaves_the_old_index_whole(folder, tmp_path, monkeypatch, existed):
    target = tmp_path / "index" / "i.parquet"
    target.parent.mkdir()
    found = scan(folder, RGB)
    if existed:
        write_index(found.take([0]), target)
    before = target.read_bytes() if existed else None
    written = []

    class Filling(pq.ParquetWriter):
        def write_table(self, table, *arguments, **keywords):
            if written:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written.append(len(table))
            super().write_table(table, *arguments, **keywords)

    monkeypatch.setattr(geoparquet, "GROUP", 2)
    monkeypatch.setattr(pq, "ParquetWriter", Filling)
    left = "unchanged" if existed else "Nothing is left"
    with pytest.raises(OSError, match=rf"i\.parquet: No space left on device\. .*{left}.*Free space"):
        write_index(found, target)
    assert written == [2]
    assert os.listdir(target.parent) == (["i.parquet"] if existed else [])
    assert (target.read_bytes() if existed else None) == before


def test_a_disk_that_is_full_at_the_very_end_is_noticed(folder, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    found = scan(folder, RGB)
    write_index(found, tmp_path / "i.parquet")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_index(found.take([0]), tmp_path / "i.parquet")
    assert len(read_index(tmp_path / "i.parquet")) == 4


def test_a_file_that_occurs_twice_is_named(folder, tmp_path):
    found = scan(folder, RGB)
    with pytest.raises(ValueError, match=r"b\.tif is twice in twofold"):
        write_index(concatenate([found, found.take([1])], "twofold"), tmp_path / "i.parquet")


def test_a_broken_index_is_named(tmp_path):
    (tmp_path / "i.parquet").write_text("nothing")
    with pytest.raises(ValueError, match=r"i\.parquet is no Parquet file.*xstars index"):
        read_index(tmp_path / "i.parquet")
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        read_index(tmp_path / "none.parquet")


def test_a_file_that_has_vanished_is_named(folder, tmp_path):
    write_index(scan(folder, RGB), tmp_path / "i.parquet")
    index = read_index(tmp_path / "i.parquet")
    os.unlink(folder / "b.tif")
    with pytest.raises(FileNotFoundError, match=r"b\.tif is in the index .*i\.parquet, but.*xstars index"):
        index.file(1, RGB)
    assert index.file(0, RGB).width == 64


def test_a_file_that_has_changed_is_named_with_old_and_new(folder, tmp_path):
    write_index(scan(folder, RGB), tmp_path / "i.parquet")
    index = read_index(tmp_path / "i.parquet")
    size = os.stat(folder / "b.tif").st_size
    with open(folder / "b.tif", "ab") as file:
        file.write(b"x")
    with pytest.raises(
        ValueError, match=rf"b\.tif has changed .*i\.parquet: size .* was {size}, is {size + 1}\. "
    ):
        index.file(1, RGB)
    os.utime(folder / "a_20230612.tif", ns=(7, 7))
    old = index.stamp[0, 1]
    with pytest.raises(ValueError, match=rf"time of last change \(ns\) was {old}, is 7\. .*xstars index"):
        index.file(0, RGB)


def test_a_description_counts_ground_and_systems(folder):
    table = describe(scan(folder, RGB), "sentinel2_rgb")
    rows = dict(zip(table.columns[0]._cells, table.columns[1]._cells, strict=True))
    assert rows["scenes"] == "4"
    assert rows["ground"].startswith("1.6 km2")  # 4 x 0.64 km, squared
    assert rows["CRS"].startswith("EPSG:32631 (1), EPSG:32632 (1)")
    assert rows["pixels"] == "10 m"
    assert rows["dates"] == "2023-06-12 to 2023-06-12; 3 unknown"
    assert "1 across the antimeridian" in rows["place"]


def test_areas_are_those_on_the_ground_in_any_projection(write_raster, tmp_path):
    write_raster("a.tif", PIXELS, (0, 8_399_737), res=20.0, crs="EPSG:3857")  # at 60 degrees
    write_raster("b.tif", PIXELS, (0, 60), res=1e-4, crs="EPSG:4326")
    found = scan(tmp_path, RGB)
    degree = np.array([111_412.0, 55_800.0])  # metres at 60 degrees
    assert area_km2(found) == pytest.approx([0.64**2, (64e-4**2) * degree.prod() / 1e6], rel=0.01)
    assert shapely.area(found.outlines([0]))[0] == pytest.approx(1280**2)
