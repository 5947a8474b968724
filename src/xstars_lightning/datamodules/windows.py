"""What all datamodules of windows share: loaders, resuming, checks of pixels, replaced windows."""

import copy
from abc import abstractmethod
from functools import partial
from itertools import islice
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules import BaseDataModule

from xstars_lightning.allocator import return_blocks
from xstars_lightning.datamodules.arguments import check_not_wrapped
from xstars_lightning.datamodules.lost import CountingLoader, LostWindows, ReplacingDataset
from xstars_lightning.datamodules.preflight import inspect_windows
from xstars_lightning.datamodules.resume import PacedSampler, Progress, ResumableLoader
from xstars_lightning.datamodules.scaling import scale_batch, stack_raw, stack_scaled
from xstars_lightning.datasets.cross_sensor import sensors_needed
from xstars_lightning.sensors import Sensor, resolve_sensors

__all__ = ["WindowsDataModule"]

Batch = dict[str, Tensor]
PREFLIGHT_WINDOWS = 16
SPARES = 256  # windows to take where one cannot be read


class WindowsDataModule(BaseDataModule):
    """Batches of windows that several sensors see.

    Batches are flat dictionaries: ``image_<key>`` (B, C, H, W) float32 in [0, 1] by the sensor's
    value range, ``valid_<key>`` (B, 1, H, W) bool, all False where the sensor does not see the window.
    Pixels travel in the type of their files and are scaled on the device. Under several processes give
    the trainer ``use_distributed_sampler=False``.

    Args:
        dataset_class: What the windows are read from.
        sensors: Sensor, or its name in the catalogue, by key.
        batch_size: Windows per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Windows of a training epoch, over all processes.
        min_sensors: Fewest sensors that must see a window; None: all.
        max_lost: Share of windows that may be replaced, because a remote file cannot be read, before
            the run stops.
    """

    dataset: Any
    train_sampler: Any
    val_sampler: Any

    def __init__(
        self,
        dataset_class: type[Dataset[Any]],
        sensors: dict[str, Sensor | str],
        batch_size: int,
        num_workers: int,
        windows_per_epoch: int,
        min_sensors: int | None,
        max_lost: float = 0.01,
    ) -> None:
        super().__init__(dataset_class, batch_size, num_workers)
        self.sensors = resolve_sensors(sensors)
        self.windows_per_epoch = windows_per_epoch
        self.min_sensors = sensors_needed(min_sensors, sensors)
        self.dataset = self.train_sampler = self.val_sampler = None
        self._progress = Progress(batch_size)
        self._lost = LostWindows(max_lost)

    @abstractmethod
    def open(self) -> None:
        """Set ``dataset``, ``train_sampler`` and, unless nothing is held out, ``val_sampler``."""

    def setup(self, stage: str) -> None:
        """Open the data and, before a fit, look at some pixels.

        Args:
            stage: ``fit`` or ``validate``.

        Raises:
            FileNotFoundError: If a path does not exist or holds no raster.
            OSError: If a file cannot be read.
            ValueError: If files do not fit their sensor, the sensors share no ground, no window
                fits, or pixels are NaN.
        """
        if self.dataset is None:
            self.open()
            self.train_dataset = self.val_dataset = self.dataset
        if stage == "fit":
            self._progress = Progress(self.batch_size)
            self._check_training()

    def _check_training(self) -> None:
        """Look at the first windows, so that bad pixels stop a run before it begins."""
        if len(self.train_sampler) < self.batch_size:
            raise ValueError(
                f"windows_per_epoch {self.windows_per_epoch} gives each process {len(self.train_sampler)} "
                f"windows, fewer than batch_size {self.batch_size}: raise the one, lower the other."
            )
        samples = self.first_samples(PREFLIGHT_WINDOWS)
        for complaint in inspect_windows(samples, self.sensors, self.min_sensors == len(self.sensors)):
            rank_zero_warn(complaint)

    def first_samples(self, count: int) -> list[Batch]:
        """The first training windows, scaled; others in place of those that cannot be read."""
        windows = list(islice(self.train_sampler.since(0), max(count, SPARES)))
        reader = self.reader(windows)
        return [scale_batch(reader[window], self.sensors) for window in windows[:count]]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Random windows outside the validation area."""
        if self.dataset is None:
            raise RuntimeError('Call `setup("fit")` before `train_dataloader()`.')
        if self.trainer is not None and self.trainer.world_size > 1:
            check_not_wrapped(self.trainer)
        paced = PacedSampler(self.train_sampler, lambda: self._progress.windows(self.trainer))
        spares = list(islice(self.train_sampler.since(0), SPARES))
        return ResumableLoader(
            self.reader(spares), sampler=paced, drop_last=True, lost=self._lost, **self._loading()
        )

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """The windows of the validation area, all of them in every process."""
        if self.dataset is None or self.val_sampler is None:
            return []
        sampler = PacedSampler(self.val_sampler, lambda: None)
        spares = list(islice(self.val_sampler, SPARES))
        return CountingLoader(self.reader(spares), sampler=sampler, lost=self._lost, **self._loading())

    def reader(self, spares: list[Any]) -> ReplacingDataset:
        """The dataset as loaders read it: pixels as they are in the files, and spares for lost windows."""
        raw = copy.copy(self.dataset)
        raw.raw = True
        return ReplacingDataset(raw, spares)

    def _loading(self) -> dict[str, Any]:
        # Without a trainer, as in a notebook, nobody calls `on_after_batch_transfer`.
        collate = partial(stack_scaled, sensors=self.sensors) if self.trainer is None else stack_raw
        return {
            "batch_size": self.batch_size,
            "num_workers": self.num_workers,
            "collate_fn": collate,
            "pin_memory": torch.cuda.is_available(),
            "persistent_workers": self.num_workers > 0,
            "worker_init_fn": return_blocks,
        }

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Scale pixels on the device; the encoder standardises, not the datamodule as TorchGeo's do."""
        return scale_batch(batch, self.sensors)

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
