import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from pyproj import CRS
from torch.utils.data import DataLoader
from torchgeo.datasets import stack_samples

from xstars_lightning.datasets import NativeRasterDataset
from xstars_lightning.datasets.handles import _opened
from xstars_lightning.sensors import Sensor, get_sensor

RGB = get_sensor("sentinel2_rgb")


def rgb(value, side=40):
    return np.full((3, side, side), value, dtype=np.uint8)


def one_band(**fields):
    defaults = {"value_range": (0, 100), "mean": (0.5,), "std": (0.3,), "rgb_bands": ("red",) * 3}
    return Sensor("one", ("red",), 10, **(defaults | fields))


def test_sample(write_raster):
    dataset = NativeRasterDataset(write_raster("a.tif", rgb(51)).parent, RGB)
    sample = dataset[100:200, -200:-100]
    assert set(sample) == {"image", "valid", "bounds", "transform"}
    assert sample["image"].dtype == torch.float32
    assert torch.allclose(sample["image"], torch.full((3, 10, 10), 0.2))
    assert sample["valid"].shape == (1, 10, 10)
    assert sample["valid"].all()
    assert sample["transform"].tolist() == [10, 0, 100, 0, -10, -100, 0, 0, 1]
    assert sample["bounds"].dtype == torch.float64
    assert dataset.plot(sample) is not None


def test_index_is_that_of_torchgeo(write_raster):
    dataset = NativeRasterDataset(write_raster("b/a.tif", rgb(1)).parent.parent, RGB)
    assert dataset.index.index.name == "datetime"
    assert dataset.index.index.closed == "both"
    assert list(dataset.index.columns) == ["filepath", "geometry"]
    assert dataset.index.geometry.iloc[0].bounds == (0, -400, 400, 0)
    assert dataset.crs == CRS("EPSG:32631")
    assert dataset.res == (10, 10)
    assert dataset.resolution == 10


@pytest.mark.parametrize("paths", ["{0}", "{0}/*.tif", "{0}/a*.tif", "{0}/a.tif", ["{0}/a.tif", "{0}"]])
def test_folders_globs_and_files(paths, write_raster):
    folder = write_raster("a.tif", rgb(1)).parent
    (folder / "notes.txt").write_text("not a raster")
    given = [path.format(folder) for path in paths] if isinstance(paths, list) else paths.format(folder)
    assert NativeRasterDataset(given, RGB).files == [str(folder / "a.tif")]


def test_window_half_outside_is_padded(write_raster):
    dataset = NativeRasterDataset(write_raster("a.tif", rgb(255)), RGB)
    sample = dataset[-100:100, -100:100]
    valid = torch.zeros(1, 20, 20, dtype=torch.bool)
    valid[:, 10:, 10:] = True
    assert torch.equal(sample["valid"], valid)
    assert torch.equal(sample["image"], valid.expand(3, -1, -1).float())


def test_no_file_there(write_raster):
    with pytest.raises(IndexError, match="No file of 'sentinel2_rgb'"):
        NativeRasterDataset(write_raster("a.tif", rgb(1)), RGB)[9000:9100, 0:100]


def test_values_beyond_the_range_are_kept(write_raster):
    pixels = np.array([[[-50.0, 250.0]]], dtype=np.float32)
    dataset = NativeRasterDataset(write_raster("a.tif", pixels), one_band())
    assert dataset[0:20, -10:0]["image"].tolist() == [[[-0.5, 2.5]]]


def test_overlap_is_filled_by_the_file_that_covers_less(write_raster):
    first = rgb(10)
    first[:, :20] = 0
    folder = write_raster("a.tif", first, nodata=0).parent
    write_raster("b.tif", rgb(200), origin=(100, 0), nodata=0)
    image = NativeRasterDataset(folder, RGB)[0:400, -400:0]["image"][0] * 255
    assert image[30, 15].round() == 10  # both have it: the first covers more
    assert image[5, 15].round() == 200  # only the second has it
    assert image[5, 5] == 0  # neither


def test_off_grid_neighbour_is_warped(write_raster):
    ramp = np.tile(np.arange(40, dtype=np.float32), (1, 40, 1))
    folder = write_raster("a.tif", ramp).parent
    write_raster("b.tif", ramp + 40.5, origin=(405, 0))  # continues the ramp half a pixel later
    sample = NativeRasterDataset(folder, one_band())[100:600, -300:-100]
    # A pixel on the neighbour's edge lies beyond the centres between which values can be known.
    valid = np.arange(50) != 30
    assert (sample["valid"][0].numpy() == valid).all()
    assert np.allclose(sample["image"][0, :, valid] * 100, np.arange(10, 60)[valid], atol=1e-3)


def test_rotated_black_border_is_no_ground(write_raster):
    rows, columns = np.mgrid[:300, :300]
    inside = np.abs(rows - 150) + np.abs(columns - 150) < 140
    pixels = np.where(inside, 90, 0).astype(np.uint8)[None].repeat(3, 0)
    pixels[1, 140:160, 140:160] = 0  # dark in one band: ground all the same
    pixels[:, 150, 150] = 0  # a single black pixel is missing, but no reason to avoid the place
    dataset = NativeRasterDataset(write_raster("a.tif", pixels, nodata=0), RGB)
    outline = dataset.index.geometry.iloc[0]
    assert 0.95 * inside.sum() * 100 < outline.area <= inside.sum() * 100
    assert not outline.interiors
    sample = dataset[1000:2000, -2000:-1000]
    assert (~sample["valid"]).sum() == 1


@pytest.mark.parametrize(
    ("nodata", "expected"),
    [
        (0, [[True, True], [True, False]]),
        (-9999, [[True, False], [False, False]]),
        (np.nan, [[True, False], [False, False]]),
    ],
)
def test_nodata_within_the_range_must_fill_all_bands(nodata, expected, write_raster):
    pixels = np.full((2, 2, 2), 7, dtype=np.float32)
    pixels[0, 0, 1] = pixels[1, 1, 0] = nodata
    pixels[:, 1, 1] = nodata
    pair = Sensor("two", ("red", "nir"), 10, (0, 100), (0.1, 0.1), (0.1, 0.1), ("red",) * 3)
    declared = NativeRasterDataset(write_raster("a.tif", pixels, nodata=nodata), pair)
    by_sensor = Sensor(
        "two", ("red", "nir"), 10, (0, 100), (0.1, 0.1), (0.1, 0.1), ("red",) * 3, nodata=nodata
    )
    assumed = NativeRasterDataset(write_raster("b.tif", pixels), by_sensor)
    for dataset in (declared, assumed):
        sample = dataset[0:20, -20:0]
        assert sample["valid"][0].tolist() == expected
        assert (sample["image"][:, ~sample["valid"][0]] == 0).all()


def test_alpha_and_internal_mask(write_raster):
    pixels = np.concatenate([rgb(5), np.zeros((1, 40, 40), np.uint8)])
    pixels[3, :, 20:] = 255
    alpha = write_raster("alpha.tif", pixels, photometric="rgb", alpha="yes")
    masked = write_raster("mask.tif", rgb(5))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "r+") as file:
        file.write_mask(pixels[3] > 0)
    for path in (alpha, masked):
        dataset = NativeRasterDataset(path, RGB)
        assert dataset.index.geometry.iloc[0].bounds == (pytest.approx(200, abs=11), -400, 400, 0)
        valid = dataset[0:400, -400:0]["valid"][0]
        assert valid[:, 20:].all()
        assert not valid[:, :20].any()


def test_files_of_several_zones_become_one_dataset(write_raster):
    folder = write_raster("a.tif", rgb(50), origin=(700_000, 4_900_000)).parent
    write_raster("b.tif", rgb(60), origin=(223_000, 4_900_000), crs="EPSG:32632")
    dataset = NativeRasterDataset(folder, RGB)
    for outline in dataset.index.geometry:
        x, y = outline.centroid.x, outline.centroid.y
        assert dataset[x - 50 : x + 50, y - 50 : y + 50]["valid"].all()


def test_other_crs_and_rotated_rasters_have_upright_windows(write_raster):
    transform = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    path = write_raster("a.tif", rgb(50), transform=transform)
    dataset = NativeRasterDataset(path, RGB)
    assert dataset.res == pytest.approx((10, 10))
    assert dataset.grid_origin is None
    assert dataset.index.area.iloc[0] == pytest.approx(160_000)
    turned = NativeRasterDataset(path, RGB, crs=CRS("EPSG:4326"))
    assert turned.res == pytest.approx((9e-5, 9e-5), rel=0.01)


def read_all(dataset, windows, workers):
    loader = DataLoader(dataset, sampler=windows, num_workers=workers, collate_fn=stack_samples)
    return torch.cat([batch["image"] for batch in loader])


def test_handles_do_not_cross_a_fork(write_raster):
    generator = np.random.default_rng(0)
    for number in range(3):
        pixels = generator.integers(0, 255, (3, 256, 256), dtype=np.uint8)
        tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
        path = write_raster(f"{number}.tif", pixels, origin=(number * 2560, 0), **tiled)
    dataset = NativeRasterDataset(path.parent, RGB)
    corners = generator.integers(0, 2000, (60, 2)) * (3, -1)
    windows = [(slice(float(x), x + 500.0), slice(y - 500.0, float(y))) for x, y in corners.tolist()]
    here = read_all(dataset, windows, workers=0)
    assert _opened.cache_info().currsize
    assert torch.equal(read_all(dataset, windows, workers=2), here)


def test_transforms_are_applied(write_raster):
    path = write_raster("a.tif", rgb(255))
    dataset = NativeRasterDataset(path, RGB, transforms=lambda sample: sample | {"image": -sample["image"]})
    assert dataset[0:100, -100:0]["image"].max() == -1
