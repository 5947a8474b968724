"""Folders of rasters, one per sensor -> batches of windows that show all or enough of them."""

from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader
from torchgeo.datamodules import BaseDataModule
from torchgeo.datasets import stack_samples

from xstars_lightning.datamodules.areas import read_area
from xstars_lightning.datamodules.arguments import check_not_wrapped, check_same_keys
from xstars_lightning.datamodules.preflight import inspect_windows
from xstars_lightning.datamodules.resume import PacedSampler, Progress, ResumableLoader
from xstars_lightning.datasets.cross_sensor import CrossSensorDataset, sensors_needed
from xstars_lightning.datasets.raster import NativeRasterDataset
from xstars_lightning.samplers import GridWindowSampler, RandomWindowSampler, commensurable_size
from xstars_lightning.samplers.split import Split, split_at, split_blocks
from xstars_lightning.sensors import Sensor, resolve_sensors

__all__ = ["CrossSensorDataModule"]

Batch = dict[str, Tensor]
PREFLIGHT_WINDOWS = 16


class CrossSensorDataModule(BaseDataModule):
    """Windows on the ground that several sensors share.

    Batches are flat dictionaries: ``image_<key>`` (B, C, H, W) float32 in [0, 1] by the sensor's
    value range, ``valid_<key>`` (B, 1, H, W) bool, all False where the sensor does not see the window,
    ``transform_<key>`` (B, 9) and ``bounds`` (B, 9) float64. Under several processes give the trainer
    ``use_distributed_sampler=False``.

    Args:
        paths: Folder, glob or file, or a list of them, per sensor.
        sensors: Sensor, or its name in the catalogue, under the same keys.
        window: Side of a window in metres; rounded up to whole pixels of all sensors where their
            resolutions have a common multiple.
        batch_size: Windows per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Windows of a training epoch, over all processes.
        val_fraction: Share of the ground held out for validation, in blocks.
        block: Side of such a block in metres; three windows by default.
        val_area: Raster or vector file that says where to validate, instead of random blocks;
            windows that touch it never train.
        min_valid: Least share of a window at which every sensor, or ``min_sensors``, has valid pixels.
        min_sensors: Fewest sensors that must see a window; None: all. With 1, windows serve
            self-distillation alone, with 2 or more also alignment.
        seed: Of the split and the training windows.

    Raises:
        ValueError: If keys or numbers do not fit.
    """

    def __init__(
        self,
        paths: dict[str, str | list[str]],
        sensors: dict[str, Sensor | str],
        window: float = 640.0,
        batch_size: int = 32,
        num_workers: int = 0,
        windows_per_epoch: int = 1024,
        val_fraction: float = 0.2,
        block: float | None = None,
        val_area: str | None = None,
        min_valid: float = 0.95,
        min_sensors: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(CrossSensorDataset, batch_size, num_workers)
        check_same_keys(paths, sensors)
        self.paths = paths
        self.sensors = resolve_sensors(sensors)
        self.window = window
        self.windows_per_epoch = windows_per_epoch
        self.val_fraction = val_fraction
        self.block = block
        self.val_area = val_area
        self.min_valid = min_valid
        self.min_sensors = sensors_needed(min_sensors, sensors)
        self.seed = seed
        self.dataset: CrossSensorDataset | None = None
        self.train_sampler: RandomWindowSampler | None = None
        self.val_sampler: GridWindowSampler | None = None
        self._progress = Progress(batch_size)

    def setup(self, stage: str) -> None:
        """Index the files, split the ground, and, before a fit, look at some pixels.

        Args:
            stage: ``fit`` or ``validate``.

        Raises:
            FileNotFoundError: If a path does not exist or holds no raster.
            OSError: If a file cannot be read.
            ValueError: If files do not fit their sensor, the sensors share no ground, no window
                fits, or pixels are NaN.
        """
        if self.dataset is None:
            self._index()
        if stage == "fit":
            self._progress = Progress(self.batch_size)
            self._check_training()

    def _index(self) -> None:
        dataset = CrossSensorDataset(
            {key: NativeRasterDataset(self.paths[key], sensor) for key, sensor in self.sensors.items()},
            min_sensors=self.min_sensors,
        )
        resolutions = [child.resolution for child in dataset.datasets.values()]
        self.window = commensurable_size(self.window, resolutions)
        split = self._split(dataset)
        ground = (dataset.snap, split.train, self.min_valid)
        self.train_sampler = RandomWindowSampler(
            dataset.area, self.window, self.windows_per_epoch, *ground, seed=self.seed
        )
        if self.val_area is not None or self.val_fraction > 0:
            self.val_sampler = GridWindowSampler(
                dataset.area, self.window, dataset.snap, split.val, self.min_valid
            )
        self.dataset = self.train_dataset = self.val_dataset = dataset

    def _split(self, dataset: CrossSensorDataset) -> Split:
        *steps, x, y = dataset.snap
        # A warp reads a pixel beyond the window; on either side of the border that makes two.
        margin = 2 * max(steps)
        if self.val_area is not None:
            return split_at(dataset.area, read_area(self.val_area, dataset.crs), margin)
        block = self.block or 3 * self.window
        sides = tuple(max(round(block / step), 1) * step for step in steps)
        return split_blocks(dataset.area, (sides[0], sides[1]), self.val_fraction, self.seed, margin, (x, y))

    def _check_training(self) -> None:
        """Look at the first windows, so that bad pixels stop a run before it begins."""
        assert self.dataset is not None
        assert self.train_sampler is not None
        if len(self.train_sampler) < self.batch_size:
            raise ValueError(
                f"windows_per_epoch {self.windows_per_epoch} gives each process {len(self.train_sampler)} "
                f"windows, fewer than batch_size {self.batch_size}: raise the one, lower the other."
            )
        windows = zip(range(PREFLIGHT_WINDOWS), self.train_sampler.since(0), strict=False)
        samples = [self.dataset[window] for _, window in windows]
        for complaint in inspect_windows(samples, self.sensors, self.min_sensors == len(self.sensors)):
            rank_zero_warn(complaint)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Random windows outside the validation area."""
        dataset, sampler = self.dataset, self.train_sampler
        if dataset is None or sampler is None:
            raise RuntimeError('Call `setup("fit")` before `train_dataloader()`.')
        if self.trainer is not None and self.trainer.world_size > 1:
            check_not_wrapped(self.trainer)
        paced = PacedSampler(sampler, lambda: self._progress.windows(self.trainer))
        return ResumableLoader(dataset, sampler=paced, drop_last=True, **self._loading())

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """A grid of windows over the validation area, all of them in every process."""
        if self.dataset is None or self.val_sampler is None:
            return []
        sampler = PacedSampler(self.val_sampler, lambda: None)
        return DataLoader(self.dataset, sampler=sampler, **self._loading())

    def _loading(self) -> dict[str, Any]:
        return {
            "batch_size": self.batch_size,
            "num_workers": self.num_workers,
            "collate_fn": stack_samples,
            "pin_memory": torch.cuda.is_available(),
            "persistent_workers": self.num_workers > 0,
        }

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Leave batches alone: TorchGeo would normalise, but the encoder standardises."""
        return batch

    def state_dict(self) -> dict[str, int]:
        """What training has consumed, for the checkpoint."""
        return self._progress.state_dict(self.trainer)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the windows that were consumed."""
        self._progress.load_state_dict(state_dict)

    def plot(self, batch: Batch, windows: int = 4, **kwargs: Any) -> Figure:
        """Show the sensors side by side.

        Args:
            batch: A batch, or a single sample.
            windows: How many windows of a batch to show at most.
            **kwargs: ``suptitle``, the figure's title.
        """
        if self.dataset is None:
            raise RuntimeError('Call `setup("fit")` before `plot()`.')
        single = batch[f"image_{next(iter(self.sensors))}"].ndim == 3
        shown = batch if single else {key: value[:windows] for key, value in batch.items()}
        return self.dataset.plot(shown, **kwargs)
