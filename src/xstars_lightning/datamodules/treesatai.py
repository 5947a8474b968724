"""TreeSatAI -> batches for pretraining."""

from xstars_lightning.datamodules.chips import ChipDataModule
from xstars_lightning.datasets.chips.treesatai import TREESATAI_SENSORS, TreeSatAI
from xstars_lightning.sensors import Sensor

__all__ = ["TreeSatAIPairsDataModule"]


class TreeSatAIPairsDataModule(ChipDataModule):
    """Aerial images and Sentinel-2 over 60 m of forest, without labels; blocks of 2 km are held out.

    See `TreeSatAI` for the files and `WindowsDataModule` for the batches.

    Args:
        root: Folder that holds ``aerial``, ``s2``, ``geojson``, ``labels`` and the lists of files.
        sensors: Sensor, or its name in the catalogue, for ``aerial``, ``sentinel2`` and ``sentinel1``.
        window: Side of a crop in metres, rounded up to a multiple of 10; None: all of the 60 m.
        batch_size: Squares per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Squares of a training epoch, over all processes.
        val_fraction: Share of the squares held out for validation, in whole blocks.
        download: Download the files that are missing.
        seed: Of the split, the order and the crops.

    Raises:
        ValueError: If numbers do not fit.
    """

    def __init__(
        self,
        root: str = "data/treesatai",
        sensors: dict[str, Sensor | str] = TREESATAI_SENSORS,
        window: float | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        windows_per_epoch: int = 1024,
        val_fraction: float = 0.1,
        download: bool = False,
        seed: int = 0,
    ) -> None:
        numbers = (batch_size, num_workers, windows_per_epoch, val_fraction, seed)
        super().__init__(TreeSatAI, sensors, window, *numbers, root=root, download=download)
