"""Quality bands decide which pixels are valid."""

import numpy as np
import pytest
from affine import Affine

from xstars_lightning.datasets import NativeRasterDataset
from xstars_lightning.datasets.grid import Grid
from xstars_lightning.datasets.masks import QA_PIXEL, SCL, average_valid
from xstars_lightning.datasets.raster_file import inspect_raster
from xstars_lightning.datasets.reading import read_onto
from xstars_lightning.sensors import Sensor, get_sensor

L2A, OLI = get_sensor("sentinel2_l2a"), get_sensor("landsat_sr")
WHOLE = (slice(600_000, 601_200), slice(4_998_840, 5_000_040))


def test_clouds_and_shadows_are_invalid_and_snow_is_ground():
    assert np.flatnonzero(SCL[:12]).tolist() == [2, 4, 5, 6, 7, 11]
    # Of the guide to Collection 2: fill, clear, water, dilated cloud, cloud, shadow, cirrus, snow.
    values = [1, 21824, 21952, 21826, 22280, 23888, 54596, 30048]
    assert QA_PIXEL[values].tolist() == [False, True, True, False, False, False, False, True]


@pytest.mark.parametrize(("label", "kept"), [(8, False), (3, False), (0, False), (11, True), (6, True)])
def test_classes_of_20_m_cover_whole_pixels(label, kept, write_safe):
    classes = np.full((60, 60), 4, dtype=np.uint8)
    classes[10:20, 30:33] = label
    sample = NativeRasterDataset(write_safe(classes=classes), L2A)[WHOLE]
    expected = np.ones((120, 120), dtype=bool)
    expected[20:40, 60:66] = kept
    assert (sample["valid"][0].numpy() == expected).all()
    assert (sample["image"].numpy()[:, ~expected] == 0).all()


def test_quality_and_nodata_both_count(write_landsat):
    quality = np.full((40, 40), 21824, dtype=np.uint16)
    quality[5, 5] = 22280
    folder = write_landsat(quality=quality)
    sample = NativeRasterDataset(folder, OLI)[600_000:601_230, 4_998_840:5_000_040]
    expected = np.ones((40, 41), dtype=bool)
    expected[5, 5] = expected[:, 40] = False
    assert (sample["valid"][0].numpy() == expected).all()


def test_blocks_are_means_of_their_valid_pixels():
    data = np.array([[[1, 3, 900, 8], [5, 900, 900, 900]], [[2, 2, 900, 4], [2, 900, 900, 900]]], np.uint16)
    means, valid = average_valid(data, data[0] < 900, (1, 2))
    assert means.tolist() == [[[3, 8]], [[2, 4]]]
    assert valid.tolist() == [[True, False]]
    assert average_valid(data, data[0] < 6, (2, 1))[1].tolist() == [[True], [False]]


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_clouds_are_not_averaged_into_what_is_valid(factor, write_safe):
    """Cloud edges of 20 m lie within pixels of 60 m; under the cloud, values are twice as high."""
    cloud = np.zeros((60, 60), dtype=bool)
    cloud[11:30, 20:41] = True

    def change(code, resolution, pixels):
        side = 120 if resolution == 10 else 60
        covered = cloud.repeat(side // 60, 0).repeat(side // 60, 1)
        return pixels if resolution == 60 else np.where(covered, 20_000, 2000).astype(np.uint16)

    red = Sensor("red", ("red",), 10, (0, 10000), (0.1,), (0.1,), ("red",) * 3)
    folder = write_safe(change=change, classes=np.where(cloud, 9, 4).astype(np.uint8))
    file = inspect_raster(str(folder), red)
    grid = Grid(file.crs, file.transform @ Affine.scale(factor), 120 // factor, 120 // factor)
    values, valid = read_onto(grid, file, red)
    assert np.unique(values[0, valid]).tolist() == [1000]
    rows, columns = 22 // factor + 1, 40 // factor + 1
    assert not valid[rows : 60 // factor - 1, columns : 82 // factor - 1].any()
    assert valid[1:-1, 1:-1].mean() > 0.75


def test_clouds_are_left_out_of_the_outline(write_safe):
    classes = np.full((60, 60), 4, dtype=np.uint8)
    classes[:, :30] = 9
    dataset = NativeRasterDataset(write_safe(classes=classes), L2A)
    assert dataset.index.geometry.iloc[0].bounds == (600_600, 4_998_840, 601_200, 5_000_040)


def test_a_scene_under_clouds(write_safe):
    with pytest.raises(ValueError, match=r"\.SAFE has no valid pixel"):
        NativeRasterDataset(write_safe(classes=np.full((60, 60), 9, dtype=np.uint8)), L2A)
