"""Stacks of channels of several sensors -> batches."""

from typing import Literal

from xstars_lightning.datamodules.chips import ChipDataModule
from xstars_lightning.datasets.chips.aligned_stacks import AlignedStacks
from xstars_lightning.sensors import Sensor

__all__ = ["AlignedStacksDataModule"]


class AlignedStacksDataModule(ChipDataModule):
    """Files of many channels on one grid, of which each sensor gets some back at its native resolution.

    See `AlignedStacks` for the files and `WindowsDataModule` for the batches.

    Args:
        root: Folder, searched recursively for npz, npy and GeoTIFF.
        sensors: Sensor, or its name in the catalogue, by key.
        channels: Channels of the file, from 0, that are the sensor's bands, by key.
        factors: Pixels of the file in a row of one pixel of the sensor, by key.
        window: Side of a crop in metres, rounded up to whole pixels of all sensors; None: whole stacks.
        resampling: ``exact`` where each pixel was repeated, ``mean`` where channels were resampled.
        group: Regular expression that finds a stack's group, what its first parentheses match, in its path
            below ``root``; None: the folder.
        batch_size: Stacks per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Stacks of a training epoch, over all processes.
        val_fraction: Share of the stacks held out for validation, in whole groups.
        seed: Of the split, the order and the crops.

    Raises:
        ValueError: If numbers do not fit.
    """

    def __init__(
        self,
        root: str,
        sensors: dict[str, Sensor | str],
        channels: dict[str, list[int]],
        factors: dict[str, int],
        window: float | None = None,
        resampling: Literal["exact", "mean"] = "exact",
        group: str | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        windows_per_epoch: int = 1024,
        val_fraction: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__(
            AlignedStacks,
            sensors,
            window,
            *(batch_size, num_workers, windows_per_epoch, val_fraction, seed),
            root=root,
            channels=channels,
            factors=factors,
            resampling=resampling,
            group=group,
        )
