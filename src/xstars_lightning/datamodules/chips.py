"""Pre-cut, aligned images -> batches."""

from typing import Any

import numpy as np

from xstars_lightning.datamodules.windows import WindowsDataModule
from xstars_lightning.datasets.chips.base import ChipDataset
from xstars_lightning.samplers import commensurable_size
from xstars_lightning.samplers.chips import ChipSampler, split_groups
from xstars_lightning.sensors import Sensor

__all__ = ["ChipDataModule"]


class ChipDataModule(WindowsDataModule):
    """Chips of a dataset, without georeference in the batches.

    Validation has the chips that the dataset's authors hold out, else whole groups (cities, sites), so
    that no place is in both; it takes the middle of each, training a random crop.

    Args:
        dataset_class: Which chips.
        sensors: Sensor, or its name in the catalogue, per key of the dataset.
        window: Side of a crop in metres, rounded up to whole pixels of all sensors; None: whole chips.
        batch_size: Chips per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Chips of a training epoch, over all processes.
        val_fraction: Share of the chips held out in whole groups where the authors hold out none.
        min_sensors: Fewest sensors that must have an image; None: all.
        seed: Of the split, the order and the crops.
        **options: Further arguments of the dataset.

    Raises:
        ValueError: If numbers do not fit.
    """

    def __init__(
        self,
        dataset_class: type[ChipDataset],
        sensors: dict[str, Sensor | str],
        window: float | None,
        batch_size: int,
        num_workers: int,
        windows_per_epoch: int,
        val_fraction: float = 0.0,
        seed: int = 0,
        min_sensors: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dataset_class, sensors, batch_size, num_workers, windows_per_epoch, min_sensors)
        self.window = window
        self.val_fraction = val_fraction
        self.seed = seed
        self.options = options

    def open(self) -> None:
        """List the chips and hold some out."""
        if self.window is not None:
            resolutions = (sensor.resolution for sensor in self.sensors.values())
            self.window = commensurable_size(self.window, resolutions)
        kind: Any = self.dataset_class
        dataset: ChipDataset = kind(sensors=self.sensors, window=self.window, **self.options)
        held_out = dataset.held_out
        if held_out is None:
            held_out = split_groups(dataset.groups, self.val_fraction, self.seed)
        self.train_sampler = ChipSampler(np.flatnonzero(~held_out), self.windows_per_epoch, self.seed)
        if held_out.any():
            # Mixed, so that the first batches, too, show many places.
            order = np.random.default_rng(self.seed).permutation(np.flatnonzero(held_out))
            self.val_sampler = order.tolist()
        self.dataset = dataset
