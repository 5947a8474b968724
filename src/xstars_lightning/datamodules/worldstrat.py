"""WorldStrat -> batches."""

from typing import Literal

from xstars_lightning.datamodules.chips import ChipDataModule
from xstars_lightning.datasets.chips.worldstrat import WORLDSTRAT_SENSORS, WorldStrat
from xstars_lightning.sensors import Sensor

__all__ = ["WorldStratDataModule"]


class WorldStratDataModule(ChipDataModule):
    """SPOT and one date of Sentinel-2 over areas all over the world, with the official split.

    See `WorldStrat` for the files and `WindowsDataModule` for the batches.

    Args:
        root: Folder that holds ``hr_dataset``, ``lr_dataset`` and the two CSV files.
        sensors: Sensor, or its name in the catalogue, for ``spot``, ``sentinel2`` (L2A), ``sentinel2_l1c``.
        window: Side of a crop in metres, rounded up to a multiple of 30.
        revisit: Which date of Sentinel-2 in training: ``nearest`` or ``random``.
        batch_size: Areas per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Areas of a training epoch, over all processes.
        download: Download more than 100 GB if they are not there.
        seed: Of the order, the crops and the random dates.

    Raises:
        ValueError: If numbers do not fit.
    """

    def __init__(
        self,
        root: str = "data/worldstrat",
        sensors: dict[str, Sensor | str] = WORLDSTRAT_SENSORS,
        window: float = 480.0,
        revisit: Literal["nearest", "random"] = "nearest",
        batch_size: int = 32,
        num_workers: int = 0,
        windows_per_epoch: int = 1024,
        download: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            WorldStrat,
            sensors,
            window,
            *(batch_size, num_workers, windows_per_epoch),
            seed=seed,
            root=root,
            revisit=revisit,
            download=download,
        )
