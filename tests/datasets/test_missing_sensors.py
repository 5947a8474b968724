"""Windows that not every sensor sees."""

import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import torch
from geopandas.testing import assert_geodataframe_equal
from torch.utils.data import DataLoader
from torchgeo.datasets import stack_samples

from xstars_lightning.datasets import CrossSensorDataset, NativeRasterDataset
from xstars_lightning.datasets.intersection import seen_by
from xstars_lightning.samplers import GridWindowSampler, RandomWindowSampler
from xstars_lightning.sensors import get_sensor

RGB = get_sensor("sentinel2_rgb")
WEST = slice(600_900, 601_200), slice(4_998_000, 4_998_300)  # `high` and `low` only
EAST = slice(602_100, 602_400), slice(4_998_000, 4_998_300)  # all
BEYOND = slice(603_900, 604_200), slice(4_998_000, 4_998_300)  # `coarse` only


@pytest.fixture
def sensors(two_sensors, write_raster):
    """4 m and 10 m over 3 x 3 km, and 30 m over the eastern half and beyond."""
    pixels = np.random.default_rng(1).integers(1, 255, (3, 100, 100), dtype=np.uint8)
    write_raster("coarse/a.tif", pixels, (601_500, 5_000_000), res=30.0)
    return {key: NativeRasterDataset(two_sensors / key, RGB) for key in ("high", "low", "coarse")}


@pytest.fixture
def dataset(sensors):
    return CrossSensorDataset(sensors, min_sensors=2)


@pytest.mark.parametrize(
    ("min_sensors", "expected"),
    [
        (1, 3200**2 + 1400 * 3000),  # `low`, and `coarse` beyond it
        (2, 3000**2 - 800**2 + 100 * 3000),  # `high` but its dark corner, and a strip of the others
        (3, 1500 * 3000),
        (None, 1500 * 3000),
    ],
)
def test_area_is_the_ground_that_enough_sensors_see(min_sensors, expected, sensors):
    dataset = CrossSensorDataset(sensors, min_sensors=min_sensors)
    assert dataset.area.area == pytest.approx(expected, rel=3e-3)
    assert dataset.index.geometry.area.sum() == pytest.approx(dataset.area.area)
    assert dataset.snap == (30, 30, 601_500, 5_000_000)


def test_all_of_them_is_the_default(sensors):
    assert_geodataframe_equal(
        CrossSensorDataset(sensors, min_sensors=3).index, CrossSensorDataset(sensors).index
    )


def test_an_absent_sensor_is_zero_and_nowhere_valid(dataset):
    sample, complete = dataset[WEST], dataset[EAST]
    assert {key: (value.shape, value.dtype) for key, value in sample.items()} == {
        key: (value.shape, value.dtype) for key, value in complete.items()
    }
    assert complete["valid_coarse"].all()
    assert sample["image_coarse"].shape == (3, 10, 10)
    assert not sample["image_coarse"].any()
    assert sample["valid_coarse"].dtype == torch.bool
    assert not sample["valid_coarse"].any()


def test_the_absent_grid_lies_on_the_pixels_of_the_files(dataset):
    a, b, left, d, e, top, *_ = dataset[slice(600_910, 601_210), WEST[1]]["transform_coarse"].tolist()
    assert (a, b, d, e) == (30, 0, 0, -30)
    assert (left, top) == (600_900, 4_998_290)


def test_the_others_are_read_on_their_own_grid(dataset, sensors):
    sample = dataset[WEST]
    for key, side in (("high", 75), ("low", 30)):
        alone = sensors[key][WEST]
        assert sample[f"image_{key}"].shape == (3, side, side)
        for name in ("image", "valid", "transform"):
            assert torch.equal(sample[f"{name}_{key}"], alone[name])
        assert alone["valid"].all()


def test_batches_collate(dataset):
    loader = DataLoader(dataset, sampler=[WEST, EAST, WEST], batch_size=3, collate_fn=stack_samples)
    batch = next(iter(loader))
    assert batch["image_coarse"].shape == (3, 3, 10, 10)
    assert batch["valid_coarse"].float().mean(dim=(1, 2, 3)).tolist() == [0, 1, 0]
    assert batch["valid_high"].all()


def test_transforms_of_a_sensor_shape_its_absent_windows_too(sensors):
    sensors["coarse"].transforms = lambda sample: sample | {"image": sample["image"][:, ::2, ::2]}
    dataset = CrossSensorDataset(sensors, min_sensors=1)
    assert dataset[WEST]["image_coarse"].shape == dataset[EAST]["image_coarse"].shape == (3, 5, 5)


def test_too_few_sensors_at_a_window(sensors):
    with pytest.raises(IndexError, match=r"high, low have no file at x 603900 to 604200.* but 2 of"):
        CrossSensorDataset(sensors, min_sensors=2)[BEYOND]
    with pytest.raises(IndexError, match="No file of 'sentinel2_rgb'"):
        CrossSensorDataset(sensors)[WEST]
    assert CrossSensorDataset(sensors, min_sensors=1)[BEYOND]["valid_coarse"].all()


@pytest.mark.parametrize("wrong", [-1, 0, 4])
def test_a_number_that_no_window_can_meet(wrong, sensors):
    with pytest.raises(ValueError, match=rf"1 to 3, .*\(high, low, coarse\), got {wrong}\. Leave it out"):
        CrossSensorDataset(sensors, min_sensors=wrong)


def test_sensors_in_a_chain(write_raster):
    pixels = np.ones((3, 60, 60), dtype=np.uint8)
    places = {"a": 0, "b": 400, "c": 800, "d": 5000}
    paths = {key: write_raster(f"{key}.tif", pixels, (x, 600)) for key, x in places.items()}
    chain = {key: NativeRasterDataset(path, RGB) for key, path in paths.items()}
    isolated = chain.pop("d")
    with pytest.raises(ValueError, match="a and b and c share no ground"):
        CrossSensorDataset(chain)
    joined = CrossSensorDataset(chain, min_sensors=2)
    assert joined.area.equals(shapely.union(shapely.box(400, 0, 600, 600), shapely.box(800, 0, 1000, 600)))
    assert len(joined) == 2
    apart = {"a": chain["a"], "c": chain["c"], "d": isolated}
    with pytest.raises(
        ValueError, match=r"(?s)No place is seen by 2 of the sensors a, c, d.*  d: x 5000\.00"
    ):
        CrossSensorDataset(apart, min_sensors=2)
    assert CrossSensorDataset(apart, min_sensors=1).area.area == 3 * 600**2


@pytest.mark.parametrize("min_sensors", [1, 2])
def test_samplers_find_windows_that_some_sensors_miss(min_sensors, sensors):
    dataset = CrossSensorDataset(sensors, min_sensors=min_sensors)
    ground = {"area": dataset.area, "size": 300, "snap": dataset.snap, "min_valid": 1}
    for sampler in (RandomWindowSampler(length=40, **ground), GridWindowSampler(**ground)):
        seen = torch.tensor(
            [[dataset[window][f"valid_{key}"].all() for key in sensors] for window in sampler]
        ).sum(dim=1)
        assert seen.min() == min_sensors
        assert seen.max() == 3


def frame(boxes, begin, end):
    ends = ([pd.Timestamp(time)] * len(boxes) for time in (begin, end))
    times = pd.IntervalIndex.from_arrays(*ends, closed="both", name="datetime")
    return gpd.GeoDataFrame(index=times, geometry=shapely.box(*np.transpose(boxes)), crs="EPSG:32631")


def test_times_of_a_piece_are_those_of_the_files_that_show_it():
    index = seen_by(
        2,
        {
            "a": frame([(0, 0, 900, 10)], "2020-01-01", "2020-02-01"),
            "b": frame([(0, 0, 10, 10)], "2019-01-01", "2019-02-01"),
            "c": frame([(800, 0, 900, 10)], "2021-01-01", "2021-02-01"),
        },
    )
    assert (index.index.name, index.index.closed, index.crs) == ("datetime", "both", "EPSG:32631")
    spans = {
        row.geometry.bounds: (f"{row.Index.left:%F}", f"{row.Index.right:%F}") for row in index.itertuples()
    }
    assert spans == {
        (0, 0, 10, 10): ("2019-01-01", "2020-02-01"),
        (800, 0, 900, 10): ("2020-01-01", "2021-02-01"),
    }


def test_thousands_of_footprints():
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 1e5, (4, 1500, 2))
    indexes = {
        key: frame(np.hstack([xy, xy + 1000]), "2020", "2021")
        for key, xy in zip("abcd", corners, strict=True)
    }
    x, y = generator.uniform(0, 1e5, (2, 500))
    count = np.zeros(500, dtype=int)
    for index in indexes.values():
        count += shapely.contains_xy(shapely.union_all(index.geometry.to_numpy()), x, y)
    for least in (1, 2, 3):
        ground = shapely.union_all(seen_by(least, indexes).geometry.to_numpy())
        assert (shapely.contains_xy(ground, x, y) == (count >= least)).all()


def test_an_absent_sensor_is_an_empty_frame(dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = dataset.plot(dataset[WEST])
        figure.canvas.draw()
    assert [axis.axison for axis in figure.axes] == [False, False, True]
    assert (figure.axes[2].images[0].get_array() == 1).all()
    assert not len(figure.axes[2].get_xticks())
