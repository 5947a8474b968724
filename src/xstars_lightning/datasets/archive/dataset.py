"""Windows of pairs of scenes, each sensor on its own pixels."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from geopandas import GeoDataFrame
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import Dataset

from xstars_lightning.datasets.archive.footprints import Footprints
from xstars_lightning.datasets.archive.pair_grids import lay_grids
from xstars_lightning.datasets.archive.pairs import Pairs, PairWindow
from xstars_lightning.datasets.archive.window_crs import pixel_sizes
from xstars_lightning.datasets.base import Sample
from xstars_lightning.datasets.grid import Grid
from xstars_lightning.datasets.mosaic import mosaic, scaled
from xstars_lightning.datasets.raster_file import RasterFile
from xstars_lightning.datasets.sensor_plots import plot_sensors
from xstars_lightning.sensors import Sensor

__all__ = ["ArchiveDataset"]

EPOCH, SECOND = np.datetime64(0, "us"), np.timedelta64(1, "s")


class ArchiveDataset(Dataset[Sample]):
    """Reads windows of pairs: from the scenes of the pair alone, without a mosaic.

    A window is moved by at most half a pixel onto those of the pair's coarsest scene that lies upright in
    the CRS of the pair, and each sensor onto its own pixels from there: nothing is resampled but scenes in
    another CRS, rotated ones, and those whose pixels differ in size from most of their sensor's (bilinear,
    once). Windows of a size thus have one shape per sensor, wherever they lie.

    Args:
        indexes: The index of each sensor that was joined.
        sensors: Sensor by the same keys. Resolutions are nominal: the index's own count.
        pairs: As :func:`join` made them of the indexes.
        transforms: Called with each sample.
        raw: Whether samples hold ``raw_<key>`` instead of ``image_<key>``: values in the files' own
            types, to be scaled where they are used, which moves a quarter to half of the bytes.

    Raises:
        ValueError: If indexes, sensors and pairs do not have the same keys, a key is no identifier, or the
            pairs are of other indexes.
    """

    def __init__(
        self,
        indexes: Mapping[str, Footprints],
        sensors: Mapping[str, Sensor],
        pairs: Pairs,
        transforms: Callable[[Sample], Sample] | None = None,
        raw: bool = False,
    ) -> None:
        _check(indexes, sensors, pairs)
        self.indexes, self.sensors, self.pairs = dict(indexes), dict(sensors), pairs
        self.transforms, self.raw = transforms, raw
        self.resolutions = {key: _resolution(index, sensors[key]) for key, index in indexes.items()}
        numbers = {crs.to_wkt(): number for number, crs in enumerate(pairs.crs)}
        # Readers compare CRSs by identity; those of the pairs stand for equal ones of the indexes.
        self._same = {key: [numbers.get(crs.to_wkt()) for crs in index.crs] for key, index in indexes.items()}

    def __len__(self) -> int:
        """Number of pairs; any number of windows lies in each."""
        return len(self.pairs)

    def __getitem__(self, window: PairWindow) -> Sample:
        """Read a window.

        Args:
            window: Of a pair, in the pair's CRS.

        Returns:
            For each sensor ``s``: ``image_s`` (C, H, W) float32, scaled so that the sensor's value range
            becomes [0, 1], not clipped, 0 where invalid, or ``raw_s`` in the files' type; ``valid_s``
            (1, H, W) bool, all False where the pair has no scene of it; and ``transform_s`` (9,)
            float64. ``bounds`` (9,) float64: begin, end and step in x, y and time, as asked for; NaN for
            times that are unknown.

        Raises:
            OSError: If a file has vanished or a block cannot be read.
            ValueError: If a file has changed since it was indexed, or a valid pixel is NaN.
        """
        crs = self.pairs.crs[self.pairs.crs_of[window.pair]]
        files = {key: self._file(key, window.pair) for key in self.pairs.sensors}
        sample = {"bounds": self._bounds(window)}
        for key, grid in lay_grids(window, crs, files, self.resolutions).items():
            sample |= self._read(key, grid, files[key])
        return self.transforms(sample) if self.transforms is not None else sample

    def _row(self, key: str, pair: int) -> int:
        return int(self.pairs.rows[pair, self.pairs.sensors.index(key)])

    def _file(self, key: str, pair: int) -> RasterFile | None:
        """The scene of a sensor; None where the pair has none."""
        index, row = self.indexes[key], self._row(key, pair)
        if row < 0:
            return None
        file, number = index.file(row, self.sensors[key]), index.crs_of[row]
        shared = self._same[key][number]
        if shared is None or file.crs is not index.crs[number]:
            return file
        return replace(file, crs=self.pairs.crs[shared])

    def _read(self, key: str, grid: Grid, file: RasterFile | None) -> Sample:
        sensor = self.sensors[key]
        values, valid = mosaic(grid, [] if file is None else [file], sensor)
        pixels = values if self.raw else scaled(values, valid, sensor)
        return {
            f"{'raw' if self.raw else 'image'}_{key}": torch.from_numpy(pixels),
            f"valid_{key}": torch.from_numpy(valid[None]),
            f"transform_{key}": torch.tensor(tuple(grid.transform), dtype=torch.float64),
        }

    def _bounds(self, window: PairWindow) -> Tensor:
        step = min(self.resolutions.values())
        rows = {key: self._row(key, window.pair) for key in self.indexes}
        times = [(self.indexes[key].time[row] - EPOCH) / SECOND for key, row in rows.items() if row >= 0]
        begin, end = np.fmin.reduce(times)[0], np.fmax.reduce(times)[1]
        values = (window.xmin, window.xmax, step, window.ymin, window.ymax, step, begin, end, 1.0)
        return torch.tensor(values, dtype=torch.float64)

    def ground(self) -> GeoDataFrame:
        """Ground of the pairs in EPSG:4326, with the columns ``km2`` and ``days``."""
        return self.pairs.ground()

    def plot(self, sample: Sample, **kwargs: Any) -> Figure:
        """Show the sensors of a sample beside each other.

        Args:
            sample: A sample, or a batch of which every window becomes a row.
            **kwargs: ``suptitle``, the figure's title.
        """
        return plot_sensors(sample, self.sensors, self.resolutions, **kwargs)


def _resolution(index: Footprints, sensor: Sensor) -> float:
    """Pixel size in metres of most scenes; the sensor's where the index knows none in metres."""
    metric = np.array([not crs.is_geographic for crs in index.crs])[index.crs_of]
    sizes = pixel_sizes(index)[metric]
    sizes = sizes[~np.isnan(sizes)]
    return float(np.round(np.median(sizes), 6)) if len(sizes) else sensor.resolution


def _check(indexes: Mapping[str, Footprints], sensors: Mapping[str, Sensor], pairs: Pairs) -> None:
    if not set(indexes) == set(sensors) == set(pairs.sensors):
        raise ValueError(
            f"Indexes ({', '.join(indexes)}), sensors ({', '.join(sensors)}) and pairs "
            f"({', '.join(pairs.sensors)}) must have the same keys."
        )
    if wrong := [key for key in pairs.sensors if not key.isidentifier()]:
        raise ValueError(
            f"Sensor keys {wrong} cannot be part of tensor names (`image_<key>`): "
            "use letters, digits and underscores, no digit first."
        )
    for column, key in enumerate(pairs.sensors):
        if pairs.rows[:, column].max(initial=-1) >= len(indexes[key]):
            raise ValueError(
                f"The pairs refer to more scenes of {key} than {indexes[key].source} has: join them again."
            )
