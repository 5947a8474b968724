"""Dataset, sampler and loader -> batches."""

from xstars_lightning.datamodules.aligned_stacks import AlignedStacksDataModule
from xstars_lightning.datamodules.archive import ArchiveDataModule
from xstars_lightning.datamodules.classification import ClassificationDataModule
from xstars_lightning.datamodules.cross_sensor import CrossSensorDataModule
from xstars_lightning.datamodules.eurosat import EuroSATMSDataModule, EuroSATRGBDataModule
from xstars_lightning.datamodules.flair_hub import FLAIRHubPairsDataModule
from xstars_lightning.datamodules.msc_france import MSCFranceDataModule
from xstars_lightning.datamodules.scenes import SceneDataModule
from xstars_lightning.datamodules.segmentation import SegmentationDataModule
from xstars_lightning.datamodules.simulated import SimulatedDataModule
from xstars_lightning.datamodules.treesatai import TreeSatAIPairsDataModule
from xstars_lightning.datamodules.worldstrat import WorldStratDataModule

__all__ = [
    "AlignedStacksDataModule",
    "ArchiveDataModule",
    "ClassificationDataModule",
    "CrossSensorDataModule",
    "EuroSATMSDataModule",
    "EuroSATRGBDataModule",
    "FLAIRHubPairsDataModule",
    "MSCFranceDataModule",
    "SceneDataModule",
    "SegmentationDataModule",
    "SimulatedDataModule",
    "TreeSatAIPairsDataModule",
    "WorldStratDataModule",
]
