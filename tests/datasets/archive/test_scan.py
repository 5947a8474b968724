"""What scanning finds, and what it refuses."""

import os
import time
from dataclasses import replace
from datetime import datetime
from functools import partial

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import CRS
from rasterio.enums import ColorInterp
from rich.console import Console

from xstars_lightning.datasets.archive import batches
from xstars_lightning.datasets.archive import scan as scan_module
from xstars_lightning.datasets.archive.dates import DateRule
from xstars_lightning.datasets.archive.geoparquet import read_index, write_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.sensors import Sensor, get_sensor

RGB = get_sensor("sentinel2_rgb")
PIXELS = np.random.default_rng(0).integers(1, 255, (3, 64, 64), dtype=np.uint8)


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that are opened."""
    names = []

    def look(path, *arguments, inspect=scan_module.inspect_raster, **keywords):
        names.append(os.path.basename(path))
        return inspect(path, *arguments, **keywords)

    monkeypatch.setattr(scan_module, "inspect_raster", look)
    return names


def describe_bands(path, descriptions=None, colours=None):
    with rasterio.open(path, "r+") as file:
        if descriptions:
            file.descriptions = descriptions
        if colours:
            file.colorinterp = [ColorInterp[name] for name in colours]


def test_a_folder_becomes_rows(write_raster, tmp_path):
    dark = PIXELS.copy()
    dark[:, :32] = 0
    write_raster("b/x_20230612.tif", dark, (500_000, 5_000_000), crs="EPSG:32633", nodata=0)
    write_raster("a.tif", PIXELS, (400_000, 4_000_000))
    found = scan(tmp_path, RGB)
    assert found.path.to_pylist() == [str(tmp_path / "a.tif"), str(tmp_path / "b/x_20230612.tif")]
    assert [found.crs[number] for number in found.crs_of] == [CRS("EPSG:32631"), CRS("EPSG:32633")]
    assert found.transform.tolist() == [
        [10, 0, 400_000, 0, -10, 4_000_000],
        [10, 0, 500_000, 0, -10, 5_000_000],
    ]
    assert found.shape.tolist() == [[64, 64], [64, 64]]
    assert found.time[1, 0] == np.datetime64("2023-06-12")
    assert np.isnat(found.time[0]).all()
    status = os.stat(tmp_path / "a.tif")
    assert found.stamp[0].tolist() == [status.st_size, status.st_mtime_ns]
    assert shapely.area(found.outlines(slice(None))).tolist() == [640**2, 640**2 / 2]
    assert shapely.area(scan(tmp_path, RGB, outlines=False).outlines([1])).tolist() == [640**2]
    assert found.bounds[1] == pytest.approx([15.0, 45.1477, 15.0082, 45.1506], abs=1e-4)


def test_rows_are_the_same_for_any_number_of_threads_and_tasks(write_raster, tmp_path, monkeypatch):
    for number in range(9):
        zone = "EPSG:32631" if number % 2 else "EPSG:32632"
        write_raster(f"{number}.tif", PIXELS, (number * 1000 + 500_000, 5_000_000), crs=zone)
    monkeypatch.setattr(batches, "MOST", 2)
    one, many = scan(tmp_path, RGB, workers=1), scan(tmp_path, RGB, workers=8)
    assert one.path == many.path
    assert one.crs == many.crs
    assert np.array_equal(one.crs_of, many.crs_of)
    assert np.array_equal(one.bounds, many.bounds)
    assert len(one.crs) == 2


def test_only_what_is_new_or_changed_is_opened(write_raster, tmp_path, opened):
    for name in "abc":
        write_raster(f"{name}.tif", PIXELS, (500_000, 5_000_000))
    known = scan(tmp_path, RGB)
    opened.clear()
    os.utime(tmp_path / "b.tif", ns=(1, 1))
    os.unlink(tmp_path / "c.tif")
    write_raster("0.tif", PIXELS, (500_000, 5_000_000))
    found = scan(tmp_path, RGB, known=known)
    assert sorted(opened) == ["0.tif", "b.tif"]
    assert [os.path.basename(path) for path in found.path.to_pylist()] == ["0.tif", "a.tif", "b.tif"]
    assert found.stamp[2, 1] == 1
    opened.clear()
    assert scan(tmp_path, RGB, known=found).path == found.path
    assert opened == []


def test_a_rule_for_dates_holds_for_files_that_are_known(write_raster, tmp_path):
    write_raster("a_01022020.tif", PIXELS, (500_000, 5_000_000))
    known = scan(tmp_path, RGB)
    assert np.isnat(known.time[0, 0])
    found = scan(tmp_path, RGB, known=known, dates=DateRule(r"_(\d{8})", "%d%m%Y"))
    assert found.time[0, 0] == np.datetime64("2020-02-01")


def test_files_named_in_two_ways_count_once(write_raster, tmp_path, monkeypatch):
    write_raster("a.tif", PIXELS, (500_000, 5_000_000))
    monkeypatch.chdir(tmp_path)
    assert len(scan([tmp_path, ".", "a.tif"], RGB)) == 1


def test_an_error_that_is_not_a_files_ends_the_scan_at_once(write_raster, tmp_path, monkeypatch):
    for number in range(30):
        write_raster(f"{number:02d}.tif", PIXELS, (500_000, 5_000_000))
    opened = []

    def look(path, *_):
        opened.append(path)
        time.sleep(0.02)
        raise RuntimeError("out of luck")

    monkeypatch.setattr(scan_module, "inspect_raster", lambda path, *_, **__: look(path))
    monkeypatch.setattr(batches, "MOST", 1)
    with pytest.raises(RuntimeError, match="out of luck"):
        scan(tmp_path, RGB, workers=1)
    assert len(opened) < 15


def test_grids_that_an_index_lacks_are_looked_up(write_raster, tmp_path, opened):
    write_raster("a.tif", PIXELS, (500_000, 5_000_000))
    known = scan(tmp_path, RGB)
    opened.clear()
    assert scan(tmp_path, RGB, known=replace(known, shape=known.shape * 0)).shape.tolist() == [[64, 64]]
    assert opened == ["a.tif"]


def test_many_files_get_a_bar(write_raster, tmp_path, capsys, monkeypatch):
    write_raster("a.tif", PIXELS, (500_000, 5_000_000))
    scan(tmp_path, RGB)
    assert "Indexing" not in capsys.readouterr().out
    monkeypatch.setattr(batches, "SHOWN", 0)
    monkeypatch.setattr(batches, "Progress", partial(batches.Progress, console=Console(force_terminal=True)))
    scan(tmp_path, RGB)
    assert "Indexing sentinel2_rgb" in capsys.readouterr().out


def test_a_file_cut_short_is_named(write_raster, tmp_path):
    pixels = np.random.default_rng(0).integers(1, 255, (3, 256, 256), dtype=np.uint8)
    path = write_raster("a.tif", pixels, (500_000, 5_000_000), compress="deflate")
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(OSError, match=r"a\.tif is truncated"):
        scan(tmp_path, RGB, outlines=False)


def test_other_bands_than_the_sensor_are_refused(write_raster, tmp_path):
    write_raster("a.tif", PIXELS[:2], (500_000, 5_000_000))
    with pytest.raises(ValueError, match=r"a\.tif has 2 bands"):
        scan(tmp_path, RGB)


def test_pixels_far_from_the_sensors_are_refused(write_raster, tmp_path):
    write_raster("a.tif", PIXELS, (500_000, 5_000_000), res=0.5)
    with pytest.raises(
        ValueError, match=r"a\.tif has pixels of 0\.5 m .*'sentinel2_rgb' has 10 m.*geotransform"
    ):
        scan(tmp_path, RGB)


def test_pixels_of_mercator_are_measured_on_the_ground(write_raster, tmp_path):
    # At 78 degrees a pixel of 100 m of Mercator covers about 21 m.
    write_raster("a.tif", PIXELS, (0, 14_400_000), res=100.0, crs="EPSG:3857")
    assert len(scan(tmp_path, get_sensor("landsat_rgb"))) == 1


@pytest.mark.parametrize(
    ("crs", "origin"),
    [
        ("EPSG:4326", (500_000, 5_000_000)),  # metres called degrees
        ("EPSG:32631", (5_000_000, 500_000)),  # northing before easting
        ("EPSG:32631", (500_000, 15_000_000)),  # beyond the pole
    ],
)
def test_absurd_footprints_are_refused(write_raster, tmp_path, crs, origin):
    write_raster("a.tif", PIXELS, origin, crs=crs)
    with pytest.raises(
        ValueError, match=r"a\.tif has a footprint outside its CRS: POLYGON.*geotransform or CRS"
    ):
        scan(tmp_path, RGB, outlines=False)


def test_a_geotransform_that_is_not_finite_is_refused(write_raster, tmp_path):
    write_raster("a.tif", PIXELS, (np.nan, 500_000))
    with pytest.raises(ValueError, match=r"a\.tif has the geotransform \(10\.0, 0\.0, nan.*no place"):
        scan(tmp_path, RGB)


def test_an_image_without_height_is_refused(write_raster, tmp_path):
    write_raster("a.tif", PIXELS, transform=Affine(10, 0, 500_000, 0, 0, 5_000_000))
    with pytest.raises(ValueError, match=r"a\.tif has a footprint of no size"):
        scan(tmp_path, RGB, outlines=False)


def test_bands_described_in_two_orders_are_refused(write_raster, tmp_path):
    orders = {"0": ("red", "green", "blue"), "a": ("B04", "B03", "B02"), "b": ("B02", "B03", "B04")}
    for name, order in orders.items():
        describe_bands(write_raster(f"{name}.tif", PIXELS, (500_000, 5_000_000)), order)
    message = r"a\.tif has its bands in the order b04, b03, b02, but .*b\.tif in the order b02, b03, b04"
    with pytest.raises(ValueError, match=message):
        scan(tmp_path, RGB)


def test_a_new_file_is_compared_with_those_known(write_raster, tmp_path):
    describe_bands(write_raster("a.tif", PIXELS, (500_000, 5_000_000)), ("B04", "B03", "B02"))
    known = scan(tmp_path, RGB)
    describe_bands(write_raster("b.tif", PIXELS, (500_000, 5_000_000)), ("B02", "B03", "B04"))
    with pytest.raises(ValueError, match=r"a\.tif .*b\.tif in the order b02"):
        scan(tmp_path, RGB, known=known)


@pytest.mark.parametrize(
    "said", [{"descriptions": ("Blue", "Green", "Red")}, {"colours": ("blue", "green", "red")}]
)
def test_bands_in_another_order_than_the_sensors_are_refused(said, write_raster, tmp_path):
    describe_bands(write_raster("a.tif", PIXELS, (500_000, 5_000_000)), **said)
    with pytest.raises(ValueError, match=r"a\.tif has its bands in the order blue, green, red, but sensor"):
        scan(tmp_path, RGB)


def test_infrared_shown_in_red_is_no_mistake(write_raster, tmp_path):
    bands = ("nir", "red", "green")
    sensor = Sensor("cir", bands, 10, (0, 255), (0.5,) * 3, (0.2,) * 3, rgb_bands=bands)
    describe_bands(write_raster("a.tif", PIXELS, (500_000, 5_000_000)), colours=("red", "green", "blue"))
    assert len(scan(tmp_path, sensor)) == 1


def test_products_are_found_in_folders_with_the_date_of_their_names(write_safe, write_landsat, tmp_path):
    safe, landsat = write_safe(), write_landsat()
    found = scan(tmp_path.glob("S2*"), get_sensor("sentinel2_l2a"))
    assert found.path.to_pylist() == [str(safe)]
    assert found.time[0].tolist() == [datetime(2022, 1, 15, 10, 54, 1)] * 2
    assert found.stamp.tolist() == [[-1, os.stat(safe).st_mtime_ns]]
    write_index(found, tmp_path / "index.parquet")
    assert read_index(tmp_path / "index.parquet").file(0, get_sensor("sentinel2_l2a")).width == 120
    found = scan(tmp_path.glob("LC08*"), get_sensor("landsat_sr"))
    assert found.path.to_pylist() == [str(landsat)]
    assert found.time[0, 0] == np.datetime64("2022-01-15")


def test_real_imagery_is_indexed_and_opened_again(real_data, tmp_path):
    aerial = Sensor("aerial", ("red", "green", "blue"), 5, (0, 255), (0.5,) * 3, (0.2,) * 3, nodata=0)
    found = scan(real_data / "cross_sensor" / "hires", aerial)
    write_index(found, tmp_path / "index.parquet")
    index = read_index(tmp_path / "index.parquet")
    assert len(index) == 4
    west, south, east, north = index.bounds.T
    assert ((west > 23) & (east < 25) & (south > -34.5) & (north < -33)).all()  # Baviaanskloof
    boxes = [index.file(row, aerial).box.area for row in range(4)]
    outlined = shapely.area(index.outlines(slice(None)))
    assert (outlined < 0.99 * np.array(boxes)).all()
    assert shapely.union_all(index.outlines(slice(None))).area == pytest.approx(67.9e6, rel=0.02)
    assert index.crs[0] == index.file(0, aerial).crs
