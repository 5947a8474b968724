"""Statistics of all valid pixels of many rasters, in one pass."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from xstars_lightning.datasets.handles import open_alone
from xstars_lightning.datasets.pixels import read_pixels
from xstars_lightning.datasets.raster_file import check_bands
from xstars_lightning.sensors import Sensor

__all__ = ["BandStatistics", "measure_rasters"]

Float = NDArray[np.float64]
Task = tuple[int, str, int, int]
CHUNK = 512  # pixels; blocks are read together up to this side
PARTS = 32  # shares of the work per thread, so that none waits long for the last
AHEAD = 64  # tasks per thread that are handed out at once


@dataclass(frozen=True)
class BandStatistics:
    """Statistics of scaled values, mergeable without loss.

    Args:
        pixels: Pixels looked at.
        valid: Those of them that are valid.
        mean: Per band, of the valid ones (C,).
        squares: Sum of the squared deviations from it (C,).
        low: Least value (C,).
        high: Largest value (C,).
        outside: How many values lie outside [0, 1], the sensor's value range (C,).
    """

    pixels: int
    valid: int
    mean: Float
    squares: Float
    low: Float
    high: Float
    outside: Float

    @classmethod
    def empty(cls, bands: int) -> "BandStatistics":
        """Of no pixel at all."""
        zeros, ends = np.zeros(bands), np.full(bands, np.inf)
        return cls(0, 0, zeros, zeros, ends, -ends, zeros)

    @classmethod
    def of(cls, values: Float, pixels: int) -> "BandStatistics":
        """Of the valid values (C, N) among so many pixels."""
        count = values.shape[1]
        if not count:
            return cls(pixels, 0, *list(vars(cls.empty(len(values))).values())[2:])
        mean = values.mean(axis=1)
        squares = np.square(values - mean[:, None]).sum(axis=1)
        outside = ((values < 0) | (values > 1)).sum(axis=1).astype(np.float64)
        return cls(pixels, count, mean, squares, values.min(axis=1), values.max(axis=1), outside)

    def __add__(self, other: "BandStatistics") -> "BandStatistics":
        """Of the pixels of both, by the formulas of Chan, Golub and LeVeque [0].

        References:
            [0] Updating formulae and a pairwise algorithm for computing sample variances, 1979.
        """
        valid = self.valid + other.valid
        apart = other.mean - self.mean
        share = other.valid / max(valid, 1)
        return BandStatistics(
            self.pixels + other.pixels,
            valid,
            self.mean + apart * share,
            self.squares + other.squares + np.square(apart) * self.valid * share,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.outside + other.outside,
        )

    @property
    def std(self) -> Float:
        """Standard deviation per band (C,)."""
        return np.sqrt(self.squares / max(self.valid, 1))


def measure_rasters(
    paths: Sequence[str], sensor: Sensor, sample: float = 1.0, workers: int = 1
) -> Iterator[tuple[float, BandStatistics]]:
    """Measure rasters block by block, in threads.

    Args:
        paths: The files; pixels that several of them show count several times.
        sensor: Bands, value range and nodata of last resort.
        sample: Share of the blocks to read, in (0, 1]; the same ones in each call.
        workers: Threads.

    Yields:
        Share of the files done since the last time, and the statistics of that part.

    Raises:
        OSError: If a file or block cannot be read.
        ValueError: If ``sample`` is out of range, a file has other bands than the sensor, or a valid
            pixel is NaN or infinite.
    """
    if not 0 < sample <= 1:
        raise ValueError(f"sample is the share of blocks to read and must lie in (0, 1], got {sample}.")
    parts = -(-PARTS * workers // len(paths))
    tasks = ((number, path, part, parts) for number, path in enumerate(paths) for part in range(parts))
    with ThreadPoolExecutor(workers) as pool:
        # Not all at once: a million waiting tasks would take a gigabyte.
        while some := list(islice(tasks, AHEAD * workers)):
            for measured in pool.map(lambda task: _measure(task, sensor, sample), some):
                yield 1 / parts, measured


def _measure(task: Task, sensor: Sensor, sample: float) -> BandStatistics:
    """One part of one file."""
    number, path, part, parts = task
    raster = open_alone(path, sensor)
    total = BandStatistics.empty(len(sensor.bands))
    low, high = sensor.value_range
    with raster.source:
        check_bands(raster.source, sensor)
        windows = _chunks(raster.source)
        chosen = np.flatnonzero(np.random.default_rng([0, number]).random(len(windows)) < sample)
        for place in np.array_split(chosen, parts)[part]:
            data, valid = read_pixels(raster, sensor, windows[place])
            scaled = (data[:, valid].astype(np.float64) - low) / (high - low)
            total += BandStatistics.of(scaled, valid.size)
    return total


def _chunks(source: DatasetReader) -> list[Window]:
    """Windows of whole blocks that cover a raster, none smaller than need be."""
    height, width = (-(-CHUNK // side) * side for side in source.block_shapes[0])
    return [
        Window(col, row, min(width, source.width - col), min(height, source.height - row))
        for row in range(0, source.height, height)
        for col in range(0, source.width, width)
    ]
