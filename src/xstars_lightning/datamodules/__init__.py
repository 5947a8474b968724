"""Dataset, sampler and loader -> batches."""

from xstars_lightning.datamodules.cross_sensor import CrossSensorDataModule
from xstars_lightning.datamodules.eurosat import EuroSATMSDataModule, EuroSATRGBDataModule
from xstars_lightning.datamodules.simulated import SimulatedDataModule

__all__ = ["CrossSensorDataModule", "EuroSATMSDataModule", "EuroSATRGBDataModule", "SimulatedDataModule"]
