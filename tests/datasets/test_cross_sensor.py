import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchgeo.datasets import stack_samples
from torchgeo.samplers import GriddedPatchSampler, RandomPatchSampler, Units

from xstars_lightning.datasets import CrossSensorDataset, NativeRasterDataset
from xstars_lightning.sensors import get_sensor

RGB = get_sensor("sentinel2_rgb")


@pytest.fixture
def dataset(two_sensors):
    return CrossSensorDataset({key: NativeRasterDataset(two_sensors / key, RGB) for key in ("high", "low")})


def test_sample(dataset):
    sample = dataset[601_000:601_240, 4_998_000:4_998_240]
    assert {key: tuple(value.shape) for key, value in sample.items()} == {
        "bounds": (9,),
        "image_high": (3, 60, 60),
        "valid_high": (1, 60, 60),
        "transform_high": (9,),
        "image_low": (3, 24, 24),
        "valid_low": (1, 24, 24),
        "transform_low": (9,),
    }
    assert sample["bounds"].dtype == sample["transform_low"].dtype == torch.float64
    assert sample["bounds"][[0, 1, 3, 4]].tolist() == [601_000, 601_240, 4_998_000, 4_998_240]


def test_area_is_the_common_valid_ground(dataset):
    assert len(dataset) == 1
    assert dataset.area.bounds == pytest.approx((600_000, 4_997_000, 603_000, 5_000_000))
    assert dataset.area.area == pytest.approx(3000**2 - 800**2, rel=0.01)
    assert dataset.snap == (10, 10, 599_900, 5_000_100)


@pytest.mark.parametrize("sampler", [RandomPatchSampler, GriddedPatchSampler])
def test_samplers_of_torchgeo(sampler, dataset):
    windows = sampler(dataset, size=240, units=Units.CRS)
    loader = DataLoader(dataset, sampler=windows, batch_size=8, collate_fn=stack_samples)
    batch = next(iter(loader))
    assert batch["image_high"].shape == (8, 3, 60, 60)
    assert batch["image_low"].shape == (8, 3, 24, 24)


def test_several_files_per_sensor_and_three_sensors(two_sensors, write_raster):
    more = np.ones((3, 20, 20), dtype=np.uint8)
    for number in range(4):
        write_raster(f"coarse/{number}.tif", more, (600_000 + 600 * number, 4_999_000), res=30.0)
    folders = {key: NativeRasterDataset(two_sensors / key, RGB) for key in ("high", "low", "coarse")}
    dataset = CrossSensorDataset(folders)
    assert len(dataset) == 4
    assert dataset.area.bounds == (600_000, 4_998_400, 602_400, 4_999_000)
    assert dataset.snap[:2] == (30, 30)
    sample = dataset[600_900:601_500, 4_998_400:4_999_000]  # across two files
    assert sample["image_coarse"].shape == (3, 20, 20)
    assert sample["valid_coarse"].all()


def test_joint_crs_of_degrees_is_a_utm_zone(write_raster):
    pixels = np.ones((3, 50, 50), dtype=np.uint8)
    folder = write_raster("a.tif", pixels, (3.0, 45.0), res=1e-4, crs="EPSG:4326").parent
    one = NativeRasterDataset(folder, RGB)
    dataset = CrossSensorDataset({"one": one, "two": one})
    assert dataset.crs.to_epsg() == 32631
    assert dataset.res == (10, 10)


def test_plot(dataset):
    sample = dataset[601_000:601_240, 4_998_000:4_998_240]
    figure = dataset.plot(sample, suptitle="a window")
    assert [axis.get_title() for axis in figure.axes] == ["high, 4 m", "low, 10 m"]
    batch = stack_samples([sample, sample, sample])
    assert len(dataset.plot(batch).axes) == 6


def test_real_imagery(real_data):
    folders = {"aerial": "hires", "sentinel2": "lowres/sentinel2*.tif", "landsat": "lowres/landsat8*.tif"}
    dataset = CrossSensorDataset(
        {key: NativeRasterDataset(f"{real_data}/cross_sensor/{path}", RGB) for key, path in folders.items()}
    )
    assert dataset.area.area / 1e6 == pytest.approx(67.9, rel=0.02)
    x, y = dataset.area.representative_point().coords[0]
    sample = dataset[x - 330 : x + 330, y - 330 : y + 330]
    assert [sample[f"image_{key}"].shape[1] for key in folders] == [132, 66, 22]
    # The same place: brightness goes together, after the fine sensors are averaged to 30 m.
    coarse = [
        torch.nn.functional.adaptive_avg_pool2d(sample[f"image_{key}"].mean(0)[None], 22) for key in folders
    ]
    assert torch.corrcoef(torch.stack(coarse).flatten(1)).min() > 0.4
