import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from pyproj import Transformer
from shapely import Polygon
from torch.utils.data import DataLoader

from xstars_lightning.datasets.archive.dataset import ArchiveDataset
from xstars_lightning.datasets.archive.footprints import concatenate
from xstars_lightning.datasets.archive.joining import join
from xstars_lightning.datasets.archive.pairs import PairWindow
from xstars_lightning.sensors import Sensor

LEFT, TOP = 600_000.0, 5_000_000.0


def sensor(resolution):
    """Two bands whose digital numbers 0 to 60000 become 0 to 1; 0 is nodata."""
    return Sensor(
        "two", ("x", "y"), resolution, (0, 60_000), (0.5, 0.5), (1, 1), rgb_bands=("x", "y", "y"), nodata=0
    )


SENSORS = {"high": sensor(2), "low": sensor(10)}


def ground_pixels(transform, shape, crs, to="EPSG:32631"):
    """Decimetres of pixel centres from a point 1 km west of LEFT and 4 km south of TOP."""
    col, row = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    x, y = transform @ (col, row)
    x, y = Transformer.from_crs(crs, to, always_xy=True).transform(x, y)
    return np.round(np.stack([x - LEFT + 1000, y - TOP + 4000]) * 10)


@pytest.fixture
def archive(write_raster, make_footprints):
    """Footprints of rasters (name, CRS, transform, shape) whose two bands tell where a pixel lies."""

    def make(rasters, res, date="2020-01-01"):
        rows, paths, transforms = [], [], []
        for name, crs, transform, shape in rasters:
            pixels = ground_pixels(transform, shape, crs).astype(np.uint16)
            paths.append(write_raster(name, pixels, crs=crs, transform=transform))
            corners = [transform @ at for at in ((0, 0), (shape[1], 0), shape[::-1], (0, shape[0]))]
            rows.append((Polygon(corners), crs, date))
            transforms.append(transform)
        index = make_footprints(rows, res, paths)
        return replace(
            index,
            transform=np.array([tuple(transform)[:6] for transform in transforms]),
            shape=np.array([raster[3] for raster in rasters], dtype=np.int32),
        )

    return make


def north_up(x, y, res):
    return Affine(res, 0, x, 0, -res, y)


@pytest.fixture
def indexes(archive):
    """Two scenes of 2 m, one of 10 m whose pixels begin at odd places; and one of 10 m in another zone."""
    high = [
        (f"high/{i}.tif", "EPSG:32631", north_up(LEFT + 1000 * i, TOP, 2.0), (500, 500)) for i in range(2)
    ]
    here = ("low/here.tif", "EPSG:32631", north_up(LEFT - 103, TOP + 97, 10.0), (130, 80))
    x, y = Transformer.from_crs("EPSG:32631", "EPSG:32632", always_xy=True).transform(LEFT + 1000, TOP)
    there = ("low/there.tif", "EPSG:32632", north_up(x - 150, y + 150, 10.0), (140, 140))
    return {"high": archive(high, 2), "low": archive([here, there], 10, "2020-01-08")}


@pytest.fixture
def dataset(indexes):
    return ArchiveDataset(indexes, SENSORS, join(indexes))


def pair_of(dataset, *rows):
    return dataset.pairs.rows.tolist().index(list(rows))


def error(sample, key):
    """Largest distance in metres between where pixels are and where they say they are."""
    transform = Affine(*sample[f"transform_{key}"][:6].tolist())
    values = sample[f"image_{key}"].double() * 6000 - torch.tensor([1000.0, 4000.0])[:, None, None]
    said = torch.tensor(ground_pixels(transform, values.shape[1:], "EPSG:32631")) / 10
    said -= torch.tensor([1000.0, 4000.0])[:, None, None]
    return (values - said)[:, sample[f"valid_{key}"][0]].abs().max()


def test_every_sensor_is_read_on_its_own_pixels(dataset):
    window = PairWindow(pair_of(dataset, 0, 0), LEFT + 101.3, TOP - 401.3, LEFT + 401.3, TOP - 101.3)
    sample = dataset[window]
    assert sample["image_high"].shape == (2, 150, 150)
    assert sample["image_low"].shape == (2, 30, 30)
    assert sample["image_low"].dtype == torch.float32
    assert sample["valid_low"].all()
    assert sample["valid_high"].all()
    high, low = (Affine(*sample[f"transform_{key}"][:6].tolist()) for key in ("high", "low"))
    # The coarse pixels begin at LEFT - 103, TOP + 97: the window moves there, the fine ones by 1 m at most.
    assert (low.c, low.f) == (LEFT + 97, TOP - 103)
    assert abs(high.c - low.c) <= 1
    assert abs(high.f - low.f) <= 1
    with rasterio.open(dataset.indexes["low"].path[0].as_py()) as file:
        part = file.read(window=((20, 50), (20, 50))).astype(np.float32)
    np.testing.assert_array_equal(sample["image_low"], part / np.float32(60_000))
    assert error(sample, "high") < 0.05
    assert error(sample, "low") < 0.05
    begin, end = (np.datetime64(day, "s").astype(float) for day in ("2020-01-01", "2020-01-08"))
    assert sample["bounds"].tolist() == [*window[1::2], 2, *window[2::2], 2, begin, end, 1]


def test_a_scene_of_another_zone_is_warped_to_its_place(dataset):
    window = PairWindow(pair_of(dataset, 1, 1), LEFT + 1100.5, TOP - 500.5, LEFT + 1400.5, TOP - 200.5)
    sample = dataset[window]
    assert sample["image_low"].shape == (2, 30, 30)
    assert sample["valid_low"].all()
    assert error(sample, "low") < 0.2  # a tenth of the finer sensor's pixel
    transform = sample["transform_high"]
    torch.testing.assert_close(sample["transform_low"][[2, 5]], transform[[2, 5]], rtol=0, atol=1e-6)


def test_windows_of_a_size_have_one_shape(dataset, indexes):
    rng = np.random.default_rng(0)
    shapes = set()
    for x, y in rng.uniform(0, 600, (40, 2)):
        for pair in range(len(dataset)):
            xmin, ymin, *_ = dataset.pairs.bounds[pair].tolist()
            sample = dataset[PairWindow(pair, xmin + x, ymin + y, xmin + x + 315, ymin + y + 315)]
            shapes.add((*sample["image_high"].shape, *sample["image_low"].shape))
    assert len(shapes) == 1


def test_pixels_of_another_size_are_warped(archive):
    high = archive(
        [(f"high/{i}.tif", "EPSG:32631", north_up(LEFT, TOP, 2.0), (500, 500)) for i in range(3)], 2
    )
    odd = archive([("odd.tif", "EPSG:32631", north_up(LEFT, TOP, 2.02), (450, 450))], 2)
    whole = {"low": high, "high": concatenate([high, odd], "both.parquet")}
    dataset = ArchiveDataset(whole, SENSORS, join(whole, finest="high", match="all"))
    window = PairWindow(pair_of(dataset, 0, 3), LEFT + 300, TOP - 600, LEFT + 600, TOP - 300)
    sample = dataset[window]
    assert sample["image_high"].shape == (2, 150, 150)
    assert sample["transform_high"][0] == 2
    assert error(sample, "high") < 0.1


def test_rotated_scenes_are_warped(archive, indexes):
    turned = Affine.translation(LEFT - 200, TOP + 100) @ Affine.rotation(-17) @ Affine.scale(10, -10)
    low = archive([("low/turned.tif", "EPSG:32631", turned, (160, 160))], 10)
    both = {"high": indexes["high"], "low": low}
    dataset = ArchiveDataset(both, SENSORS, join(both))
    window = PairWindow(0, LEFT + 300, TOP - 700, LEFT + 600, TOP - 400)
    sample = dataset[window]
    assert sample["valid_low"].any()
    assert error(sample, "low") < 0.2


def test_a_sensor_that_a_pair_lacks_is_valid_nowhere(indexes):
    some = indexes | {"low": indexes["low"].take([0])}
    dataset = ArchiveDataset(some, SENSORS, join(some, min_sensors=1))
    window = PairWindow(pair_of(dataset, 1, -1), LEFT + 1300, TOP - 600, LEFT + 1600, TOP - 300)
    sample = dataset[window]
    assert sample["image_low"].shape == (2, 30, 30)
    assert not sample["valid_low"].any()
    assert not sample["image_low"].any()
    assert sample["valid_high"].all()


def test_only_the_scenes_of_the_pair_are_read(dataset):
    window = PairWindow(pair_of(dataset, 0, 0), LEFT + 900, TOP - 600, LEFT + 1200, TOP - 300)
    sample = dataset[window]
    east = sample["transform_high"][2] + 2 * torch.arange(150) + 1
    assert sample["valid_high"][0].any(dim=0).tolist() == (east < LEFT + 1000).tolist()
    assert (sample["image_high"][:, ~sample["valid_high"][0]] == 0).all()


def test_raw_samples_keep_the_type_of_the_files(dataset):
    window = PairWindow(pair_of(dataset, 0, 0), LEFT + 100, TOP - 400, LEFT + 400, TOP - 100)
    image = dataset[window]
    dataset.raw = True
    raw = dataset[window]
    assert raw["raw_high"].dtype == torch.uint16
    assert "image_high" not in raw
    torch.testing.assert_close(raw["raw_high"].float() / 60_000, image["image_high"])


def test_unknown_dates_are_nan(indexes):
    unknown = np.full((2, 2), np.datetime64("NaT", "us"))
    indexes = {key: replace(index, time=unknown) for key, index in indexes.items()}
    dataset = ArchiveDataset(indexes, SENSORS, join(indexes))
    sample = dataset[PairWindow(0, LEFT, TOP - 300, LEFT + 300, TOP)]
    assert sample["bounds"][6:8].isnan().all()


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_read_what_one_process_reads(context, dataset):
    windows = [
        PairWindow(pair, *dataset.pairs.bounds[pair, :2], *(dataset.pairs.bounds[pair, :2] + 300))
        for pair in range(len(dataset))
    ]
    loader = DataLoader(
        dataset, sampler=windows, batch_size=1, num_workers=1, multiprocessing_context=context
    )
    for window, batch in zip(windows, loader, strict=True):
        for name, value in dataset[window].items():
            torch.testing.assert_close(batch[name][0], value, rtol=0, atol=0)


def test_a_pickled_dataset_still_reads_without_a_warp(dataset):
    window = PairWindow(pair_of(dataset, 0, 0), LEFT + 101, TOP - 401, LEFT + 401, TOP - 101)
    again = pickle.loads(pickle.dumps(dataset))
    assert again[window]["transform_low"][2] == LEFT + 97


def test_transforms_are_applied(indexes):
    dataset = ArchiveDataset(indexes, SENSORS, join(indexes), transforms=lambda sample: {"seen": len(sample)})
    assert dataset[PairWindow(0, LEFT, TOP - 300, LEFT + 300, TOP)] == {"seen": 7}


def test_plots_show_samples_and_batches(dataset):
    window = PairWindow(pair_of(dataset, 0, 0), LEFT + 100, TOP - 400, LEFT + 400, TOP - 100)
    raw = copy.copy(dataset)
    raw.raw = True
    for one in (dataset, raw):
        sample = one[window]
        figure = one.plot(sample, suptitle="a window")
        assert [axis.get_title() for axis in figure.axes] == ["high, 2 m", "low, 10 m"]
        batch = {name: torch.stack([value, value]) for name, value in sample.items()}
        assert len(one.plot(batch).axes) == 4


def test_ground_and_length(dataset):
    assert len(dataset) == len(dataset.ground()) == 3
    assert list(dataset.ground().columns) == ["km2", "days", "geometry"]


def test_keys_must_fit(indexes):
    pairs = join(indexes)
    with pytest.raises(ValueError, match="must have the same keys"):
        ArchiveDataset(indexes, {"high": SENSORS["high"]}, pairs)
    with pytest.raises(ValueError, match=r"more scenes of low than index\.parquet has"):
        ArchiveDataset(indexes | {"low": indexes["low"].take([0])}, SENSORS, pairs)
    renamed = {"high res": indexes["high"], "low": indexes["low"]}
    with pytest.raises(ValueError, match=r"\['high res'\] cannot be part"):
        ArchiveDataset(renamed, {"high res": SENSORS["high"], "low": SENSORS["low"]}, join(renamed))


def test_a_window_smaller_than_a_pixel_is_refused(dataset):
    with pytest.raises(ValueError, match="smaller than a pixel"):
        dataset[PairWindow(0, LEFT, TOP - 3, LEFT + 3, TOP)]


def test_footprints_without_a_grid_take_it_from_the_file(indexes):
    blind = replace(indexes["low"], shape=np.zeros((2, 2), dtype=np.int32), transform=np.full((2, 6), np.nan))
    some = {"high": indexes["high"], "low": blind}
    dataset = ArchiveDataset(some, SENSORS, join(some, finest="high"))
    window = PairWindow(pair_of(dataset, 0, 0), LEFT + 101.3, TOP - 401.3, LEFT + 401.3, TOP - 101.3)
    assert dataset[window]["transform_low"][[2, 5]].tolist() == [LEFT + 97, TOP - 103]
