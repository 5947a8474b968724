import numpy as np
import pytest

from xstars_lightning.datasets.statistics import BandStatistics, measure_rasters
from xstars_lightning.sensors import Sensor

SENSOR = Sensor("two", ("red", "nir"), 10, (100, 1100), (0.5,) * 2, (0.2,) * 2, ("red", "nir", "nir"))


def merged(paths, sensor=SENSOR, **options):
    parts = [part for _, part in measure_rasters([str(path) for path in paths], sensor, **options)]
    return sum(parts, BandStatistics.empty(len(sensor.bands)))


@pytest.fixture
def scenes(write_raster):
    """Pixels (C, N) of three files of different sizes and layouts, and their paths."""
    rng = np.random.default_rng(0)
    layouts = [{"tiled": True, "blockxsize": 128, "blockysize": 128}, {}, {"tiled": True}]
    shapes = [(2, 700, 300), (2, 90, 1300), (2, 16, 16)]
    pixels = [rng.gamma(3, 150, shape).astype(np.uint16) for shape in shapes]
    paths = [write_raster(f"{len(x[0])}.tif", x, **how) for x, how in zip(pixels, layouts, strict=True)]
    return np.concatenate([x.reshape(2, -1) for x in pixels], axis=1), paths


@pytest.mark.parametrize("workers", [1, 3])
def test_blocks_merge_to_the_statistics_of_the_whole_arrays(scenes, workers):
    pixels, paths = scenes
    scaled = (pixels.astype(np.float64) - 100) / 1000
    found = merged(paths, workers=workers)
    assert (found.pixels, found.valid) == (scaled.shape[1], scaled.shape[1])
    np.testing.assert_allclose(found.mean, scaled.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.std, scaled.std(axis=1), rtol=1e-12)
    np.testing.assert_allclose([found.low, found.high], [scaled.min(axis=1), scaled.max(axis=1)])
    np.testing.assert_array_equal(found.outside, ((scaled < 0) | (scaled > 1)).sum(axis=1))


def test_nodata_do_not_count(write_raster):
    rng = np.random.default_rng(0)
    pixels = rng.uniform(100, 1100, (2, 300, 300)).astype(np.float32)
    pixels[:, :120] = -9999
    path = write_raster("holes.tif", pixels, nodata=-9999)
    found = merged([path])
    scaled = (pixels[:, 120:].astype(np.float64).reshape(2, -1) - 100) / 1000
    assert (found.pixels, found.valid) == (90_000, 180 * 300)
    np.testing.assert_allclose(found.mean, scaled.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.std, scaled.std(axis=1), rtol=1e-12)


def test_a_small_spread_upon_a_large_value_survives(write_raster):
    pixels = np.full((2, 64, 2048), 60_000, dtype=np.uint16)
    pixels[:, :, ::2] += 1
    assert merged([write_raster("flat.tif", pixels)]).std * 1000 == pytest.approx([0.5, 0.5], rel=1e-9)


def test_a_sample_is_a_share_of_the_blocks_and_always_the_same(write_raster):
    pixels = np.random.default_rng(0).integers(100, 1000, (2, 4096, 1024), dtype=np.uint16)
    path = write_raster("large.tif", pixels, tiled=True, blockxsize=128, blockysize=128)
    some, again = merged([path], sample=0.5), merged([path], sample=0.5, workers=2)
    assert 0 < some.pixels < pixels[0].size
    assert (some.pixels, *some.low) == (again.pixels, *again.low)
    np.testing.assert_allclose(some.mean, again.mean, rtol=1e-12)


def test_nothing_valid_adds_nothing():
    some = BandStatistics.of(np.array([[1.0, 3.0]]), 5)
    total = BandStatistics.empty(1) + BandStatistics.of(np.empty((1, 0)), 7) + some
    assert (total.pixels, total.valid) == (12, 2)
    assert (total.mean, total.std, total.low, total.high) == ([2.0], [1.0], [1.0], [3.0])


def test_bad_pixels_bands_and_samples(write_raster):
    pixels = np.full((2, 8, 8), np.nan, dtype=np.float32)
    with pytest.raises(ValueError, match=r"nan\.tif: 64 of 64 pixels"):
        merged([write_raster("nan.tif", pixels)])
    with pytest.raises(ValueError, match=r"three\.tif has 3 bands"):
        merged([write_raster("three.tif", np.ones((3, 8, 8), np.uint8))])
    with pytest.raises(ValueError, match=r"sample .* got 0"):
        merged([write_raster("fine.tif", np.ones((2, 8, 8), np.uint8))], sample=0)
