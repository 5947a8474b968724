"""The ground that the study trains and tests on, with the same names of sensors everywhere."""

import warnings
from dataclasses import replace
from pathlib import Path

from fidelity.budget import Budget
from xstars_lightning.datamodules import CrossSensorDataModule, SimulatedDataModule
from xstars_lightning.datamodules.preflight import measure
from xstars_lightning.sensors import Sensor, get_sensor

__all__ = ["GROUNDS", "open_ground"]

#: Name of the ground -> what its sensors are.
GROUNDS: dict[str, dict[str, str]] = {
    "simulated": {"fine": "spot_rgb", "sentinel2": "sentinel2_rgb", "landsat": "landsat_rgb"},
    "real": {"fine": "aerial_rgb", "sentinel2": "sentinel2_rgb", "landsat": "landsat_rgb"},
}
_REAL = {
    "fine": "hires/ngi_rgb_byte_*.tif",
    "sentinel2": "lowres/sentinel2_b432_byte.tif",
    "landsat": "lowres/landsat8_b432_byte.tif",
}
_HELD_OUT = "hires/ngi_rgb_byte_4.tif"
_MEASURED = 64  # windows from which statistics are taken


def open_ground(name: str, imagery: Path | None, budget: Budget) -> CrossSensorDataModule:
    """A datamodule that is set up, with the statistics of its training windows.

    Args:
        name: A key of ``GROUNDS``.
        imagery: Folder of the real imagery.
        budget: Windows per step and steps; one epoch is a run.
    """
    sensors = {key: get_sensor(value) for key, value in GROUNDS[name].items()}
    datamodule = _datamodule(name, sensors, imagery, budget)
    datamodule.prepare_data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the catalogue's statistics, which are replaced just below
        datamodule.setup("fit")
    assert datamodule.train_sampler is not None
    windows = zip(range(_MEASURED), datamodule.train_sampler.since(0), strict=False)
    samples = [datamodule.train_dataset[window] for _, window in windows]
    for key, sensor in sensors.items():
        found = measure(samples, key)
        # Pixels are read as before; only the encoders use the statistics.
        datamodule.sensors[key] = replace(
            sensor, mean=tuple(found.mean.tolist()), std=tuple(found.std.tolist())
        )
    return datamodule


def _datamodule(
    name: str, sensors: dict[str, Sensor], imagery: Path | None, budget: Budget
) -> CrossSensorDataModule:
    size = {"batch_size": budget.batch, "windows_per_epoch": budget.batch * budget.steps}
    if name == "simulated":
        return SimulatedDataModule(sensors=dict(sensors), **size)
    if imagery is None:
        raise ValueError("The real ground needs the folder of the imagery; set XSTARS_DATA.")
    folder = imagery / "cross_sensor"
    paths = {key: str(folder / path) for key, path in _REAL.items()}
    return CrossSensorDataModule(paths, dict(sensors), val_area=str(folder / _HELD_OUT), **size)
