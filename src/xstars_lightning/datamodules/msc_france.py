"""MSC-France -> batches."""

from xstars_lightning.datamodules.chips import ChipDataModule
from xstars_lightning.datasets.chips.msc_france import MSC_FRANCE_SENSORS, MSCFrance
from xstars_lightning.sensors import Sensor

__all__ = ["MSCFranceDataModule"]


class MSCFranceDataModule(ChipDataModule):
    """Tiles of SPOT, Sentinel-2 and Landsat over French cities; whole cities are held out.

    See `MSCFrance` for the files and `WindowsDataModule` for the batches.

    Args:
        root: Folder that holds ``SPOT``, ``Sentinel`` and ``Landsat``.
        sensors: Sensor, or its name in the catalogue, for two or three of ``spot``,
            ``sentinel2`` and ``landsat``.
        window: Side of a crop in metres, rounded up to a multiple of 30; None: whole tiles.
        batch_size: Tiles per batch and process.
        num_workers: Processes that read, per training process.
        windows_per_epoch: Tiles of a training epoch, over all processes.
        val_fraction: Share of the tiles held out for validation, in whole cities.
        min_sensors: Fewest sensors that must have a tile; None: all.
        seed: Of the split, the order and the crops.

    Raises:
        ValueError: If numbers do not fit.
    """

    def __init__(
        self,
        root: str = "data/MSC-France",
        sensors: dict[str, Sensor | str] = MSC_FRANCE_SENSORS,
        window: float | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        windows_per_epoch: int = 1024,
        val_fraction: float = 0.2,
        min_sensors: int | None = None,
        seed: int = 0,
    ) -> None:
        numbers = (batch_size, num_workers, windows_per_epoch, val_fraction, seed)
        super().__init__(MSCFrance, sensors, window, *numbers, min_sensors, root=root)
        self.options["min_sensors"] = min_sensors
