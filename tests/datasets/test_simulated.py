"""Simulated scenes on disk: grids, co-registration, statistics, labels, the cache."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy.ndimage import gaussian_filter

from xstars_lightning.datasets import simulated
from xstars_lightning.datasets.simulated import LAND_COVER, scenes_path, write_scenes
from xstars_lightning.datasets.simulation.materials import COLORMAP, LandCover
from xstars_lightning.datasets.simulation.radiometry import nodata_of, pixel_type
from xstars_lightning.sensors import CATALOGUE, Sensor, get_sensor

SENSORS = {key: get_sensor(f"{key}_rgb") for key in ("spot", "sentinel2", "landsat")}
SMALL = {"scenes": 2, "extent": 960.0}
TINY = {"scenes": 1, "extent": 240.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"), SENSORS, **SMALL)


def read(folder: Path, key: str, scene: int = 0) -> np.ndarray:
    with rasterio.open(folder / key / f"scene_{scene:02d}.tif") as file:
        return file.read()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.tif"))}


@pytest.mark.parametrize(("key", "resolution"), [("spot", 1.5), ("sentinel2", 10), ("landsat", 30)])
def test_grids_cover_the_same_ground(folder, key, resolution):
    with (
        rasterio.open(folder / key / "scene_01.tif") as file,
        rasterio.open(folder / "spot/scene_01.tif") as spot,
    ):
        assert file.shape == (960 / resolution, 960 / resolution)
        assert file.res == (resolution, resolution)
        assert file.bounds == spot.bounds
        assert file.bounds.left % 30 == file.bounds.top % 30 == 0
        assert file.crs.is_projected
        assert (file.dtypes, file.nodata) == (("uint8",) * 3, 0)
        assert file.descriptions == ("red", "green", "blue")
        assert file.profile["compress"] == "deflate"


def test_scenes_lie_apart(folder):
    bounds = []
    for scene in range(2):
        with rasterio.open(folder / f"spot/scene_{scene:02d}.tif") as file:
            bounds.append(file.bounds)
    assert bounds[1].left >= bounds[0].right + 960


def test_labels_carry_colours_and_names(folder):
    with rasterio.open(folder / LAND_COVER / "scene_00.tif") as file:
        assert file.shape == (640, 640)
        assert file.tags(1)["class_1"] == "water"
        assert file.colormap(1)[LandCover.WOODS][:3] == COLORMAP[LandCover.WOODS]
        assert LandCover.UNLABELLED not in file.read(1)


def test_statistics_are_the_declared_ones(folder):
    for key, sensor in SENSORS.items():
        values = np.concatenate([read(folder, key, scene).reshape(3, -1) for scene in range(2)], axis=1) / 255
        assert values.min() > 0
        np.testing.assert_array_less(np.abs(values.mean(axis=1) - sensor.mean), 0.1 * np.array(sensor.std))
        np.testing.assert_array_less(np.abs(values.std(axis=1) / sensor.std - 1), 0.15)
        clipped = (values <= 1 / 255) | (values == 1)
        assert clipped.mean() < 0.02


def structure(image: np.ndarray) -> np.ndarray:
    """Edges: the same wherever colours are not."""
    image = image.astype(float).mean(axis=0)
    edges = np.hypot(*np.gradient(gaussian_filter(image, 0.7)))
    return np.log1p(edges - edges.min())


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a[4:-4, 4:-4].ravel(), b[4:-4, 4:-4].ravel())[0, 1])


def test_sensors_see_the_same_ground_in_place(folder):
    spot = read(folder, "spot").reshape(3, 32, 20, 32, 20).mean(axis=(2, 4))
    sentinel2 = read(folder, "sentinel2").reshape(3, 32, 3, 32, 3).mean(axis=(2, 4))
    a, b = structure(spot), structure(sentinel2)
    here = correlation(a, b)
    moved = [correlation(a, np.roll(b, shift, axis=(0, 1))) for shift in ((2, 0), (-2, 0), (0, 2), (0, -2))]
    assert here > 0.35
    assert here > max(moved) + 0.1


def test_sensors_differ_in_more_than_gain_and_offset(folder):
    for scene in range(2):
        spot = read(folder, "spot", scene).reshape(3, 32, 20, 32, 20).mean(axis=(2, 4))
        landsat = read(folder, "landsat", scene)
        assert 0.1 < np.corrcoef(spot[1].ravel(), landsat[1].ravel())[0, 1] < 0.95


def test_same_parameters_same_pixels(tmp_path):
    first, second = (write_scenes(tmp_path / name, SENSORS, **TINY) for name in "ab")
    assert files(first) == files(second)
    assert first.name == second.name


def test_complete_set_is_reused(tmp_path, monkeypatch):
    folder = write_scenes(tmp_path, SENSORS, **TINY)
    monkeypatch.setattr(simulated, "_write", lambda *_: pytest.fail("written again"))
    assert write_scenes(tmp_path, SENSORS, **TINY) == folder == scenes_path(tmp_path, SENSORS, **TINY)


def test_damaged_set_is_written_again(tmp_path):
    folder = write_scenes(tmp_path, SENSORS, **TINY)
    before = files(folder)
    (folder / "spot/scene_00.tif").unlink()
    assert files(write_scenes(tmp_path, SENSORS, **TINY)) == before


def test_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulated, "write_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path, SENSORS, **TINY)
    assert not os.listdir(tmp_path)


def test_slower_of_two_writers_keeps_the_set_of_the_faster(tmp_path, monkeypatch):
    write, inner = simulated._write, []

    def overtaken(recipe, draft):
        write(recipe, draft)
        if not inner:
            inner.append(True)
            inner.append(write_scenes(tmp_path, SENSORS, **TINY))

    monkeypatch.setattr(simulated, "_write", overtaken)
    assert write_scenes(tmp_path, SENSORS, **TINY) == inner[1]
    assert os.listdir(tmp_path) == [inner[1].name]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"scenes": 3}, {"extent": 270.0}, {"sensors": {"a": SENSORS["spot"]}}]
)
def test_folder_depends_on_every_parameter(change):
    parameters = {"sensors": SENSORS, **TINY}
    assert scenes_path("x", **parameters) != scenes_path("x", **{**parameters, **change})


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_sensor_of_the_catalogue_can_be_simulated(tmp_path, name):
    sensor = CATALOGUE[name]
    folder = write_scenes(
        tmp_path, {"it": sensor}, scenes=1, extent=480.0 if sensor.resolution >= 10 else 240.0
    )
    pixels = read(folder, "it")
    low, high = sensor.value_range
    scaled = (pixels.reshape(len(sensor.bands), -1) - low) / (high - low)
    assert pixels.dtype == pixel_type(sensor)
    assert not (pixels == nodata_of(sensor)).any()
    assert scaled.min() >= 0
    np.testing.assert_array_less(np.abs(scaled.mean(axis=1) - sensor.mean), 0.15 * np.array(sensor.std))
    np.testing.assert_array_less(np.abs(scaled.std(axis=1) / sensor.std - 1), 0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"extent": 1000.0}, "multiple of 30"),
        ({"scenes": 0}, "scenes"),
        ({"sensors": {}}, "No sensors"),
        ({"sensors": {"land_cover": SENSORS["spot"]}}, "labels"),
        ({"sensors": {"x": Sensor("x", ("hh",), 10, (0, 255), (0.2,), (0.1,), ("hh",) * 3)}}, "wavelength"),
        ({"sensors": {"x": Sensor("x", ("red",), 10, (0, 1), (0.2,), (0.1,), ("red",) * 3)}}, "value range"),
    ],
)
def test_impossible_parameters_are_named(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_scenes(tmp_path, **{"sensors": SENSORS, **TINY, **arguments})
    assert not os.listdir(tmp_path)
