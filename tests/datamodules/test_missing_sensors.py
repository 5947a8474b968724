"""Batches of windows that not every sensor sees."""

import warnings

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser

from xstars_lightning.datamodules import CrossSensorDataModule
from xstars_lightning.datamodules.preflight import inspect_windows
from xstars_lightning.sensors import Sensor

SENSOR = Sensor("noise", ("red", "green", "blue"), 10, (0, 255), (0.5,) * 3, (0.3,) * 3)
KEYS = ("high", "low", "third")


def write_third(write_raster, side):
    """Twenty metre pixels at the north-eastern corner of the others."""
    pixels = np.random.default_rng(1).integers(1, 255, (3, 150, side), dtype=np.uint8)
    write_raster("third/a.tif", pixels, (603_000 - 20 * side, 5_000_000), res=20.0)


def module(folder, **changes):
    paths = {key: str(folder / key) for key in KEYS}
    defaults = {"window": 240, "batch_size": 8, "windows_per_epoch": 32, "min_sensors": 2}
    return CrossSensorDataModule(paths, dict.fromkeys(KEYS, SENSOR), **(defaults | changes))


def shown(batches):
    """For each window, which sensors have any valid pixel (N, 3)."""
    shares = [[batch[f"valid_{key}"].flatten(1).any(dim=1) for key in KEYS] for batch in batches]
    return torch.cat([torch.stack(sensors, dim=1) for sensors in shares])


def test_training_and_validation_windows_may_miss_a_sensor(two_sensors, write_raster):
    write_third(write_raster, side=75)
    dm = module(two_sensors, val_fraction=0.4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dm.setup("fit")
        batch = next(iter(dm.train_dataloader()))
        assert len(dm.plot(batch).axes) == 12
    assert batch["image_third"].shape == (8, 3, 12, 12)
    for loader in (dm.train_dataloader(), dm.val_dataloader()):
        seen = shown(loader)
        assert seen[:, :2].all()
        assert 0 < seen[:, 2].sum() < len(seen)


def test_by_default_every_window_has_every_sensor(two_sensors, write_raster):
    write_third(write_raster, side=75)
    dm = module(two_sensors, min_sensors=None)
    dm.setup("fit")
    assert shown(dm.train_dataloader()).all()
    assert dm.dataset.area.bounds[0] == 601_500


def test_a_sensor_that_the_first_windows_miss_warns(two_sensors, write_raster):
    write_third(write_raster, side=3)
    with pytest.warns(UserWarning, match="Sensor 'third': none of the first 16 training windows") as caught:
        module(two_sensors).setup("fit")
    assert len(caught) == 1


def test_only_windows_that_show_a_sensor_count_in_its_statistics():
    generator = torch.Generator().manual_seed(0)
    there = {"image_a": torch.rand(3, 16, 16, generator=generator), "valid_a": torch.ones(1, 16, 16).bool()}
    absent = {"image_a": torch.zeros(3, 16, 16), "valid_a": torch.zeros(1, 16, 16).bool()}
    assert inspect_windows([there, *[absent] * 9], {"a": SENSOR}, everyone=False) == []
    assert inspect_windows([there, *[absent] * 9], {"a": SENSOR}, everyone=True) == []
    (message,) = inspect_windows([absent] * 9, {"a": SENSOR}, everyone=False)
    assert message.startswith("Sensor 'a': none of the first 9 training windows")
    with pytest.raises(ValueError, match="Sensor 'a': no valid pixel in any window"):
        inspect_windows([absent] * 9, {"a": SENSOR}, everyone=True)


@pytest.mark.parametrize("wrong", [0, 4])
def test_a_wrong_number_is_refused_before_files_are_read(wrong, tmp_path):
    with pytest.raises(ValueError, match=r"min_sensors must lie in 1 to 3"):
        module(tmp_path / "nothing", min_sensors=wrong)


def test_command_line(tmp_path):
    parser = ArgumentParser()
    parser.add_class_arguments(CrossSensorDataModule, "data")
    sensors = ["--data.sensors={a: spot_rgb, b: landsat_rgb}", "--data.paths={a: x, b: y}"]
    for given, expected in (("1", 1), ("null", 2)):
        dm = parser.instantiate_classes(parser.parse_args([*sensors, f"--data.min_sensors={given}"])).data
        assert dm.min_sensors == expected
