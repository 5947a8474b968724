"""The command builds, updates and describes."""

import os
from datetime import datetime

import geopandas as gpd
import numpy as np
import pytest
import shapely

from xstars_lightning.datasets.archive.geoparquet import read_about, read_index
from xstars_lightning.tools.index import index

PIXELS = np.random.default_rng(0).integers(1, 255, (3, 64, 64), dtype=np.uint8)


@pytest.fixture
def folder(write_raster, tmp_path):
    for name in ("a_20230612.tif", "b_20230613.tif", "c_20230614.tif"):
        write_raster(f"s/{name}", PIXELS, (500_000, 5_000_000))
    return str(tmp_path / "s")


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "i.parquet")


def test_build_update_and_describe(folder, out, write_raster, capsys):
    index([folder], "sentinel2_rgb", out)
    assert "3 new, 0 changed, 0 gone, 0 kept" in capsys.readouterr().out
    assert read_about(out) == {"sensor": "sentinel2_rgb", "outlines": True}
    os.unlink(f"{folder}/a_20230612.tif")
    os.utime(f"{folder}/b_20230613.tif", ns=(1, 1))
    write_raster("s/d_20230620.tif", PIXELS, (500_000, 5_000_000))
    index([folder], "sentinel2_rgb", out)
    assert "1 new, 1 changed, 1 gone, 1 kept" in capsys.readouterr().out
    index([out])
    text = capsys.readouterr().out
    assert "sentinel2_rgb" in text
    assert "2023-06-13 to 2023-06-20" in text
    assert "EPSG:32631 (3)" in text


def test_dates_by_a_rule(folder, out):
    index([folder], "sentinel2_rgb", out, date_regex=r"_\d{4}(\d{4})", date_format="%m%d")
    assert np.isnat(read_index(out).time).sum() == 0


def test_outlines_wanted_later_are_made(write_raster, tmp_path, out):
    dark = PIXELS.copy()
    dark[:, :32] = 0
    write_raster("s/a.tif", dark, (500_000, 5_000_000), nodata=0)
    areas = []
    for outlines in (False, True):
        index([str(tmp_path / "s")], "sentinel2_rgb", out, outlines=outlines)
        areas.append(shapely.area(read_index(out).outlines([0]))[0])
    assert areas == [640**2, 640**2 / 2]


def test_a_catalogue_is_converted(tmp_path, out, capsys):
    frame = gpd.GeoDataFrame({"path": ["/none/a.tif"]}, geometry=[shapely.box(2, 45, 2.1, 45.1)], crs=4326)
    frame.to_parquet(tmp_path / "c.parquet")
    index([str(tmp_path / "c.parquet")], out=out)
    assert read_index(out).path.to_pylist() == ["/none/a.tif"]
    assert read_about(out) is not None
    assert "unknown until a file is opened" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "--out INDEX.parquet"),
        ({"out": "i.parquet"}, "--sensor NAME"),
        ({"out": "i.csv", "sensor": "sentinel2_rgb"}, r"i\.csv must end in \.parquet"),
        ({"out": "i.parquet", "sensor": "sentinel2_rgb", "date_format": "%Y"}, "--date_regex"),
        ({"out": "i.parquet", "sensor": "sentinel9"}, "Unknown sensor 'sentinel9'"),
    ],
)
def test_arguments_that_are_missing_are_named(folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        index([folder], **arguments)
    assert not list(tmp_path.glob("*.parquet"))


def test_what_is_not_ours_or_of_another_sensor_is_not_replaced(folder, out):
    gpd.GeoDataFrame({"path": ["a"]}, geometry=[shapely.box(2, 45, 3, 46)], crs=4326).to_parquet(out)
    with pytest.raises(ValueError, match=r"i\.parquet was not written by `xstars index`"):
        index([folder], "sentinel2_rgb", out)
    os.unlink(out)
    index([folder], "sentinel2_rgb", out)
    with pytest.raises(ValueError, match="index of sensor 'sentinel2_rgb', not 'landsat_rgb'"):
        index([folder], "landsat_rgb", out)


def test_an_update_reads_dates_by_the_rule_of_the_index(write_raster, tmp_path, out):
    place = (500_000, 5_000_000)
    write_raster("s/20200101_03022021.tif", PIXELS, place)
    folder = str(tmp_path / "s")
    index([folder], "sentinel2_rgb", out, date_regex=r"_(\d{8})", date_format="%d%m%Y")
    assert read_about(out)["date_regex"] == r"_(\d{8})"
    write_raster("s/20200102_04022021.tif", PIXELS, place)
    index([folder], "sentinel2_rgb", out)
    assert read_index(out).time[:, 0].tolist() == [datetime(2021, 2, 3), datetime(2021, 2, 4)]
    index([folder], "sentinel2_rgb", out, outlines=False)
    assert read_index(out).time[:, 0].tolist() == [datetime(2021, 2, 3), datetime(2021, 2, 4)]


def test_another_rule_redates_all_and_is_kept(write_raster, tmp_path, out):
    write_raster("s/20200101_03022021.tif", PIXELS, (500_000, 5_000_000))
    folder = str(tmp_path / "s")
    index([folder], "sentinel2_rgb", out, date_regex=r"_(\d{8})", date_format="%d%m%Y")
    index([folder], "sentinel2_rgb", out, date_regex=r"^\d{8}")
    for _ in range(2):
        assert read_index(out).time[:, 0].tolist() == [datetime(2020, 1, 1)]
        index([folder], "sentinel2_rgb", out)


def test_an_asset_is_for_catalogues(folder, out):
    with pytest.raises(ValueError, match="--asset visual is for a catalogue"):
        index([folder], "sentinel2_rgb", out, asset="visual")
