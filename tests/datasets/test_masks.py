"""Quality bands decide which pixels are valid."""

import numpy as np
import pytest

from xstars_lightning.datasets import NativeRasterDataset
from xstars_lightning.datasets.masks import QA_PIXEL, SCL
from xstars_lightning.sensors import get_sensor

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


def test_clouds_are_left_out_of_the_outline(write_safe):
    classes = np.full((60, 60), 4, dtype=np.uint8)
    classes[:, :30] = 9
    dataset = NativeRasterDataset(write_safe(classes=classes), L2A)
    assert dataset.index.geometry.iloc[0].bounds == (600_600, 4_998_840, 601_200, 5_000_040)


def test_a_scene_under_clouds(write_safe):
    with pytest.raises(ValueError, match=r"\.SAFE has no valid pixel"):
        NativeRasterDataset(write_safe(classes=np.full((60, 60), 9, dtype=np.uint8)), L2A)
