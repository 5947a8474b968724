import logging
import warnings

import geopandas as gpd
import numpy as np
import pytest
import shapely
import torch
import yaml
from jsonargparse import ArgumentParser

from xstars_lightning.datamodules import CrossSensorDataModule
from xstars_lightning.sensors import Sensor

SENSOR = Sensor("noise", ("red", "green", "blue"), 10, (0, 255), (0.5,) * 3, (0.3,) * 3)
SENSORS = {"high": SENSOR, "low": SENSOR}


def module(folder, **changes):
    paths = {key: str(folder / key) for key in ("high", "low")}
    defaults = {"paths": paths, "sensors": SENSORS, "window": 235, "batch_size": 8, "windows_per_epoch": 32}
    return CrossSensorDataModule(**(defaults | changes))


def covered(sampler):
    return shapely.union_all([shapely.box(x.start, y.start, x.stop, y.stop) for x, y in sampler])


def test_notebook(two_sensors, caplog):
    dm = module(two_sensors)
    with caplog.at_level(logging.INFO), warnings.catch_warnings():
        warnings.simplefilter("error")
        dm.setup("fit")
        batch = next(iter(dm.train_dataloader()))
    assert "Windows of 235 m become 240 m" in caplog.text
    assert batch["image_high"].shape == (8, 3, 60, 60)
    assert batch["valid_low"].shape == (8, 1, 24, 24)
    assert len(dm.plot(batch).axes) == 8
    assert len(dm.plot({key: value[0] for key, value in batch.items()}).axes) == 2
    assert dm.sensors["high"] is SENSOR


def test_batches_are_scaled_once_and_not_standardised(two_sensors):
    dm = module(two_sensors)
    batch = {"raw_high": torch.full((1, 3, 4, 4), 51, dtype=torch.uint8)}
    batch["valid_high"] = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    scaled = dm.on_after_batch_transfer(batch, 0)
    assert scaled["image_high"].unique().tolist() == pytest.approx([0.2])
    assert dm.on_after_batch_transfer(scaled, 0)["image_high"] is scaled["image_high"]


def test_training_and_validation_share_no_ground(two_sensors):
    dm = module(two_sensors)
    dm.setup("fit")
    train, val = covered(dm.train_sampler.since(0)), covered(dm.val_sampler)
    assert train.distance(val) >= 20
    windows = sum(len(batch["bounds"]) for batch in dm.val_dataloader())
    assert windows == len(dm.val_sampler)


def test_no_validation(two_sensors):
    dm = module(two_sensors, val_fraction=0)
    dm.setup("fit")
    assert dm.val_dataloader() == []


@pytest.mark.parametrize("kind", ["vector", "raster"])
def test_validation_area_from_a_file(kind, two_sensors, write_raster):
    held_out = shapely.box(602_000, 4_997_000, 603_000, 4_998_500)
    if kind == "vector":
        path = two_sensors / "area.gpkg"
        gpd.GeoSeries([held_out], crs="EPSG:32631").to_crs("EPSG:4326").to_file(path)
    else:
        path = write_raster("area.tif", np.ones((1, 150, 100), np.uint8), (602_000, 4_998_500))
    dm = module(two_sensors, val_area=str(path), windows_per_epoch=500)
    dm.setup("fit")
    assert held_out.buffer(0.01).covers(covered(dm.val_sampler))
    assert covered(dm.train_sampler.since(0)).distance(held_out) > 19


def test_bad_validation_area(two_sensors):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        module(two_sensors, val_area="nowhere.gpkg").setup("fit")
    (two_sensors / "text.txt").write_text("no area")
    with pytest.raises(ValueError, match="neither a raster nor a vector"):
        module(two_sensors, val_area=str(two_sensors / "text.txt")).setup("fit")


def test_keys_and_names_that_do_not_fit(two_sensors):
    with pytest.raises(
        ValueError, match=r"'hihg' stands in `paths` but not in `sensors`.*Did you mean 'high'"
    ):
        module(two_sensors, paths={"hihg": "a", "high": "a", "low": "b"})
    with pytest.raises(ValueError, match=r"Unknown sensor 'sentinel2_rbg'. Did you mean 'sentinel2_rgb'"):
        module(two_sensors, sensors={"high": "sentinel2_rbg", "low": SENSOR})


def test_no_room_and_no_batch(two_sensors):
    with pytest.raises(ValueError, match=r"No window of 9000 x 9000.*3000 x 3000"):
        module(two_sensors, window=9000, val_fraction=0).setup("fit")
    with pytest.raises(ValueError, match=r"windows_per_epoch 4 .*batch_size 8"):
        module(two_sensors, windows_per_epoch=4).setup("fit")
    with pytest.raises(RuntimeError, match="setup"):
        module(two_sensors).train_dataloader()


def test_values_outside_the_range_warn_once_per_sensor(two_sensors):
    narrow = Sensor("narrow", SENSOR.bands, 10, (0, 200), (0.6,) * 3, (0.35,) * 3)
    with pytest.warns(
        UserWarning, match=r"Sensor 'low': 2\d\.\d\d% .*\(0, 200\).*1 to 254.*value_range"
    ) as caught:
        module(two_sensors, sensors={"high": SENSOR, "low": narrow}).setup("fit")
    assert len(caught) == 1


def test_statistics_far_off_warn_with_yaml_to_paste(two_sensors):
    wrong = Sensor("wrong", SENSOR.bands, 10, (0, 255), (0.01,) * 3, (0.02,) * 3)
    with pytest.warns(UserWarning, match="far from the declared statistics") as caught:
        module(two_sensors, sensors={"high": SENSOR, "low": wrong}).setup("fit")
    pasted = yaml.safe_load(str(caught[0].message).split("\n", 1)[1])
    assert pasted["mean"] == pytest.approx([0.5] * 3, abs=0.02)
    assert pasted["std"] == pytest.approx([0.287] * 3, abs=0.02)


def test_nan_stops_before_training(two_sensors, write_raster):
    pixels = np.full((3, 320, 320), 100, dtype=np.float32)
    pixels[:, 100:200, 100:200] = np.nan
    write_raster("low/a.tif", pixels, (599_900, 5_000_100))
    with pytest.raises(ValueError, match=r"a\.tif: \d+ of 576 pixels .*NaN"):
        module(two_sensors, windows_per_epoch=64).setup("fit")


def test_command_line(two_sensors):
    parser = ArgumentParser()
    parser.add_class_arguments(CrossSensorDataModule, "data")
    own = (
        "{name: own, bands: [red, green, blue], resolution: 10, value_range: [0, 255], mean: [0.5, 0.5, 0.5],"
    )
    own += " std: [0.3, 0.3, 0.3], nodata: .nan}"
    arguments = ["--data.window=240", f"--data.sensors={{high: spot_rgb, low: {own}}}"]
    arguments += [f"--data.paths.{key}={two_sensors / key}" for key in ("high", "low")]
    dm = parser.instantiate_classes(parser.parse_args(arguments)).data
    assert dm.sensors["high"].name == "spot_rgb"
    assert dm.sensors["low"].bands == SENSOR.bands
    dm.setup("validate")


@pytest.mark.filterwarnings("ignore:Sensor")
def test_real_imagery(real_data):
    root = f"{real_data}/cross_sensor"
    paths = {
        "aerial": f"{root}/hires",
        "sentinel2": [f"{root}/lowres/sentinel2*"],
        "landsat": f"{root}/lowres/landsat8*",
    }
    sensors = {"aerial": "aerial_rgb", "sentinel2": "sentinel2_rgb", "landsat": "landsat_rgb"}
    dm = CrossSensorDataModule(paths, sensors, batch_size=16)
    dm.setup("fit")
    assert dm.window == 660
    assert len(dm.val_sampler) > 10
    batch = next(iter(dm.train_dataloader()))
    assert [batch[f"image_{key}"].shape[-1] for key in sensors] == [132, 66, 22]
    for key in sensors:
        assert batch[f"valid_{key}"].float().mean() > 0.95


def test_classes_of_a_map_are_drawn_equally_often(two_sensors, write_raster):
    classes = np.ones((1, 300, 300), dtype=np.uint8)
    classes[:, :, 240:] = 2  # a fifth of the ground
    path = write_raster("classes.tif", classes, (600_000, 5_000_000), res=10.0)
    dm = module(two_sensors, strata=str(path), val_fraction=0.0, windows_per_epoch=2000)
    dm.setup("fit")
    right = [(x.start + x.stop) / 2 > 602_400 for x, _ in dm.train_sampler]
    assert np.mean(right) == pytest.approx(0.5, abs=0.05)


def test_windows_never_touch_avoided_ground(two_sensors, tmp_path):
    avoided = shapely.box(601_400, 4_998_400, 601_600, 4_998_600)
    gpd.GeoSeries([avoided], crs="EPSG:32631").to_file(tmp_path / "test_set.gpkg")
    for options, touches in (({}, True), ({"avoid": str(tmp_path / "test_set.gpkg")}, False)):
        dm = module(two_sensors, windows_per_epoch=500, **options)
        dm.setup("fit")
        windows = [shapely.box(x.start, y.start, x.stop, y.stop) for x, y in dm.train_sampler]
        assert any(window.intersects(avoided) for window in windows) is touches
