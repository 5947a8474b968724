"""Every bad input is one error that names file, value and remedy."""

import os

import numpy as np
import pytest
import torch
from affine import Affine

from xstars_lightning.datasets import CrossSensorDataset, NativeRasterDataset
from xstars_lightning.datasets.handles import _opened
from xstars_lightning.sensors import Sensor, get_sensor

RGB = get_sensor("sentinel2_rgb")
PIXELS = np.random.default_rng(0).integers(1, 255, (3, 256, 256), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _fresh_handles():
    _opened.cache_clear()


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*Check the path"):
        NativeRasterDataset(tmp_path / "nowhere", RGB)


def test_folder_without_raster(tmp_path):
    (tmp_path / "a.csv").write_text("1")
    with pytest.raises(FileNotFoundError, match=r"No raster in .*\.tif, \.tiff"):
        NativeRasterDataset(tmp_path, RGB)


def test_glob_without_match(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file matches"):
        NativeRasterDataset(f"{tmp_path}/*.tif", RGB)


def test_unreadable_file(write_raster):
    path = write_raster("a.tif", PIXELS)
    (path.parent / "b.tif").write_text("this is no raster")
    with pytest.raises(OSError, match=r"b\.tif.*not recognized"):
        NativeRasterDataset(path.parent, RGB)


def test_truncated_file(write_raster):
    path = write_raster("a.tif", PIXELS, compress="deflate")
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(OSError, match=r"a\.tif is truncated"):
        NativeRasterDataset(path, RGB)


def test_corrupt_block(write_raster):
    path = write_raster("a.tif", PIXELS, compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\0" * 4000)
    dataset = NativeRasterDataset(path, RGB)
    with pytest.raises(OSError, match=r"a\.tif, window col 0 row 0 width 256 height 256.*corrupt"):
        dataset[0:2560, -2560:0]


def test_no_crs(write_raster):
    with pytest.raises(ValueError, match=r"a\.tif has no coordinate reference system.*EPSG"):
        NativeRasterDataset(write_raster("a.tif", PIXELS, crs=None), RGB)


@pytest.mark.filterwarnings("ignore:.*no geotransform")
def test_no_geotransform(write_raster):
    path = write_raster("a.tif", PIXELS, transform=Affine.identity())
    with pytest.raises(ValueError, match="no geotransform"):
        NativeRasterDataset(path, RGB)


def test_band_count(write_raster):
    with pytest.raises(
        ValueError, match=r"a\.tif has 2 bands, but sensor 'sentinel2_rgb' has 3: red, green, blue"
    ):
        NativeRasterDataset(write_raster("a.tif", PIXELS[:2]), RGB)


def test_all_nodata(write_raster):
    with pytest.raises(ValueError, match="no valid pixel"):
        NativeRasterDataset(write_raster("a.tif", PIXELS * 0, nodata=0), RGB)


def test_two_resolutions(write_raster):
    folder = write_raster("a.tif", PIXELS).parent
    write_raster("b.tif", PIXELS, res=11.0)
    with pytest.raises(ValueError, match=r"a\.tif .*\(10\.0, 10\.0\).*b\.tif .*\(11\.0, 11\.0\)"):
        NativeRasterDataset(folder, RGB)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan(value, write_raster):
    pixels = np.ones((1, 8, 8), dtype=np.float32)
    pixels[0, 3, 3:5] = value
    sensor = Sensor("one", ("red",), 10, (0, 1), (0.5,), (0.5,), ("red",) * 3)
    dataset = NativeRasterDataset(write_raster("a.tif", pixels), sensor)
    with pytest.raises(ValueError, match=r"a\.tif: 2 of 64 pixels .*nodata: nan"):
        dataset[0:80, -80:0]


def test_sensors_apart(write_raster):
    one = NativeRasterDataset(write_raster("a.tif", PIXELS, origin=(500_000, 5_000_000)), RGB)
    two = NativeRasterDataset(write_raster("b.tif", PIXELS, origin=(600_000, 5_000_000)), RGB)
    message = r"one and two share no ground(.|\n)*x 500000.00(.|\n)*longitude 3\.0000(.|\n)*x 600000.00"
    with pytest.raises(ValueError, match=message):
        CrossSensorDataset({"one": one, "two": two})


def test_one_sensor_and_bad_keys(write_raster):
    dataset = NativeRasterDataset(write_raster("a.tif", PIXELS), RGB)
    with pytest.raises(ValueError, match="two or more"):
        CrossSensorDataset({"a": dataset})
    with pytest.raises(ValueError, match=r"\['sentinel-2'\] cannot be part of tensor names"):
        CrossSensorDataset({"a": dataset, "sentinel-2": dataset})


def test_window_below_a_pixel(write_raster):
    dataset = NativeRasterDataset(write_raster("a.tif", PIXELS), RGB)
    with pytest.raises(ValueError, match="smaller than a pixel"):
        dataset[0:4, -4:0]
    assert torch.is_tensor(dataset[0:10, -10:0]["image"])
