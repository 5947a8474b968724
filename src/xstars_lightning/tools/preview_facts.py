"""What a run would see, gathered from a datamodule."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from torch import Tensor

from xstars_lightning.datamodules.preflight import Measured, complaints, measure
from xstars_lightning.datamodules.scaling import scale_batch
from xstars_lightning.sensors import Sensor
from xstars_lightning.tools.preview_places import Scenes, resolution_of, scenes_of, window_outlines

__all__ = ["Facts", "Reading", "SensorFacts", "gather"]

Geometries = NDArray[np.object_]
Sample = Mapping[str, Tensor]
SECONDS = 3.0  # of reading, at least, for a speed to be told
SIDE = 256  # pixels kept along a side of a window
DRAWN = 2000  # windows on the map


@dataclass(frozen=True)
class SensorFacts:
    """One sensor as the first windows show it.

    Args:
        sensor: As declared.
        scenes: Its files; None where the dataset tells nothing of them.
        resolution: Metres per pixel.
        shape: Pixels of a window, height and width.
        invalid: Share of the pixels without a value.
        measured: Statistics of the others; None if there are none.
        complaints: What does not fit.
    """

    sensor: Sensor
    scenes: Scenes | None
    resolution: float
    shape: tuple[int, int]
    invalid: float
    measured: Measured | None
    complaints: list[str]


@dataclass(frozen=True)
class Reading:
    """How fast windows are read.

    Args:
        windows: Windows read.
        seconds: Time it took, in one process.
        workers: Processes that will read in training.
    """

    windows: int
    seconds: float
    workers: int

    @property
    def rate(self) -> float:
        """Windows per second."""
        return self.windows / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Facts:
    """What a run would see.

    Args:
        ground: As `Grounded.ground` gives it; None if the dataset knows of none.
        pairs: Whether its rows are pairs of scenes rather than pieces of ground.
        train_km2: Ground for training; NaN if unknown.
        val_windows: Windows of validation.
        train_outlines: Some windows of training in longitude and latitude.
        val_outlines: Those of validation.
        window: Side of a window in metres.
        windows_per_epoch: Windows drawn in an epoch.
        batch_size: Windows per batch.
        sensors: By key.
        samples: The first windows, with at most `SIDE` pixels along a side.
        reading: The speed.
    """

    ground: GeoDataFrame | None
    pairs: bool
    train_km2: float
    val_windows: int
    train_outlines: Geometries
    val_outlines: Geometries
    window: float
    windows_per_epoch: int
    batch_size: int
    sensors: dict[str, SensorFacts]
    samples: Sequence[Sample]
    reading: Reading

    @property
    def km2(self) -> float:
        """Ground that windows are drawn from; NaN if unknown."""
        return float("nan") if self.ground is None else float(self.ground["km2"].sum())

    @property
    def window_km2(self) -> float:
        """Ground of a window."""
        return self.window**2 / 1e6

    @property
    def days(self) -> NDArray[np.float64]:
        """Known differences in days between acquisitions (N,)."""
        return np.empty(0) if self.ground is None else self.ground["days"].dropna().to_numpy(dtype=float)


def gather(datamodule: Any, windows: int) -> Facts:
    """Look at the first windows of a datamodule that is set up.

    Args:
        datamodule: With ``dataset``, ``sensors``, ``train_sampler``, ``val_sampler`` and
            ``windows_per_epoch``.
        windows: How many of them to keep; more are read, for some seconds, to tell the speed.

    Raises:
        ValueError: If a valid pixel is NaN or infinite.
    """
    dataset, val = datamodule.dataset, datamodule.val_sampler
    located = hasattr(dataset, "ground")
    stream = list(islice(datamodule.train_sampler, max(windows, DRAWN)))
    held_out = [] if val is None else list(islice(val, DRAWN))
    samples, shapes, reading = _read(datamodule, stream, windows)
    sensors = {key: _sensor(dataset, key, datamodule.sensors[key], samples, shapes[key]) for key in shapes}
    pieces = getattr(getattr(datamodule.train_sampler, "ground", None), "pieces", None)
    return Facts(
        dataset.ground() if located else None,
        hasattr(dataset, "pairs"),
        float("nan") if pieces is None else float(shapely.area(pieces).sum() / 1e6),
        0 if val is None else len(val),
        window_outlines(dataset, stream[:DRAWN] if located else []),
        window_outlines(dataset, held_out if located else []),
        datamodule.window or max(facts.shape[0] * facts.resolution for facts in sensors.values()),
        datamodule.windows_per_epoch,
        datamodule.batch_size,
        sensors,
        samples,
        reading,
    )


def _read(
    datamodule: Any, stream: Sequence[Any], windows: int
) -> tuple[list[Sample], dict[str, tuple[int, int]], Reading]:
    """The first windows, thinned, their shapes, and the speed of reading these and more as loaders do."""
    reader = datamodule.reader(list(stream[:windows]))
    samples: list[Sample] = []
    shapes: dict[str, tuple[int, int]] = {}
    seconds, count = 0.0, 0
    for window in stream:
        start = time.perf_counter()
        sample = reader[window]
        seconds, count = seconds + time.perf_counter() - start, count + 1
        if count <= windows:
            shapes = {key: tuple(sample[f"valid_{key}"].shape[1:]) for key in datamodule.sensors}
            samples.append(_thinned(scale_batch(sample, datamodule.sensors), shapes))
        elif seconds > SECONDS:
            break
    return samples, shapes, Reading(count, seconds, datamodule.num_workers)


def _thinned(sample: Sample, shapes: Mapping[str, tuple[int, int]]) -> Sample:
    """Images and validity alone, every n-th pixel: those of many large windows would not fit in memory."""
    thin: dict[str, Tensor] = {}
    for key, shape in shapes.items():
        step = -(-max(shape) // SIDE)
        thin |= {
            f"{name}_{key}": sample[f"{name}_{key}"][:, ::step, ::step].clone() for name in ("image", "valid")
        }
    return thin


def _sensor(
    dataset: Any, key: str, sensor: Sensor, samples: Sequence[Sample], shape: tuple[int, int]
) -> SensorFacts:
    invalid = 1 - float(np.mean([sample[f"valid_{key}"].float().mean() for sample in samples]))
    if invalid < 1:
        measured = measure(samples, key)
        found = complaints(key, sensor, measured)
    else:
        measured = None
        found = [f"Sensor {key!r}: none of the first {len(samples)} windows shows it."]
    scenes = scenes_of(dataset, key) if hasattr(dataset, "ground") else None
    return SensorFacts(sensor, scenes, resolution_of(dataset, key, sensor), shape, invalid, measured, found)
