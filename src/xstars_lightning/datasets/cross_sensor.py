"""Two or more sensors over the same ground, each at its own resolution."""

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from geopandas import GeoDataFrame
from matplotlib.figure import Figure
from pyproj import CRS
from shapely.geometry.base import BaseGeometry
from torchgeo.datasets.utils import GeoSlice

from xstars_lightning.datasets.base import ExactGeoDataset, Sample
from xstars_lightning.datasets.intersection import intersect, seen_by
from xstars_lightning.datasets.raster import NativeRasterDataset
from xstars_lightning.datasets.sensor_plots import plot_sensors

__all__ = ["CrossSensorDataset", "sensors_needed"]


class CrossSensorDataset(ExactGeoDataset):
    """Rasters of several sensors, joined by the ground that all or enough of them show.

    One window gives one sample with every sensor in it, each on its own pixel grid: unlike
    TorchGeo's ``IntersectionDataset`` it brings them to no common resolution, and leaves the
    datasets it is given as they are. The joint CRS is that of the finest sensor if it is in metres,
    else the UTM zone that fits. Acquisition times play no part in the join.

    Args:
        datasets: A dataset per sensor; the keys name the entries of samples.
        transforms: Called with each sample.
        min_sensors: Fewest sensors that must see a window; None: all. With 1, windows may show a
            single sensor, which serves self-distillation alone; with 2 or more, every window has a
            pair of sensors to align.
        raw: Whether samples hold ``raw_<key>`` instead of ``image_<key>``: values in the files' own
            types, to be scaled where they are used, which moves a quarter to half of the bytes.

    Raises:
        ValueError: If fewer than two sensors are given, a key is no identifier, ``min_sensors`` is
            not in 1 to the number of sensors, or no place is covered by that many.
    """

    def __init__(
        self,
        datasets: Mapping[str, NativeRasterDataset],
        transforms: Callable[[Sample], Sample] | None = None,
        min_sensors: int | None = None,
        raw: bool = False,
    ) -> None:
        _check_keys(list(datasets))
        self.min_sensors = sensors_needed(min_sensors, datasets)
        crs = _joint_crs(datasets)
        self.datasets = {key: dataset.to_crs(crs) for key, dataset in datasets.items()}
        self.transforms = transforms
        self.raw = raw
        self.paths = [path for dataset in datasets.values() for path in dataset.files]
        indexes = {key: dataset.index for key, dataset in self.datasets.items()}
        everyone = self.min_sensors == len(indexes)
        self.index = intersect(indexes) if everyone else seen_by(self.min_sensors, indexes)
        self._res = min(dataset.res for dataset in self.datasets.values())

    @property
    def files(self) -> list[str]:
        """Paths of the files of all sensors."""
        return [path for dataset in self.datasets.values() for path in dataset.files]

    @cached_property
    def area(self) -> BaseGeometry:
        """Ground on which ``min_sensors`` sensors or more have valid pixels, in the joint CRS.

        Not the same ones everywhere: one window may lie partly on the ground of one pair of sensors
        and partly on that of another.
        """
        return shapely.union_all(self.index.geometry.to_numpy())

    def ground(self) -> GeoDataFrame:
        """Pieces of ``area`` in EPSG:4326, with their ``km2``, and ``days`` NaN: dates play no part."""
        pieces = gpd.GeoSeries(shapely.get_parts(self.area), crs=self.crs)
        facts = {"km2": pieces.area / 1e6, "days": np.nan}
        return gpd.GeoDataFrame(facts, geometry=pieces).to_crs("EPSG:4326")

    @property
    def snap(self) -> tuple[float, float, float, float]:
        """Pixel grid on which windows should start: that of the coarsest sensor.

        Returns:
            Step in x and y, origin in x and y, in the joint CRS. Sensors whose pixels lie askew in
            that CRS are warped onto the window anyway, and do not count while another one does.
        """
        sensors = list(self.datasets.values())
        upright = [dataset for dataset in sensors if dataset.grid_origin is not None]
        coarsest = max(upright or sensors, key=lambda dataset: dataset.res)
        return (*coarsest.res, *(coarsest.grid_origin or (0.0, 0.0)))

    def __getitem__(self, index: GeoSlice) -> Sample:
        """Read a window from every sensor that has a file there.

        Args:
            index: ``[xmin:xmax, ymin:ymax]`` in the joint CRS; a time slice is ignored.

        Returns:
            For each sensor ``s``: ``image_s`` (C, H, W) float32, or ``raw_s`` in the files' type,
            ``valid_s`` (1, H, W) bool and ``transform_s`` (9,) float64, as
            :meth:`NativeRasterDataset.read` returns them; and
            ``bounds`` (9,) float64 of the window. Of a sensor without a file there, the shapes are
            the same, and no pixel is valid.

        Raises:
            IndexError: If fewer than ``min_sensors`` sensors have a file at the window.
        """
        place = x, y, _ = self._disambiguate_slice(index)
        window = (slice(x.start, x.stop), slice(y.start, y.stop))
        absent = self._absent(window)
        names = ("raw" if self.raw else "image", "valid", "transform")
        sample = {"bounds": self._place_to_tensor(place)}
        for key, dataset in self.datasets.items():
            part = (dataset.empty if key in absent else dataset.read)(window, self.raw)
            sample |= {f"{name}_{key}": part[name] for name in names}
        return self.transforms(sample) if self.transforms is not None else sample

    def _absent(self, window: tuple[slice, slice]) -> list[str]:
        """Sensors that a window may do without, because they have no file there."""
        if self.min_sensors == len(self.datasets):
            return []
        absent = [key for key, dataset in self.datasets.items() if not dataset.touches(window)]
        if len(self.datasets) - len(absent) < self.min_sensors:
            x, y = window
            raise IndexError(
                f"{', '.join(absent)} have no file at x {x.start:g} to {x.stop:g}, y {y.start:g} to "
                f"{y.stop:g}, but {self.min_sensors} of the sensors {', '.join(self.datasets)} must "
                "(min_sensors). Take windows from `area`."
            )
        return absent

    def plot(self, sample: Sample, **kwargs: Any) -> Figure:
        """Show the sensors of a sample beside each other.

        Args:
            sample: A sample, or a batch of which every window becomes a row.
            **kwargs: ``suptitle``, the figure's title.
        """
        sensors = {key: dataset.sensor for key, dataset in self.datasets.items()}
        resolutions = {key: dataset.resolution for key, dataset in self.datasets.items()}
        return plot_sensors(sample, sensors, resolutions, **kwargs)


def sensors_needed(min_sensors: int | None, keys: Collection[str]) -> int:
    """Fewest sensors that must see a window.

    Args:
        min_sensors: As asked for; None: all.
        keys: The sensors.

    Raises:
        ValueError: If it is not in 1 to the number of sensors.
    """
    if min_sensors is None:
        return len(keys)
    if not 1 <= min_sensors <= len(keys):
        raise ValueError(
            f"min_sensors must lie in 1 to {len(keys)}, the number of sensors ({', '.join(keys)}), got "
            f"{min_sensors}. Leave it out (null) to ask for all of them."
        )
    return min_sensors


def _check_keys(keys: list[str]) -> None:
    if len(keys) < 2:
        raise ValueError(f"CrossSensorDataset joins two or more sensors, got {keys or 'none'}.")
    if wrong := [key for key in keys if not key.isidentifier()]:
        raise ValueError(
            f"Sensor keys {wrong} cannot be part of tensor names (`image_<key>`): "
            "use letters, digits and underscores, no digit first."
        )


def _joint_crs(datasets: Mapping[str, NativeRasterDataset]) -> CRS:
    finest = min(datasets.values(), key=lambda dataset: dataset.resolution)
    unit = finest.crs.axis_info[0].unit_name if finest.crs.axis_info else ""
    if finest.crs.is_projected and unit in ("metre", "meter"):
        return finest.crs
    return finest.index.geometry.estimate_utm_crs()
