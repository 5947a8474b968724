"""The ground that the study trains and tests on, with the same names of sensors everywhere."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from fidelity.budget import Budget
from xstars_lightning.datamodules import CrossSensorDataModule, SimulatedDataModule
from xstars_lightning.datamodules.preflight import measure
from xstars_lightning.sensors import Sensor

__all__ = ["GROUNDS", "Ground", "open_ground"]

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


@dataclass(frozen=True)
class Ground:
    """Windows, and the sensors with the statistics of the training ones.

    Args:
        data: A datamodule that is set up.
        sensors: What encoders are given.
    """

    data: CrossSensorDataModule
    sensors: dict[str, Sensor]


def open_ground(name: str, imagery: Path | None, budget: Budget) -> Ground:
    """Open one of ``GROUNDS``.

    Args:
        name: A key of ``GROUNDS``.
        imagery: Folder of the real imagery.
        budget: Windows per step and steps; one epoch is a run.
    """
    data = _datamodule(name, imagery, budget)
    data.prepare_data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the catalogue's statistics, which are replaced just below
        data.setup("fit")
    assert data.train_sampler is not None
    windows = zip(range(_MEASURED), data.train_sampler.since(0), strict=False)
    samples = [data.train_dataset[window] for _, window in windows]
    sensors = {}
    for key, sensor in data.sensors.items():
        found = measure(samples, key)
        sensors[key] = replace(sensor, mean=tuple(found.mean.tolist()), std=tuple(found.std.tolist()))
    return Ground(data, sensors)


def _datamodule(name: str, imagery: Path | None, budget: Budget) -> CrossSensorDataModule:
    sensors: dict[str, Sensor | str] = dict(GROUNDS[name])
    size = {"batch_size": budget.batch, "windows_per_epoch": budget.batch * budget.steps}
    if name == "simulated":
        return SimulatedDataModule(sensors=sensors, **size)
    if imagery is None:
        raise ValueError("The real ground needs the folder of the imagery; set XSTARS_DATA.")
    folder = imagery / "cross_sensor"
    paths: dict[str, str | list[str]] = {key: str(folder / path) for key, path in _REAL.items()}
    return CrossSensorDataModule(paths, sensors, val_area=str(folder / _HELD_OUT), **size)
