"""Values stay in the files' own types until they are scaled."""

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from pyproj import CRS

from xstars_lightning.datamodules.scaling import scale_batch
from xstars_lightning.datasets import CrossSensorDataset, NativeRasterDataset
from xstars_lightning.datasets.archive.geoparquet import write_index
from xstars_lightning.datasets.archive.scan import scan
from xstars_lightning.datasets.grid import Grid
from xstars_lightning.datasets.handles import _opened
from xstars_lightning.datasets.raster_file import inspect_raster
from xstars_lightning.datasets.reading import read_onto
from xstars_lightning.sensors import Sensor

RANDOM = np.random.default_rng(0)


def sensor(**fields):
    defaults = {"value_range": (100, 10000), "mean": (0.5,) * 2, "std": (0.3,) * 2, "rgb_bands": ("red",) * 3}
    return Sensor("two", ("red", "nir"), 10, **(defaults | fields))


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_a_type_is_kept(kind, write_raster):
    pixels = RANDOM.integers(1, 120, (2, 40, 40)).astype(kind)
    dataset = NativeRasterDataset(write_raster("a.tif", pixels), sensor())
    for window, part in (
        ((slice(50, 150), slice(-150, -50)), pixels[:, 5:15, 5:15]),
        ((slice(-100, 100), slice(-100, 100)), np.pad(pixels[:, :10, :10], ((0, 0), (10, 0), (10, 0)))),
    ):
        sample = dataset.read(window, raw=True)
        assert set(sample) == {"raw", "valid", "bounds", "transform"}
        assert sample["raw"].numpy().dtype == kind
        assert (sample["raw"].numpy() == part).all()


def test_types_of_overlapping_files_meet_in_float32(write_raster):
    first = np.full((2, 40, 40), 7, dtype=np.uint8)
    first[:, :, :20] = 0
    folder = write_raster("a.tif", first, nodata=0).parent
    write_raster("b.tif", np.full((2, 40, 30), 3000, dtype=np.uint16), nodata=0)
    values = NativeRasterDataset(folder, sensor()).read((slice(0, 400), slice(-400, 0)), raw=True)["raw"]
    assert values.dtype == torch.float32
    assert values[0, 0].tolist() == [3000] * 20 + [7] * 20


def test_a_warp_gives_float32(write_raster):
    pixels = np.full((2, 40, 40), 5, dtype=np.uint16)
    folder = write_raster("a.tif", pixels).parent
    write_raster("b.tif", pixels + 1, origin=(405, 0))
    sample = NativeRasterDataset(folder, sensor()).read((slice(300, 500), slice(-200, 0)), raw=True)
    assert sample["raw"].dtype == torch.float32
    assert sample["raw"][:, sample["valid"][0]].unique().tolist() == [5, 6]


def test_scaled_on_the_device_or_when_read_is_the_same(two_sensors):
    ten = Sensor("ten", ("red", "green", "blue"), 10, (7.3, 251), (0.5,) * 3, (0.3,) * 3)
    sensors = {"high": ten, "low": ten}
    datasets = {key: NativeRasterDataset(two_sensors / key, ten) for key in sensors}
    images, raw = (CrossSensorDataset(datasets, raw=raw) for raw in (False, True))
    window = (slice(600_700, 601_000), slice(4_999_000, 4_999_300))  # across the edge of a dark corner
    sample = raw[window]
    assert sample["raw_high"].dtype == torch.uint8
    assert not {"image_high", "image_low"} & set(sample)
    expected, scaled = images[window], scale_batch(sample, sensors)
    assert not expected["valid_high"].all()
    assert set(scaled) == set(expected)
    for name, value in expected.items():
        assert torch.equal(scaled[name], value), name
    assert len(raw.plot(sample).axes) == 2


def test_absent_sensors_are_bytes_that_are_valid_nowhere(write_raster):
    pixels = np.ones((2, 40, 40), dtype=np.uint16)
    one = NativeRasterDataset(write_raster("a.tif", pixels), sensor())
    two = NativeRasterDataset(write_raster("b.tif", pixels[:, :20]), sensor())
    sample = CrossSensorDataset({"one": one, "two": two}, min_sensors=1, raw=True)[100:200, -350:-250]
    assert (sample["raw_one"].dtype, sample["raw_two"].dtype) == (torch.uint16, torch.uint8)
    assert sample["raw_one"].shape == sample["raw_two"].shape
    assert not sample["valid_two"].any()


def test_nothing_is_opened_where_an_index_is_given(write_raster, tmp_path, monkeypatch):
    for number in range(3):
        pixels = RANDOM.integers(0, 200, (2, 40, 40), dtype=np.uint8)
        pixels[:, 30:] = 0
        path = write_raster(f"files/{number}.tif", pixels, origin=(400 * number, 0), nodata=0)
    write_index(scan(path.parent, sensor()), tmp_path / "index.parquet")
    direct = NativeRasterDataset(path.parent, sensor())
    with monkeypatch.context() as patch:
        patch.setattr(rasterio, "open", lambda *_: pytest.fail("a raster was opened"))
        _opened.cache_clear()
        indexed = NativeRasterDataset(tmp_path / "index.parquet", sensor())
    assert indexed.files == direct.files
    assert indexed.crs == direct.crs == CRS("EPSG:32631")
    assert indexed.index.geometry.geom_equals_exact(direct.index.geometry, 1e-6).all()
    window = (slice(250, 550), slice(-400, -100))
    assert torch.equal(indexed[window]["image"], direct[window]["image"])
    assert torch.equal(indexed[window]["valid"], direct[window]["valid"])


def test_an_index_without_scenes(write_raster, tmp_path):
    index = scan(write_raster("a.tif", np.ones((2, 4, 4), np.uint8)), sensor())
    write_index(index.take([]), tmp_path / "index.parquet")
    with pytest.raises(FileNotFoundError, match=r"index\.parquet holds no scene"):
        NativeRasterDataset(tmp_path / "index.parquet", sensor())


def coarse(path, factor, nodata=None):
    file = inspect_raster(str(path), sensor(nodata=nodata))
    size = (int(side // factor) for side in (file.width, file.height))
    grid = Grid(file.crs, file.transform @ Affine.scale(factor), *size)
    return read_onto(grid, file, sensor(nodata=nodata))


def test_coarser_grids_are_read_from_overviews(write_raster):
    path = write_raster("a.tif", np.full((2, 512, 512), 50, dtype=np.uint8), tiled=True)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    with rasterio.open(path, "r+") as file:  # the overviews stay as they were
        file.write(np.full((2, 512, 512), 200, dtype=np.uint8))
    _opened.cache_clear()
    assert np.unique(coarse(path, 1)[0]).tolist() == [200]
    assert np.unique(coarse(path, 1.9)[0]).tolist() == [200]
    for factor in (2, 4, 5):
        values, valid = coarse(path, factor)
        assert valid[1:-1, 1:-1].all()
        assert np.unique(values[:, valid]).tolist() == [50]


@pytest.mark.parametrize("factor", [2, 3, 4.5])
def test_coarser_grids_are_averages_at_their_place(factor, write_raster):
    columns, rows = np.meshgrid(np.arange(360) + 0.5, np.arange(360) + 0.5)
    path = write_raster("a.tif", np.stack([columns, rows]).astype(np.float32) * 10)
    values, valid = coarse(path, factor)
    inner = (slice(2, -2), slice(2, -2))
    centres = (np.arange(values.shape[1]) + 0.5) * factor * 10
    assert valid[inner].all()
    assert np.abs(values[0] - centres)[inner].max() < 0.1 * 10
    assert np.abs(values[1] - centres[:, None])[inner].max() < 0.1 * 10


@pytest.mark.parametrize("declared", [True, False])
def test_missing_pixels_are_not_averaged(declared, write_raster):
    pixels = np.full((2, 120, 120), 1000, dtype=np.int16)
    pixels[:, 31:83, 31:83] = -9999
    profile = {"nodata": -9999} if declared else {}
    values, valid = coarse(write_raster("a.tif", pixels, **profile), 4, nodata=-9999)
    assert not valid[9:20, 9:20].any()
    assert valid.mean() > 0.75
    assert np.unique(values[:, valid]).tolist() == [1000]
