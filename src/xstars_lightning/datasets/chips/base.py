"""Pre-cut images of the same ground from several sensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch.utils.data import Dataset

from xstars_lightning.datasets.base import Sample
from xstars_lightning.datasets.chips.crops import Crops, Ground, Shape
from xstars_lightning.datasets.mosaic import scaled
from xstars_lightning.datasets.plots import plot_images
from xstars_lightning.sensors import Sensor, resolve_sensors

__all__ = ["Chip", "ChipDataset", "Pixels"]

Pixels = tuple[NDArray[np.generic], NDArray[np.bool_]]
Chip = int | tuple[int, int]


class ChipDataset(Dataset[Sample], ABC):
    """Chips by number, each sensor at its native resolution.

    ``dataset[number]`` is the middle of a chip, ``dataset[number, draw]`` a crop of it at a place that
    follows from the integer ``draw``, the same for all sensors and on whole pixels of each.

    Args:
        sensors: Sensor, or its name in the catalogue, per key; which keys there are, the dataset says.
        window: Side of a crop in metres; None: whole chips, which must then be of one size.

    Attributes:
        names: Of the chips, for messages.
        groups: City, site or the like of each chip; one that is validated on must not be trained on.
        held_out: Which chips (N,) the authors hold out for validation; None: they do not say.
        raw: Whether samples hold ``raw_<key>``, values in the files' own type, instead of ``image_<key>``.

    Raises:
        ValueError: If a key is unknown, or the window is no whole number of pixels of every sensor.
    """

    #: Keys that the dataset knows; none: any.
    keys: ClassVar[tuple[str, ...]] = ()
    #: How far footprints of a chip may differ, in pixels of the coarsest sensor.
    slack: ClassVar[float] = 0

    names: Sequence[str]
    groups: Sequence[str]
    held_out: NDArray[np.bool_] | None = None
    raw: bool = False

    def __init__(self, sensors: Mapping[str, Any], window: float | None = None) -> None:
        if wrong := [key for key in sensors if key not in (self.keys or sensors) or not key.isidentifier()]:
            known = f"knows {', '.join(self.keys)}" if self.keys else "wants letters, digits and underscores"
            raise ValueError(f"{type(self).__name__} {known} as keys of sensors, not {', '.join(wrong)}.")
        self.sensors: dict[str, Sensor] = resolve_sensors(sensors)
        self.crops = Crops({key: s.resolution for key, s in self.sensors.items()}, window, self.slack)

    @abstractmethod
    def read(self, index: int, rng: np.random.Generator | None) -> dict[str, Pixels]:
        """Read a chip.

        Args:
            index: Number of the chip.
            rng: Decides where there is a choice, such as of a date; None: the best.

        Returns:
            Values (C, H, W) in digital numbers and validity (H, W), of each sensor that has an image.
        """

    def __len__(self) -> int:
        """Number of chips."""
        return len(self.names)

    def __getitem__(self, chip: Chip) -> Sample:
        """Read a chip, or a crop of it.

        Args:
            chip: Number, or number and an integer that decides on the place.

        Returns:
            For each sensor ``s``: ``image_s`` (C, H, W) float32 in about [0, 1], or ``raw_s`` in the
            files' type, and ``valid_s`` (1, H, W) bool, all False where the sensor has no image.

        Raises:
            OSError: If a file cannot be read.
            ValueError: If images do not fit each other or their sensor; the chip is named.
        """
        index, draw = chip if isinstance(chip, tuple) else (chip, None)
        rng = None if draw is None else np.random.default_rng(draw)
        pixels = self.read(index, rng)
        ground = self._ground(index, pixels)
        parts = self.crops.parts(_shapes(pixels), rng)
        sample: Sample = {}
        for key, sensor in self.sensors.items():
            if key in pixels:
                values, valid = pixels[key][0][:, *parts[key]], pixels[key][1][parts[key]]
            else:
                shape = self.crops.shape(key, ground)
                values, valid = np.zeros((len(sensor.bands), *shape), np.uint8), np.zeros(shape, bool)
            image = np.ascontiguousarray(values) if self.raw else scaled(values, valid, sensor)
            sample[f"{'raw' if self.raw else 'image'}_{key}"] = torch.from_numpy(image)
            sample[f"valid_{key}"] = torch.from_numpy(valid[None].copy())
        return sample

    def _ground(self, index: int, pixels: Mapping[str, Pixels]) -> Ground:
        """Ground that a chip shows, if it can be part of a batch."""
        try:
            ground = self.crops.ground(_shapes(pixels))
        except ValueError as error:
            raise ValueError(f"{self.names[index]}: {error}") from error
        if self.crops.window is None and index and ground != self._first:
            sizes = [" x ".join(f"{float(side):g}" for side in part) for part in (self._first, ground)]
            raise ValueError(
                f"Chips differ in size: {self.names[0]} shows {sizes[0]} m, {self.names[index]} {sizes[1]}. "
                f"Give a `window` in metres, a multiple of {float(self.crops.step):g}, to crop them to."
            )
        return ground

    @cached_property
    def _first(self) -> Ground:
        return self._ground(0, self.read(0, None))

    def plot(self, sample: Sample, **kwargs: Any) -> Figure:
        """Show the sensors of a sample beside each other.

        Args:
            sample: A sample, or a batch of which every chip becomes a row.
            **kwargs: ``suptitle``, the figure's title.
        """
        if sample[f"valid_{next(iter(self.sensors))}"].ndim == 3:
            sample = {name: value[None] for name, value in sample.items()}
        count = len(next(iter(sample.values())))
        return plot_images([self._cells(sample, row) for row in range(count)], **kwargs)

    def _cells(self, batch: Sample, row: int) -> list[tuple[str, Any, Any]]:
        """Title, RGB image and validity of each sensor for one chip of a batch."""
        cells = []
        for key, sensor in self.sensors.items():
            values = batch[f"image_{key}" if f"image_{key}" in batch else f"raw_{key}"]
            rgb = values[row][list(sensor.rgb_indices)]
            cells.append((f"{key}, {sensor.resolution:g} m", rgb, batch[f"valid_{key}"][row]))
        return cells


def _shapes(pixels: Mapping[str, Pixels]) -> dict[str, Shape]:
    return {key: (valid.shape[0], valid.shape[1]) for key, (_, valid) in pixels.items()}
